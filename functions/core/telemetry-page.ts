/** Which part of a long list a page is, found by adding up counts: no page walks over the readings before it. */

export const HOUR_MS = 3_600_000;

/** The beginning of the hour a time is in. */
export const hourOf = (timeMs: number): number => Math.floor(timeMs / HOUR_MS) * HOUR_MS;

/** Whether a time range, both ends included, leaves out a part of the hour. */
export function isCut(hourMs: number, fromMs: number | undefined, untilMs: number | undefined): boolean {
  return (fromMs ?? hourMs) > hourMs || (untilMs ?? Number.POSITIVE_INFINITY) < hourMs + HOUR_MS - 1;
}

export interface HourCount {
  readonly hourMs: number;
  /** Readings. */
  readonly n: number;
}

export interface PagePlan {
  readonly total: number;
  /** The hours the page lies in, both included, the earlier first; undefined for an empty page. */
  readonly hours: readonly [fromMs: number, untilMs: number] | undefined;
  /** Readings to leave out, from where the page's side of these hours begins. */
  readonly skip: number;
}

/** @param counts By time, the earliest first. */
export function planPage(
  counts: readonly HourCount[],
  { order, offset, limit }: { order: "asc" | "desc"; offset: number; limit: number },
): PagePlan {
  let total = 0;
  let skip = 0;
  let first: number | undefined;
  let last: number | undefined;
  for (let at = 0; at < counts.length; at++) {
    const { hourMs, n } = counts[order === "asc" ? at : counts.length - 1 - at]!;
    if (n > 0 && total + n > offset && total < offset + limit) {
      if (first === undefined) {
        first = hourMs;
        skip = offset - total;
      }
      last = hourMs;
    }
    total += n;
  }
  if (first === undefined || last === undefined) return { total, hours: undefined, skip: 0 };
  return { total, hours: [Math.min(first, last), Math.max(first, last)], skip };
}
