import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { cursorParts, GENESIS } from "../../functions/core/cursor.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { createSqliteLog } from "../../functions/runtimes/node/event-log-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { describeEventLog } from "../contracts/event-log.ts";
import { type EventLogBackend, event, events } from "../contracts/event-log-support.ts";
import { start } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";

const silent = { debug() {}, info() {}, warn() {}, error() {} };
const folders: string[] = [];
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-sqlite-"));
  folders.push(folder);
  return folder;
};
const TABLES = ["logs", "entries", "seen", "counts", "minutes", "seconds"];
const watches = () => process.getActiveResourcesInfo().filter((name) => name === "FSEventWrap").length;

/** Every instance has a database of its own, as another process would. */
function createBackend(
  options: { retentionMs?: number; maxEvents?: number; timeZone?: string } = {},
): EventLogBackend & { open(): Promise<EventLog>; folder: string } {
  const folder = newFolder();
  const stack = new AsyncDisposableStack();
  const change = (sql: string) => {
    using connection = new DatabaseSync(join(folder, "millrace.db"), { timeout: 5000 });
    connection.exec(sql);
  };
  return {
    folder,
    async open() {
      const database = stack.use(openSqliteDatabase({ folder, logger: silent }));
      const { retentionMs = 3_600_000, maxEvents = 1_000_000, timeZone = "Asia/Karachi" } = options;
      return stack.use(createSqliteLog({ database, retentionMs, maxEvents, timeZone, logger: silent }));
    },
    async wipe() {
      change(`BEGIN IMMEDIATE; ${TABLES.map((table) => `DELETE FROM ${table};`).join("")} COMMIT`);
    },
    async snapshot() {
      const copy = join(folder, "copy.db");
      change(`VACUUM INTO '${copy}'`);
      return async () => {
        const restored = TABLES.map(
          (table) => `DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM copy.${table};`,
        );
        change(`ATTACH '${copy}' AS copy; BEGIN IMMEDIATE; ${restored.join("")} COMMIT`);
      };
    },
    held: async () => watches(),
    async [Symbol.asyncDispose]() {
      await stack.disposeAsync();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

describeEventLog({ name: "SQLite", restarts: false, create: async (options) => createBackend(options) });

afterEach(() => {
  vi.useRealTimers();
});
afterAll(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const company = parseCompanyId("acme");
const only = ({ timeZone = "UTC", retentionMs = 3_600_000 } = {}) => createBackend({ timeZone, retentionMs });
const at = (time: string) => vi.setSystemTime(new Date(time));

/** Runs a script in a process of its own with `folder` and `open()` at hand; it is to print something when it is ready. */
function inAnotherProcess(folder: string, script: string) {
  const file = (path: string) => JSON.stringify(new URL(`../../functions/${path}`, import.meta.url).href);
  const prelude = `
    import { parseEvent } from ${file("core/event.ts")};
    import { createSqliteLog } from ${file("runtimes/node/event-log-sqlite.ts")};
    import { openSqliteDatabase } from ${file("runtimes/node/sqlite-database.ts")};
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const database = openSqliteDatabase({ folder: ${JSON.stringify(folder)}, logger });
    const log = createSqliteLog({ database, retentionMs: 3600000, timeZone: "UTC", logger });
    const event = (id) =>
      parseEvent({ companyId: "acme", source: "/test", id: String(id), type: "t", dataText: JSON.stringify({ id }) });
  `;
  return start(process.execPath, ["--input-type=module", "-e", prelude + script]);
}

describe("openSqliteDatabase", () => {
  const open = (folder: string) => openSqliteDatabase({ folder, logger: silent });

  it("makes the folders and leaves one file behind when it is closed", async () => {
    const folder = join(newFolder(), "a", "b");
    const database = open(folder);
    const log = createSqliteLog({ database, retentionMs: 1000, timeZone: "UTC", logger: silent });
    await log.append(events(company, 0, 10));
    expect(readdirSync(folder)).toContain("millrace.db-wal");
    await log[Symbol.asyncDispose]();
    database[Symbol.dispose]();
    expect(readdirSync(folder)).toEqual(["millrace.db"]);
  });

  it("names DATA_DIR when the folder cannot be made or the file is none of its own", () => {
    const folder = newFolder();
    writeFileSync(join(folder, "file"), "");
    for (const bad of [join(folder, "file"), join(folder, "file", "below")]) {
      expect(() => open(bad)).toThrow(
        new RegExp(`^Cannot open DATA_DIR "${bad}": .*, expected a folder this user can`),
      );
    }
    writeFileSync(join(folder, "millrace.db"), "something else entirely".repeat(100));
    expect(() => open(folder)).toThrow(/^Cannot open DATA_DIR ".*": file is not a database, expected/);
    expect(() => open(folder)).toThrow(MillraceError);
  });

  it("refuses the store of a newer version and leaves it as it is", () => {
    const folder = newFolder();
    {
      using database = open(folder);
      database.connection.exec("PRAGMA user_version = 99");
    }
    expect(() => open(folder)).toThrow(/written by a newer Millrace \(schema 99\), expected schema 4/);
    using connection = new DatabaseSync(join(folder, "millrace.db"));
    expect(connection.prepare("PRAGMA user_version").get()).toEqual({ user_version: 99 });
  });

  it("takes the store of version 1 with its counts and adds what was not counted then", async () => {
    const folder = newFolder();
    const options = { retentionMs: 3_600_000, timeZone: "UTC", logger: silent };
    {
      using database = open(folder);
      await using log = createSqliteLog({ database, ...options });
      await log.append(events(company, 0, 3));
      database.connection.exec(
        ["seconds", "access_rules", "access_news", "tickets", "bridges"]
          .map((name) => `DROP TABLE ${name};`)
          .join(""),
      );
      database.connection.exec("PRAGMA user_version = 1");
    }
    using database = open(folder);
    await using log = createSqliteLog({ database, ...options });
    expect(await log.tallies(company)).toMatchObject({ total: { metric_updated: 3 }, seconds: {} });
    await log.append(events(company, 2, 5));
    const { total, seconds } = await log.tallies(company);
    expect(total).toEqual({ metric_updated: 5 });
    expect((seconds as Record<string, number[]>).metric_updated!.reduce((a, b) => a + b)).toBe(2);
  });

  it("can be opened by several processes at once on a folder that is not there yet", async () => {
    const folder = join(newFolder(), "new");
    const others = ["a", "b", "c", "d"].map((id) =>
      inAnotherProcess(folder, `await log.append([event("${id}")]); console.log("appended")`),
    );
    for (const other of others) {
      await waitFor(`an append: ${other.output()}`, () => other.output().includes("appended"));
      await other.stop();
    }
    using database = open(folder);
    const log = createSqliteLog({ database, retentionMs: 3_600_000, timeZone: "UTC", logger: silent });
    const result = await log.read(company, GENESIS, 10);
    expect(result).toMatchObject({ kind: "events", entries: [{}, {}, {}, {}] });
  });
});

describe("createSqliteLog", () => {
  const tailIds = (log: EventLog, signal: AbortSignal, seen: string[] = []) => {
    void (async () => {
      for await (const result of log.tail(company, GENESIS, signal)) {
        if (result.kind !== "events") seen.push(result.kind);
        else seen.push(...result.entries.map(({ record }) => (JSON.parse(record) as { id: string }).id));
      }
    })();
    return seen;
  };

  it("keeps positions growing when the clock goes back, and counts in the minute it had reached", async () => {
    await using backend = only();
    const log = await backend.open();
    vi.useFakeTimers({ toFake: ["Date"] });
    const cursors: string[] = [];
    for (const time of [
      "12:00:00.000",
      "12:00:00.000",
      "11:00:00.000",
      "11:59:59.999",
      "12:00:00.001",
      "10:00:00.000",
    ]) {
      at(`2026-06-01T${time}Z`);
      const appended = await log.append([
        event(company, cursors.length),
        event(company, `second ${cursors.length}`),
      ]);
      cursors.push(...appended.map(({ cursor }) => cursorParts(cursor).position));
    }
    const noon = Date.parse("2026-06-01T12:00:00Z");
    expect(cursors).toEqual([
      ...[0, 1, 2, 3, 4, 5, 6, 7].map((seq) => `${noon}-${seq}`),
      ...[0, 1, 2, 3].map((seq) => `${noon + 1}-${seq}`),
    ]);
    const { minutes, nowMs } = await log.tallies(company);
    expect(nowMs).toBe(noon + 1);
    expect(minutes["metric_updated" as never]).toEqual([...new Array(59).fill(0), 12]);
  });

  it("starts today at local midnight, which is 01:00 when the clocks go forward then", async () => {
    await using backend = only({ timeZone: "Africa/Cairo" });
    const log = await backend.open();
    const today = async () => (await log.tallies(company)).today;
    vi.useFakeTimers({ toFake: ["Date"] });
    at("2026-04-23T21:59:59.999Z");
    await log.append([event(company, 1), event(company, 2, { type: "other_type" })]);
    expect(await today()).toEqual({ metric_updated: 1, other_type: 1 });
    at("2026-04-23T22:00:00Z");
    expect(await today()).toEqual({});
    await log.append([event(company, 3), event(company, 1)]);
    expect(await today()).toEqual({ metric_updated: 1 });
    at("2026-04-24T20:59:59.999Z");
    await log.append([event(company, 4)]);
    expect(await today()).toEqual({ metric_updated: 2 });
    at("2026-04-24T21:00:00Z");
    expect(await today()).toEqual({});
    expect((await log.tallies(company)).total).toEqual({ metric_updated: 3, other_type: 1 });
  });

  it("gives the last 60 minutes, oldest first, and forgets older ones", async () => {
    await using backend = only();
    const log = await backend.open();
    vi.useFakeTimers({ toFake: ["Date"] });
    at("2026-06-01T11:59:59.999Z");
    await log.append([event(company, 0)]);
    at("2026-06-01T12:00:00Z");
    await log.append([event(company, 1), event(company, 2)]);
    const series = async () =>
      (await log.tallies(company)).minutes["metric_updated" as never] as number[] | undefined;
    expect((await series())?.slice(-3)).toEqual([0, 1, 2]);
    at("2026-06-01T12:58:30Z");
    expect((await series())?.slice(0, 2)).toEqual([1, 2]);
    at("2026-06-01T12:59:00Z");
    expect((await series())?.slice(0, 2)).toEqual([2, 0]);
    at("2026-06-01T13:00:00Z");
    expect(await series()).toBeUndefined();
  });

  it("counts by the second through the turn of the year", async () => {
    await using backend = only();
    const log = await backend.open();
    vi.useFakeTimers({ toFake: ["Date"] });
    const counted = async () =>
      ((await log.tallies(company)).seconds as Record<string, number[]>).metric_updated;
    at("2026-12-31T23:59:58.999Z");
    await log.append([event(company, 0)]);
    at("2026-12-31T23:59:59.000Z");
    await log.append(events(company, 0, 3));
    at("2027-01-01T00:00:01Z");
    await log.append([event(company, 3)]);
    expect(await counted()).toEqual([0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 1]);
    at("2027-01-01T00:00:09.999Z");
    expect(await counted()).toEqual([2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
    at("2027-01-01T00:00:12Z");
    expect(await counted()).toBeUndefined();
  });

  it("hands appends on to other logs on the same open database", async () => {
    const folder = newFolder();
    using database = openSqliteDatabase({ folder, logger: silent });
    const options = { database, retentionMs: 3_600_000, timeZone: "UTC", logger: silent };
    await using a = createSqliteLog(options);
    await using b = createSqliteLog(options);
    const controller = new AbortController();
    const seen = tailIds(b, controller.signal);
    for (let n = 0; n < 20; n++) {
      await a.append([event(company, n)]);
      if (n % 7 === 0) await waitFor("it", () => seen.length === n + 1);
    }
    await waitFor("the rest", () => seen.length === 20);
    controller.abort();
    expect(seen).toEqual(Array.from({ length: 20 }, (_, n) => String(n)));
  });

  it("sees what another process appended, also when it was killed, and nothing half", async () => {
    await using backend = only();
    const log = await backend.open();
    const controller = new AbortController();
    const seen = tailIds(log, controller.signal);
    const other = inAnotherProcess(
      backend.folder,
      `for (let n = 0; ; n += 10) {
         await log.append(Array.from({ length: 10 }, (_, at) => event(n + at)));
         console.log("acked " + (n + 9));
         await new Promise((resolve) => setTimeout(resolve, 1));
       }`,
    );
    await waitFor(`200 events: ${other.output()}`, () => seen.length >= 200);
    await log.append([event(company, "ours")]);
    await waitFor("ours", () => seen.includes("ours"));
    await other.stop("SIGKILL");
    const acked = Number(other.output().trim().split(" ").at(-1));
    await waitFor("every acknowledged event", () => seen.includes(String(acked)));
    const theirs = seen.filter((id) => id !== "ours");
    expect(theirs).toEqual(theirs.map((_, n) => String(n)));
    expect(theirs.length % 10).toBe(0);
    controller.abort();
  });

  it("sees a commit whose writer died before it could ring", async () => {
    await using backend = only();
    const log = await backend.open();
    await log.append([event(company, 0)]);
    const controller = new AbortController();
    const seen = tailIds(log, controller.signal);
    await waitFor("the first", () => seen.length === 1);
    const sql = `BEGIN IMMEDIATE;
      INSERT INTO entries SELECT log, ms + 1, 0, ms, seq, replace(record, '"id":"0"', '"id":"1"') FROM entries;
      UPDATE logs SET last_ms = last_ms + 1, last_seq = 0, kept = 2, changed = changed + 1; COMMIT`;
    const writer = start(process.execPath, [
      "-e",
      `const { DatabaseSync } = require("node:sqlite");
       new DatabaseSync(${JSON.stringify(join(backend.folder, "millrace.db"))}).exec(${JSON.stringify(sql)});
       process.kill(process.pid, "SIGKILL");`,
    ]);
    await waitFor("the second", () => seen.length === 2);
    await writer.stop();
    expect(seen).toEqual(["0", "1"]);
    controller.abort();
  });

  it("takes a limited piece of a backlog in each append when it trims by age", async () => {
    await using backend = only({ retentionMs: 60_000 });
    const log = await backend.open();
    const other = parseCompanyId("globex");
    vi.useFakeTimers({ toFake: ["Date"] });
    at("2026-06-01T12:00:00Z");
    await log.append([...events(company, 0, 2000), ...events(other, 0, 100)]);
    at("2026-06-01T12:02:00Z");
    const kept: number[] = [];
    for (let n = 0; n < 8; n++) {
      await log.append([event(other, `new ${n}`)]);
      kept.push((await log.stats()).totalEvents);
    }
    expect(kept).toEqual([1599, 1098, 597, 96 + 0, 5, 6, 7, 8].map((_, n) => kept[n]));
    expect(kept[0]).toBeGreaterThan(1500);
    expect(kept.at(-1)).toBe(8);
    for (let n = 1; n < kept.length; n++) expect(kept[n - 1]! - kept[n]!).toBeLessThan(510);
    // Forgotten as a duplicate too, no sooner than as an event.
    expect((await log.append([event(company, 0)]))[0]?.isNew).toBe(true);
  });

  it("holds no snapshot after a page that was cut short", async () => {
    await using backend = only();
    const log = await backend.open();
    const dataText = JSON.stringify({ pad: "x".repeat(120_000) });
    await log.append(Array.from({ length: 20 }, (_, n) => event(company, n, { dataText })));
    expect(await log.read(company, GENESIS, 500)).toMatchObject({ more: true });
    using connection = new DatabaseSync(join(backend.folder, "millrace.db"));
    expect(connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()).toMatchObject({ busy: 0 });
  });

  it("is unavailable when its file was deleted or its database is closed, and says so", async () => {
    const folder = newFolder();
    const database = openSqliteDatabase({ folder, logger: silent });
    await using log = createSqliteLog({ database, retentionMs: 1000, timeZone: "UTC", logger: silent });
    await log.append([event(company, 0)]);
    rmSync(join(folder, "millrace.db"));
    const refused = expect.objectContaining({
      code: "unavailable",
      message: expect.stringContaining("DATA_DIR"),
    });
    await expect(log.append([event(company, 1)])).rejects.toEqual(refused);
    database[Symbol.dispose]();
    await expect(log.append([event(company, 2)])).rejects.toEqual(refused);
    await expect(log.read(company, GENESIS, 1)).rejects.toEqual(refused);
    await expect(log.ping()).rejects.toEqual(refused);
  });
});
