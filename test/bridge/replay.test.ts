/** Replay on the embedded store, with letters as the pump makes them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parseBridgeConfig } from "../../bridge/config/config.ts";
import { pump } from "../../bridge/pump.ts";
import { createSourceDecode } from "../../bridge/registry.ts";
import { replay } from "../../bridge/replay.ts";
import { createSourceMonitor } from "../../bridge/source-monitor.ts";
import { GENESIS } from "../../functions/core/cursor.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import type { RawMessage } from "../../functions/ports/broker-source.ts";
import { createSqliteDeadLetters } from "../../functions/runtimes/node/dead-letters-sqlite.ts";
import { createSqliteLog } from "../../functions/runtimes/node/event-log-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { silent } from "../support/logger.ts";
import { createMemoryTelemetry, scriptedSource } from "./memory-log.ts";

const configOf = (rules = "") =>
  parseBridgeConfig(
    `sources:
      - { name: live, kind: nats${rules} }
      - { name: orders, kind: nats, jetstream: { stream: ORDERS, durable: millrace }${rules} }
      - { name: tcp, kind: framed-tcp, enabled: false${rules} }`,
    { NATS_URL: "nats://127.0.0.1:1", BROKER_ADDR: "127.0.0.1:1" },
  );
const WITHOUT_RULES = configOf();
/** What the operator writes when a producer says its company elsewhere. */
const WITH_RULES = configOf(", company: [{ field: tenant }]");

const raw = (body: string | Uint8Array, more: Partial<RawMessage> = {}): RawMessage => ({
  ...{ subject: "orders.created", headers: {}, messageId: undefined },
  ...{ body: typeof body === "string" ? new TextEncoder().encode(body) : body },
  ...more,
});

function open() {
  const folder = mkdtempSync(join(tmpdir(), "millrace-replay-"));
  const database = openSqliteDatabase({ folder, logger: silent });
  const log = createSqliteLog({ database, retentionMs: 3_600_000, timeZone: "UTC", logger: silent });
  const deadLetters = createSqliteDeadLetters({ database });
  onTestFinished(async () => {
    await log[Symbol.asyncDispose]();
    database[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });
  const telemetry = createMemoryTelemetry();
  const list = () => deadLetters.list({ limit: 100 });
  return {
    log,
    telemetry,
    deadLetters,
    list,
    /** Messages as the source of that name decodes them, through the pump. */
    async receive(name: string, messages: readonly RawMessage[], config = WITHOUT_RULES) {
      const source = config.sources.find((one) => one.name === name)!;
      const decode = createSourceDecode(source);
      const monitor = createSourceMonitor(name, source.kind, silent);
      const happened: string[] = [];
      const deliveries = messages.map((message) => decode(message));
      const stop = new AbortController();
      const scripted = scriptedSource([deliveries], happened, { thenThrow: new Error("end") });
      await pump({ ...scripted, name }, { log, telemetry, deadLetters, monitor }, stop.signal).catch(
        () => {},
      );
      return deliveries;
    },
    async stored(company: string) {
      const result = await log.read(parseCompanyId(company), GENESIS, 100);
      return result.kind === "events" ? result.entries.map(({ record }) => JSON.parse(record)) : [];
    },
  };
}

describe("replay", () => {
  it("what the rules of now make an event of is stored and its letter gone; the rest stays with its reason", async () => {
    const { log, telemetry, deadLetters, list, receive, stored } = open();
    await receive("orders", [
      raw('{"tenant":"acme","n":1}', { messageId: "ORDERS.1" }),
      raw("not json"),
      raw('{"tenant":"acme","n":2}', { messageId: "ORDERS.3" }),
    ]);
    const letters = await list();
    expect(letters).toHaveLength(3);
    const results = await replay(letters, { config: WITH_RULES, log, telemetry, deadLetters });
    expect(results.map(({ outcome }) => outcome)).toEqual(["stored", "kept", "stored"]);
    expect(results[1]).toMatchObject({ reason: expect.stringContaining("not JSON") });
    expect(await list()).toEqual([letters[1]]);
    expect(await stored("acme")).toMatchObject([
      {
        source: "/nats/orders",
        id: "ORDERS.1",
        type: "orders.created",
        subject: "orders.created",
        time: letters[0]!.time,
      },
      { source: "/nats/orders", id: "ORDERS.3", data: { companyId: "acme", n: 2 } },
    ]);
  });

  it.each([
    ["the broker's id", "orders", raw('{"tenant":"acme"}', { messageId: "ORDERS.7" })],
    ["the id of the payload", "orders", raw('{"tenant":"acme","id":"o-1"}')],
    ["the content", "orders", raw('{"tenant":"acme"}')],
    [
      "a CloudEvent's id",
      "tcp",
      raw('{"specversion":"1.0","id":"e-1","source":"/s","type":"t","data":{"tenant":"acme"}}'),
    ],
  ])(
    "by %s an event has the id it would have had: the message itself, come again, is a duplicate",
    async (_, name, message) => {
      const { log, telemetry, deadLetters, list, receive, stored } = open();
      await receive(name, [message]);
      await receive(name, [message], WITH_RULES);
      const before = await stored("acme");
      expect(before).toHaveLength(1);
      const [result] = await replay(await list(), { config: WITH_RULES, log, telemetry, deadLetters });
      expect(result!.outcome).toBe("duplicate");
      expect(await stored("acme")).toEqual(before);
      expect(await list()).toEqual([]);
    },
  );

  it("where ids are random two equal messages are two events, and each letter is one however often it is replayed", async () => {
    const { log, telemetry, deadLetters, list, receive, stored } = open();
    const message = raw('{"tenant":"acme"}', { subject: "" });
    await receive("tcp", [message, message]);
    const letters = await list();
    // The process died between the append and the removal.
    const remove = () => Promise.reject(new MillraceError("unavailable", "away"));
    await expect(
      replay(letters, { config: WITH_RULES, log, telemetry, deadLetters: { remove } }),
    ).rejects.toThrow("away");
    expect(await stored("acme")).toHaveLength(2);
    const results = await replay(letters, { config: WITH_RULES, log, telemetry, deadLetters });
    expect(results.map(({ outcome }) => outcome)).toEqual(["duplicate", "duplicate"]);
    expect(await stored("acme")).toHaveLength(2);
  });

  it("removes nothing when the log does not take them", async () => {
    const { telemetry, deadLetters, list, receive } = open();
    await receive("live", [raw('{"tenant":"acme"}')]);
    const letters = await list();
    const append = () => Promise.reject(new MillraceError("unavailable", "Cannot append: away"));
    await expect(
      replay(letters, { config: WITH_RULES, log: { append }, telemetry, deadLetters }),
    ).rejects.toThrow("away");
    expect(await list()).toEqual(letters);
  });

  it("a dry run says what would be done and does nothing", async () => {
    const { log, telemetry, deadLetters, list, receive, stored } = open();
    await receive("live", [raw('{"tenant":"acme"}'), raw("{}")]);
    const letters = await list();
    const results = await replay(letters, {
      config: WITH_RULES,
      log,
      telemetry,
      deadLetters,
      isDryRun: true,
    });
    expect(results.map(({ outcome }) => outcome)).toEqual(["decodable", "kept"]);
    expect(await list()).toEqual(letters);
    expect(await stored("acme")).toEqual([]);
  });

  it("keeps the letters of a source that is not there", async () => {
    const { log, telemetry, deadLetters, list, receive } = open();
    await receive("live", [raw('{"tenant":"acme"}')]);
    const [result] = await replay(await list(), { config: { sources: [] }, log, telemetry, deadLetters });
    expect(result).toMatchObject({ outcome: "kept", reason: expect.stringContaining('source "live"') });
    expect(await list()).toHaveLength(1);
  });

  it("none: nothing happens", async () => {
    const { log, telemetry, deadLetters } = open();
    expect(await replay([], { config: WITH_RULES, log, telemetry, deadLetters })).toEqual([]);
  });

  it("a reading goes to the telemetry store too, and stays a letter while that does not answer", async () => {
    const { log, telemetry, deadLetters, list, receive, stored } = open();
    const row = {
      timestamp: "2026-01-31T12:00:00Z",
      metric_name: "M",
      uuid: "GPU-1",
      value: 7,
      tenant: "acme",
    };
    await receive("tcp", [raw(JSON.stringify(row), { subject: "" })]);
    await receive("tcp", [raw(JSON.stringify({ ...row, uuid: "" }), { subject: "" })]);
    const letters = await list();
    expect(letters.map(({ reason }) => reason)).toEqual(Array(2).fill(expect.stringContaining("no company")));
    const options = { config: WITH_RULES, log, telemetry, deadLetters };
    expect((await replay(letters, { ...options, isDryRun: true })).map(({ outcome }) => outcome)).toEqual([
      "decodable",
      "kept",
    ]);
    expect(telemetry.readings).toEqual([]);
    const away = () => Promise.reject(new MillraceError("unavailable", "away"));
    await expect(replay(letters, { ...options, telemetry: { write: away } })).rejects.toThrow("away");
    expect(await list()).toEqual(letters);
    expect(await stored("acme")).toEqual([]);
    const results = await replay(letters, options);
    expect(results.map(({ outcome }) => outcome)).toEqual(["stored", "kept"]);
    expect(results[1]).toMatchObject({ reason: expect.stringContaining("uuid is") });
    expect(telemetry.readings).toMatchObject([{ companyId: "acme", uuid: "GPU-1", value: 7 }]);
    expect(await stored("acme")).toMatchObject([{ type: "telemetry.gpu" }]);
    expect(await list()).toEqual([letters[1]]);
  });
});
