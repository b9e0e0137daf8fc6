/** Which log lines a viewer is given, and where one begins who names no cursor. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Cursor, GENESIS } from "../../functions/core/cursor.ts";
import {
  encodeRecord,
  type MillraceEvent,
  parseEvent,
  recordData,
  recordType,
} from "../../functions/core/event.ts";
import { type EventType, LOGS_COMPANY } from "../../functions/core/ids.ts";
import type { LogLevel } from "../../functions/core/log-line.ts";
import { typeFilter } from "../../functions/hub/type-filter.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { createSqliteLog } from "../../functions/runtimes/node/event-log-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { type LineFilter, lineFilter } from "../../functions/services/line-filter.ts";
import { createFindLineStart } from "../../functions/services/line-start.ts";
import { silent } from "../support/logger.ts";
import { lineOf } from "./services-support.ts";

const findLineStart = (log: EventLog, filter: LineFilter) => createFindLineStart(log)(filter);
const EVERY = lineFilter({ service: undefined, level: "debug" });

let stack: AsyncDisposableStack;
const openLog = (maxEvents = 1_000_000): EventLog => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-lines-"));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const database = stack.use(openSqliteDatabase({ folder, logger: silent }));
  return stack.use(
    createSqliteLog({ database, retentionMs: 3_600_000, timeZone: "UTC", logger: silent, maxEvents }),
  );
};
beforeEach(() => {
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

/** The messages that follow the start, as far as the filter lets them through; undefined: there is a gap. */
async function shown(log: EventLog, filter = EVERY, start?: Cursor): Promise<string[] | undefined> {
  const messages: string[] = [];
  let after = start ?? (await findLineStart(log, filter));
  for (let more = true; more; ) {
    const result = await log.read(LOGS_COMPANY, after, 500);
    if (result.kind !== "events") return undefined;
    for (const entry of result.entries) {
      if (!filter.matches(recordType(entry.record), entry)) continue;
      messages.push((JSON.parse(recordData(entry.record)) as { message: string }).message);
    }
    after = result.entries.at(-1)?.cursor ?? after;
    more = result.more;
  }
  return messages;
}
const lines = (from: number, to: number, service = "s", level = "info"): MillraceEvent[] =>
  Array.from({ length: to - from }, (_, n) => lineOf(service, String(from + n), level));
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => String(from + n));

describe("findLineStart", () => {
  it.each([
    ["no line", 0, 0],
    ["one", 1, 0],
    ["as many as are shown", 200, 0],
    ["one more", 201, 1],
    ["many", 1_500, 1_300],
  ])("of %s", async (_, count, first) => {
    const log = openLog();
    await log.append(lines(0, count));
    expect(await shown(log)).toEqual(numbers(first, count));
  });

  it("begins at the newest 200 that the filter lets through, however many others lie between", async () => {
    const log = openLog();
    for (let n = 0; n < 900; n += 3) {
      await log.append([lineOf("s", String(n)), ...lines(n + 1, n + 3, "other")]);
    }
    const filter = lineFilter({ service: "s", level: "debug" });
    const every = Array.from({ length: 300 }, (_, n) => String(3 * n));
    expect(await shown(log, filter)).toEqual(every.slice(100));
  });

  it("shows fewer where there are fewer, without a gap, also where the log's beginning was trimmed", async () => {
    const log = openLog(500);
    await log.append([...lines(0, 700), ...lines(700, 710, "s", "error"), ...lines(710, 900)]);
    const filter = lineFilter({ service: undefined, level: "error" });
    expect(await shown(log, filter)).toEqual(numbers(700, 710));
    // Every line that is kept is one that is wanted.
    const few = openLog(150);
    await few.append(lines(0, 400));
    const kept = await shown(few);
    expect(kept).toEqual(numbers(400 - kept!.length, 400));
    expect(kept!.length).toBeGreaterThanOrEqual(150);
  });

  it("looks back so far and no farther, and then shows nothing from before it", async () => {
    const log = openLog();
    await log.append(lines(0, 100, "early", "error"));
    for (let n = 0; n < 5; n++) await log.append(lines(0, 500));
    await log.append(lines(0, 10, "late", "error"));
    expect(await shown(log, lineFilter({ service: undefined, level: "error" }))).toEqual(numbers(0, 10));
  });

  it("of a log without lines misses nothing that is appended from then on", async () => {
    const log = openLog();
    await log.append([
      parseEvent({ companyId: "_logs", source: "/t", id: "x", type: "audit.txn", dataText: "{}" }),
    ]);
    const start = await findLineStart(log, EVERY);
    expect(start).toBe(await log.tip(LOGS_COMPANY));
    expect(await findLineStart(openLog(), EVERY)).toBe(GENESIS);
    await log.append(lines(0, 5));
    expect(await shown(log, EVERY, start)).toEqual(numbers(0, 5));
  });
});

describe("createFindLineStart", () => {
  it("looks once for all who come at the same moment, and what is appended meanwhile is still to come for them", async () => {
    const log = openLog();
    for (let n = 0; n < 4; n++) await log.append(lines(500 * n, 500 * (n + 1)));
    const reads: number[] = [];
    let isAway = false;
    const find = createFindLineStart({
      tip: (company) => log.tip(company),
      read: (...asked) => log.read(...asked),
      async latest(company, types, limit) {
        reads.push(limit);
        if (isAway) throw new Error("away");
        return log.latest(company, types, limit);
      },
    });
    const rare = lineFilter({ service: "rare", level: "debug" });
    const starts = await Promise.all(Array.from({ length: 50 }, (_, n) => find(n % 2 ? rare : EVERY)));
    // Nothing has been appended since.
    await find(rare);
    expect(reads).toEqual([201, 2_000]);
    await log.append(lines(2_000, 2_005, "rare"));
    const late = await find(rare);
    expect(await shown(log, EVERY, await find(EVERY))).toEqual(numbers(1_805, 2_005));
    expect(await shown(log, EVERY, starts[0])).toEqual(numbers(1_800, 2_005));
    for (const start of [starts[1], late])
      expect(await shown(log, rare, start)).toEqual(numbers(2_000, 2_005));
    // What has failed is not kept.
    await log.append(lines(2_005, 2_006));
    isAway = true;
    await expect(find(EVERY)).rejects.toThrow("away");
    isAway = false;
    expect(await shown(log, EVERY, await find(EVERY))).toEqual(numbers(1_806, 2_006));
  });
});

describe("lineFilter", () => {
  const LEVELS: LogLevel[] = ["debug", "info", "warn", "error"];

  it("lets its level and worse through, of its service or all", () => {
    for (const [least, wanted] of LEVELS.entries()) {
      for (const [at, level] of LEVELS.entries()) {
        for (const service of ["a", "b"]) {
          const entry = { cursor: GENESIS, record: encodeRecord(lineOf(service, "m", level)) };
          const of = (filter: string | undefined) =>
            lineFilter({ service: filter, level: wanted }).matches("log_line" as never, entry);
          expect([of(undefined), of("a")]).toEqual([at >= least, at >= least && service === "a"]);
        }
      }
    }
  });

  it("has the name of no filter of types, which share a feed with it", () => {
    const types = ["log_line", "payments", "warn"] as EventType[];
    for (const service of ["payments", undefined]) {
      expect(lineFilter({ service, level: "warn" }).key).not.toBe(typeFilter(types).key);
      expect(lineFilter({ service, level: "warn" }).key).toMatch(/^[^a-z0-9._-]/);
    }
  });

  it("lets nothing but log lines through, and has a name of its own for each filter", () => {
    const entry = { cursor: GENESIS, record: encodeRecord(lineOf("a", "m", "error")) };
    expect(EVERY.matches("audit.txn" as never, entry)).toBe(false);
    const keys = ["a", "*a", undefined].flatMap((service) =>
      LEVELS.map((level) => lineFilter({ service, level }).key),
    );
    expect(new Set(keys).size).toBe(12);
    expect(lineFilter({ service: "a", level: "warn" }).key).toBe(
      lineFilter({ service: "a", level: "warn" }).key,
    );
  });
});
