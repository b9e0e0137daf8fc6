import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { GENESIS } from "../../functions/core/cursor.ts";
import { type EventType, parseCompanyId } from "../../functions/core/ids.ts";
import { MAX_COUNTED_TYPES } from "../../functions/core/limits.ts";
import type { Tallies } from "../../functions/core/tallies.ts";
import { addUp } from "../../functions/counters/numbers.ts";
import { createSqliteLog } from "../../functions/runtimes/node/event-log-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { event } from "../contracts/event-log-support.ts";
import { silent } from "../support/logger.ts";

const company = parseCompanyId("acme");
const at = (time: string) => Date.parse(time);
const T = "audit.txn" as EventType;

/** Tallies of one type, read at a time. */
function tallies(
  time: string,
  counts: { total?: number; today?: number; minutes?: number[]; seconds?: number[] },
) {
  const { total = 9, today = 5, minutes = [], seconds = [] } = counts;
  const padded = (numbers: number[], length: number) => [
    ...new Array(length - numbers.length).fill(0),
    ...numbers,
  ];
  return {
    at: GENESIS,
    nowMs: at(time),
    total: { [T]: total },
    today: { [T]: today },
    minutes: { [T]: padded(minutes, 60) },
    seconds: { [T]: padded(seconds, 11) },
  } as unknown as Tallies;
}
const numbersAt = (read: Tallies, time: string, timeZone = "UTC") =>
  addUp([{ tallies: read, nowMs: at(time) }], timeZone).get(T)!;

afterEach(() => {
  vi.useRealTimers();
});

describe("addUp", () => {
  it("moves the minutes and seconds along with the clock", () => {
    const read = tallies("2026-06-01T12:00:30.500Z", { minutes: [1, 2, 3], seconds: [4, 5, 6] });
    expect(numbersAt(read, "2026-06-01T12:00:30.999Z")).toMatchObject({ lastTenSeconds: 9 });
    expect(numbersAt(read, "2026-06-01T12:00:31.000Z")).toMatchObject({ lastTenSeconds: 15 });
    expect(numbersAt(read, "2026-06-01T12:00:38.999Z").lastTenSeconds).toBe(15);
    expect(numbersAt(read, "2026-06-01T12:00:39.000Z").lastTenSeconds).toBe(11);
    expect(numbersAt(read, "2026-06-01T12:00:40.000Z").lastTenSeconds).toBe(6);
    expect(numbersAt(read, "2026-06-01T12:00:41.000Z").lastTenSeconds).toBe(0);
    expect(numbersAt(read, "2026-06-01T12:00:59.999Z").minutes.slice(-3)).toEqual([1, 2, 3]);
    expect(numbersAt(read, "2026-06-01T12:01:00.000Z").minutes.slice(-3)).toEqual([2, 3, 0]);
    expect(numbersAt(read, "2026-06-01T12:58:00.000Z").minutes.slice(0, 3)).toEqual([2, 3, 0]);
    expect(numbersAt(read, "2026-06-01T13:00:00.000Z").minutes).toEqual(new Array(60).fill(0));
    expect(numbersAt(read, "2027-06-01T13:00:00.000Z").total).toBe(9);
  });

  it("takes a time before the reading for the reading's", () => {
    const read = tallies("2026-06-01T12:00:00Z", { minutes: [1, 2], seconds: [4, 5] });
    expect(numbersAt(read, "2026-06-01T11:00:00Z")).toEqual(numbersAt(read, "2026-06-01T12:00:00Z"));
  });

  it.each([
    ["UTC", "2026-12-31T23:59:59.999Z", "2027-01-01T00:00:00.000Z"],
    ["Asia/Karachi", "2026-12-31T18:59:59.999Z", "2026-12-31T19:00:00.000Z"],
    ["Asia/Kathmandu", "2026-02-28T18:14:59.999Z", "2026-02-28T18:15:00.000Z"],
    // A day of 23 hours, and one of 25.
    ["America/New_York", "2026-03-09T03:59:59.999Z", "2026-03-09T04:00:00.000Z"],
    ["America/New_York", "2026-11-02T04:59:59.999Z", "2026-11-02T05:00:00.000Z"],
    // The clocks go forward at midnight: the day begins at 01:00.
    ["Africa/Cairo", "2026-04-23T21:59:59.999Z", "2026-04-23T22:00:00.000Z"],
    // They go back at midnight: the hour from 23:00 comes twice, and is yesterday's both times.
    ["Africa/Cairo", "2026-10-29T21:59:59.999Z", "2026-10-29T22:00:00.000Z"],
  ])("begins today anew at midnight in %s, between %s and %s", (zone, before, after) => {
    const read = tallies(before, { total: 9, today: 5 });
    expect(numbersAt(read, before, zone)).toMatchObject({ total: 9, today: 5 });
    expect(numbersAt(read, after, zone)).toMatchObject({ total: 9, today: 0 });
    // What was read in the new day stays.
    expect(numbersAt(tallies(after, { today: 5 }), after, zone).today).toBe(5);
  });

  it("adds up several companies, and types over MAX_COUNTED_TYPES together", () => {
    const nowMs = at("2026-06-01T12:00:00Z");
    const one = tallies("2026-06-01T12:00:00Z", { total: 3, today: 2, minutes: [1, 1], seconds: [2, 2, 0] });
    const older = tallies("2026-06-01T11:59:59Z", { total: 4, today: 1, minutes: [5], seconds: [1, 1] });
    const sum = addUp(
      [one, older].map((read) => ({ tallies: read, nowMs })),
      "UTC",
    );
    expect(sum.get(T)).toEqual({
      total: 7,
      today: 3,
      minutes: [...new Array(58).fill(0), 6, 1],
      lastTenSeconds: 6,
    });
    const many = {
      ...one,
      total: Object.fromEntries(Array.from({ length: MAX_COUNTED_TYPES + 5 }, (_, n) => [`t${n}`, 2])),
    } as Tallies;
    const capped = addUp(
      [
        { tallies: many, nowMs },
        { tallies: one, nowMs },
      ],
      "UTC",
    );
    expect(capped.size).toBe(MAX_COUNTED_TYPES + 1);
    expect([...capped.values()].reduce((total, numbers) => total + numbers.total, 0)).toBe(
      2 * (MAX_COUNTED_TYPES + 5) + 3,
    );
  });

  it("reckons from an old reading what a new one would say, wherever the clock goes", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const zones = ["UTC", "Asia/Karachi", "America/New_York", "Africa/Cairo", "Australia/Lord_Howe"];
    const start = fc.integer({ min: Date.UTC(2025, 11, 31), max: Date.UTC(2027, 0, 2) });
    const steps = fc.array(
      fc.record({
        afterMs: fc.oneof(fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 7_200_000 })),
        types: fc.array(fc.constantFrom("a", "b", "__proto__"), { maxLength: 4 }),
      }),
      { minLength: 1, maxLength: 12 },
    );
    const laterMs = fc.oneof(
      fc.integer({ min: 0, max: 15_000 }),
      fc.integer({ min: 0, max: 5_000_000 }),
      fc.integer({ min: 0, max: 200_000_000 }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...zones),
        start,
        steps,
        laterMs,
        async (timeZone, startMs, all, later) => {
          const folder = mkdtempSync(join(tmpdir(), "millrace-numbers-"));
          try {
            using database = openSqliteDatabase({ folder, logger: silent });
            await using log = createSqliteLog({
              database,
              retentionMs: 86_400_000,
              timeZone,
              logger: silent,
            });
            let nowMs = startMs;
            let id = 0;
            for (const { afterMs, types } of all) {
              nowMs += afterMs;
              vi.setSystemTime(nowMs);
              await log.append(types.map((type) => event(company, id++, { type })));
            }
            const old = await log.tallies(company);
            const thenMs = nowMs + later;
            vi.setSystemTime(thenMs);
            const fresh = await log.tallies(company);
            const sorted = (read: Tallies) =>
              [...addUp([{ tallies: read, nowMs: thenMs }], timeZone)].sort(([a], [b]) => (a < b ? -1 : 1));
            expect(sorted(old)).toEqual(sorted(fresh));
          } finally {
            rmSync(folder, { recursive: true, force: true });
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
