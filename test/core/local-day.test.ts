import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { currentDayStart, localDayStarts } from "../../functions/core/local-day.ts";

const HOUR_MS = 3_600_000;
const iso = (starts: readonly number[]) => starts.map((start) => new Date(start).toISOString().slice(0, 16));

describe("localDayStarts", () => {
  it.each([
    [
      "Asia/Karachi",
      "2026-06-15T18:59:59.999Z",
      "2026-06-13T19:00 2026-06-14T19:00 2026-06-15T19:00 2026-06-16T19:00",
    ],
    [
      "Asia/Karachi",
      "2026-06-15T19:00:00Z",
      "2026-06-14T19:00 2026-06-15T19:00 2026-06-16T19:00 2026-06-17T19:00",
    ],
    ["UTC", "2026-12-31T23:59:59Z", "2026-12-30T00:00 2026-12-31T00:00 2027-01-01T00:00 2027-01-02T00:00"],
    ["UTC", "2028-02-29T12:00:00Z", "2028-02-28T00:00 2028-02-29T00:00 2028-03-01T00:00 2028-03-02T00:00"],
    // Half-hour and three-quarter-hour zones, on both sides of Greenwich.
    [
      "Asia/Kolkata",
      "2026-01-01T00:00:00Z",
      "2025-12-30T18:30 2025-12-31T18:30 2026-01-01T18:30 2026-01-02T18:30",
    ],
    [
      "Asia/Kathmandu",
      "2026-01-01T00:00:00Z",
      "2025-12-30T18:15 2025-12-31T18:15 2026-01-01T18:15 2026-01-02T18:15",
    ],
    [
      "America/St_Johns",
      "2026-01-01T03:29:59Z",
      "2025-12-30T03:30 2025-12-31T03:30 2026-01-01T03:30 2026-01-02T03:30",
    ],
    [
      "Pacific/Kiritimati",
      "2026-01-01T10:00:00Z",
      "2025-12-31T10:00 2026-01-01T10:00 2026-01-02T10:00 2026-01-03T10:00",
    ],
    [
      "Etc/GMT+12",
      "2026-01-01T11:59:59Z",
      "2025-12-30T12:00 2025-12-31T12:00 2026-01-01T12:00 2026-01-02T12:00",
    ],
    // Clocks change at 02:00: the days are 23 and 25 hours long.
    [
      "America/New_York",
      "2026-03-08T12:00:00Z",
      "2026-03-07T05:00 2026-03-08T05:00 2026-03-09T04:00 2026-03-10T04:00",
    ],
    [
      "America/New_York",
      "2026-11-01T12:00:00Z",
      "2026-10-31T04:00 2026-11-01T04:00 2026-11-02T05:00 2026-11-03T05:00",
    ],
    // Clocks go forward at midnight: the day starts at 01:00 local time.
    [
      "Asia/Beirut",
      "2026-03-29T12:00:00Z",
      "2026-03-27T22:00 2026-03-28T22:00 2026-03-29T21:00 2026-03-30T21:00",
    ],
    [
      "Africa/Cairo",
      "2026-04-24T12:00:00Z",
      "2026-04-22T22:00 2026-04-23T22:00 2026-04-24T21:00 2026-04-25T21:00",
    ],
    // Clocks go back from 24:00 to 23:00: the day before has two hours from 23:00 to 24:00.
    [
      "Africa/Cairo",
      "2026-10-29T20:30:00Z",
      "2026-10-27T21:00 2026-10-28T21:00 2026-10-29T22:00 2026-10-30T22:00",
    ],
    [
      "Africa/Cairo",
      "2026-10-29T21:30:00Z",
      "2026-10-27T21:00 2026-10-28T21:00 2026-10-29T22:00 2026-10-30T22:00",
    ],
    // The day Samoa skipped to cross the date line.
    [
      "Pacific/Apia",
      "2011-12-31T00:00:00Z",
      "2011-12-30T10:00 2011-12-30T10:00 2011-12-31T10:00 2012-01-01T10:00",
    ],
  ])("%s at %s gives %s", (zone, now, expected) => {
    expect(iso(localDayStarts(Date.parse(now), zone)).join(" ")).toBe(expected);
  });

  it("puts every instant into one day of at most 25 hours, and agrees with itself all day long", () => {
    const zones = [
      "Asia/Karachi",
      "UTC",
      "America/New_York",
      "Africa/Cairo",
      "Asia/Beirut",
      "Australia/Lord_Howe",
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.integer({ min: Date.UTC(2015), max: Date.UTC(2035) }),
        (zone, now) => {
          const starts = localDayStarts(now, zone);
          const [yesterday, today, tomorrow, after] = starts as [number, number, number, number];
          expect(currentDayStart(starts, now)).toBe(today);
          expect(tomorrow).toBeGreaterThan(now);
          for (const length of [today - yesterday, tomorrow - today, after - tomorrow]) {
            expect(length / HOUR_MS).toBeGreaterThanOrEqual(23);
            expect(length / HOUR_MS).toBeLessThanOrEqual(25);
          }
          for (const other of [today, tomorrow - 1]) expect(localDayStarts(other, zone)).toEqual(starts);
          expect(localDayStarts(tomorrow, zone)[1]).toBe(tomorrow);
          expect(localDayStarts(today - 1, zone)[1]).toBe(yesterday);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("rejects a time zone the runtime does not know", () => {
    expect(() => localDayStarts(0, "Mars/Olympus")).toThrow(RangeError);
  });
});

describe("currentDayStart", () => {
  it("takes the greatest start that is not after now, the first when all are", () => {
    const starts = [10, 20, 30, 40];
    expect([5, 10, 19, 20, 39, 40, 1000].map((now) => currentDayStart(starts, now))).toEqual([
      10, 10, 10, 20, 30, 40, 40,
    ]);
  });
});
