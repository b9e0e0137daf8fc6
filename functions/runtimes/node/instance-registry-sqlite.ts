/** InstanceRegistry in the embedded store: the instances and bridges of one machine, by its clock. */
import { type BridgeReport, LOST_MS } from "../../core/pipeline.ts";
import {
  addReports,
  type InstanceRegistry,
  type InstanceReport,
  LEASE_MS,
} from "../../ports/instance-registry.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

/** `leaseMs`: milliseconds a report of connections is believed. Default LEASE_MS. `lostMs`: milliseconds one of a bridge is kept. Default LOST_MS. */
export function createSqliteInstanceRegistry({
  database,
  leaseMs = LEASE_MS,
  lostMs = LOST_MS,
}: {
  database: SqliteDatabase;
  leaseMs?: number;
  lostMs?: number;
}): InstanceRegistry {
  const { connection } = database;
  const tableOf = (table: "instances" | "bridges", who: string, keptMs: number) => {
    const put = connection.prepare(
      `INSERT OR REPLACE INTO ${table} (${who}, at_ms, report) VALUES (?, ?, ?)`,
    );
    const forget = connection.prepare(`DELETE FROM ${table} WHERE at_ms <= ?`);
    const remove = connection.prepare(`DELETE FROM ${table} WHERE ${who} = ?`);
    const read = connection.prepare(`SELECT ${who} AS who, at_ms, report FROM ${table} WHERE at_ms > ?`);
    return {
      put(name: string, report: object) {
        const nowMs = Date.now();
        database.write(`report to the ${table}`, () => {
          forget.run(nowMs - keptMs);
          put.run(name, nowMs, JSON.stringify(report));
        });
      },
      remove: (name: string) => void database.write(`leave the ${table}`, () => remove.run(name)),
      read() {
        const nowMs = Date.now();
        return database
          .read(`read the ${table}`, () => read.all(nowMs - keptMs))
          .map(({ who, at_ms, report }) => ({
            who: String(who),
            ageMs: Math.max(0, nowMs - Number(at_ms)),
            report: JSON.parse(String(report)) as unknown,
          }));
      },
    };
  };
  const instances = tableOf("instances", "instance", leaseMs);
  const bridges = tableOf("bridges", "bridge", lostMs);
  const others = (except: string) =>
    addReports(
      instances
        .read()
        .filter(({ who }) => who !== except)
        .map(({ report }) => report as InstanceReport),
    );
  return {
    report: async (instance, report) => instances.put(instance, report),
    withdraw: async (instance) => instances.remove(instance),
    connectionsByCompany: async (except) => others(except).connectionsByCompany,
    reportBridge: async (bridge, report) => bridges.put(bridge, report),
    withdrawBridge: async (bridge) => bridges.remove(bridge),
    survey: async (except) => ({
      ...others(except),
      bridges: bridges
        .read()
        .map(({ who, ageMs, report }) => ({ ...(report as BridgeReport), bridge: who, ageMs })),
    }),
  };
}
