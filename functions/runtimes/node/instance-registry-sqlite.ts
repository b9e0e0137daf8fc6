/** InstanceRegistry in the embedded store: the instances of one machine, by its clock. */
import type { CompanyId } from "../../core/ids.ts";
import { type InstanceRegistry, type InstanceReport, LEASE_MS } from "../../ports/instance-registry.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

/** `leaseMs`: milliseconds a report is believed. Default LEASE_MS. */
export function createSqliteInstanceRegistry({
  database,
  leaseMs = LEASE_MS,
}: {
  database: SqliteDatabase;
  leaseMs?: number;
}): InstanceRegistry {
  const { connection } = database;
  const put = connection.prepare(
    "INSERT OR REPLACE INTO instances (instance, at_ms, report) VALUES (?, ?, ?)",
  );
  const forget = connection.prepare("DELETE FROM instances WHERE at_ms <= ?");
  const remove = connection.prepare("DELETE FROM instances WHERE instance = ?");
  const others = connection.prepare("SELECT report FROM instances WHERE at_ms > ? AND instance <> ?");
  return {
    async report(instance, report) {
      const nowMs = Date.now();
      database.write("report this instance", () => {
        forget.run(nowMs - leaseMs);
        put.run(instance, nowMs, JSON.stringify(report));
      });
    },
    async withdraw(instance) {
      database.write("withdraw this instance", () => remove.run(instance));
    },
    async connectionsByCompany(except) {
      const rows = database.read("read the instances", () => others.all(Date.now() - leaseMs, except));
      const sums = new Map<string, number>();
      for (const { report } of rows) {
        const { connectionsByCompany } = JSON.parse(String(report)) as InstanceReport;
        for (const [company, connections] of Object.entries(connectionsByCompany)) {
          sums.set(company, (sums.get(company) ?? 0) + connections);
        }
      }
      return Object.fromEntries(sums) as Record<CompanyId, number>;
    },
  };
}
