/**
 * Local days of a time zone: where "today" begins. A day starts at its first instant, which is not 00:00 where the clocks go
 * forward at midnight (Africa/Cairo, Asia/Beirut), and lasts 23 to 25 hours. Rules come from the runtime's Intl data alone.
 */

interface ZoneDays {
  readonly format: Intl.DateTimeFormat;
  starts: readonly number[];
}

const DAY_MS = 86_400_000;
/** Making an Intl.DateTimeFormat costs about 50 us and a list of days some hundred formats; an append asks every time. */
const zones = new Map<string, ZoneDays>();

/**
 * Starts of the local days around `nowMs`: yesterday, today, tomorrow, the day after, in milliseconds since 1970. Two are the same
 * where a zone skipped a day (Pacific/Apia, 2011-12-30).
 * @throws RangeError when the time zone is none of the runtime's.
 */
export function localDayStarts(nowMs: number, timeZone: string): readonly number[] {
  let zone = zones.get(timeZone);
  if (zone === undefined) {
    const format = new Intl.DateTimeFormat("en-u-ca-gregory-nu-latn", {
      timeZone,
      year: "numeric",
      month: "numeric",
      day: "numeric",
    });
    zone = { format, starts: [] };
    zones.set(timeZone, zone);
  }
  const { format, starts } = zone;
  if (starts.length === 0 || nowMs < starts[1]! || nowMs >= starts[2]!) {
    const today = localDate(format, nowMs);
    zone.starts = [-1, 0, 1, 2].map((days) => startOf(format, today + days * DAY_MS));
  }
  return zone.starts;
}

/** The start of the day `nowMs` is in: the greatest of `starts` that is not after it, the first when all are. */
export function currentDayStart(starts: readonly number[], nowMs: number): number {
  return starts.findLast((start) => start <= nowMs) ?? starts[0]!;
}

/** The local date at an instant, as the UTC midnight of the same date. */
function localDate(format: Intl.DateTimeFormat, ms: number): number {
  let year = 0;
  let month = 0;
  let day = 0;
  for (const { type, value } of format.formatToParts(ms)) {
    if (type === "year") year = Number(value);
    else if (type === "month") month = Number(value);
    else if (type === "day") day = Number(value);
  }
  return Date.UTC(year, month - 1, day);
}

/** The first instant of a local date, by bisection: offsets lie between UTC-12 and UTC+14, so it is within 15 hours of UTC midnight. */
function startOf(format: Intl.DateTimeFormat, date: number): number {
  let before = date - 15 * 3_600_000;
  let from = date + 15 * 3_600_000;
  while (from - before > 1) {
    const middle = Math.floor((before + from) / 2);
    if (localDate(format, middle) >= date) from = middle;
    else before = middle;
  }
  return from;
}
