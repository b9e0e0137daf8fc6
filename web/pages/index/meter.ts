/** What the page counts of one company's stream. Pure: the clock is passed in, in milliseconds since 1970. */

/** Seconds the sparkline shows. */
export const SPAN_SECONDS = 60;
/** Seconds the rate is taken over. */
const RATE_SECONDS = 5;
/** Cursors remembered to notice a duplicate: 20 s at 1,000 events/s, about 2 MB. */
const REMEMBERED_CURSORS = 20_000;

/** One second of the sparkline. */
export interface Second {
  /** Events that arrived in it. */
  live: number;
  /** Events that happened in it and were replayed later. */
  replayed: number;
  /** The stream was not live at some time in it. */
  away: boolean;
}

const NOTHING: Readonly<Second> = { live: 0, replayed: 0, away: false };

export interface Meter {
  readonly totals: Readonly<{ received: number; duplicates: number; replayed: number; gaps: number }>;
  /** Counts an event by its cursor. True: it was received before. */
  countReceived(cursor: string): boolean;
  /** Puts one event into the second it arrived in; a replayed one is counted, and put into the second it happened in. */
  plot(kind: "live" | "replayed", atMs: number): void;
  countGap(): void;
  /** The stream went away, or came back. */
  setAway(away: boolean, nowMs: number): void;
  /** Events a second over the last whole {@link RATE_SECONDS}, or over what there is of them; a replayed one counts where it happened. */
  rate(nowMs: number): number;
  /** The last {@link SPAN_SECONDS}, oldest first; the last one is under way. */
  seconds(nowMs: number): readonly Readonly<Second>[];
}

/** A meter that starts now, with nothing counted. */
export function createMeter(startMs: number): Meter {
  const totals = { received: 0, duplicates: 0, replayed: 0, gaps: 0 };
  const seen = new Set<string>();
  const bins = new Map<number, Second>();
  let awaySince: number | undefined;

  const secondOf = (ms: number): number => Math.floor(ms / 1000);

  function bin(second: number): Second {
    let found = bins.get(second);
    if (!found) {
      found = { live: 0, replayed: 0, away: false };
      bins.set(second, found);
    }
    return found;
  }

  function forget(nowMs: number): void {
    const oldest = secondOf(nowMs) - SPAN_SECONDS;
    for (const second of bins.keys()) if (second < oldest) bins.delete(second);
  }

  function markAway(toMs: number): void {
    if (awaySince === undefined) return;
    const from = Math.max(secondOf(awaySince), secondOf(toMs) - SPAN_SECONDS);
    for (let second = from; second <= secondOf(toMs); second++) bin(second).away = true;
  }

  return {
    totals,
    countReceived(cursor) {
      totals.received++;
      if (seen.has(cursor)) {
        totals.duplicates++;
        return true;
      }
      seen.add(cursor);
      if (seen.size > REMEMBERED_CURSORS) {
        for (const oldest of seen) {
          seen.delete(oldest);
          break;
        }
      }
      return false;
    },
    plot(kind, atMs) {
      bin(secondOf(atMs))[kind]++;
      if (kind === "replayed") totals.replayed++;
    },
    countGap() {
      totals.gaps++;
    },
    setAway(away, nowMs) {
      if (away) awaySince ??= nowMs;
      else {
        markAway(nowMs);
        awaySince = undefined;
      }
    },
    rate(nowMs) {
      const current = secondOf(nowMs);
      const whole = Math.min(RATE_SECONDS, Math.max(1, current - secondOf(startMs)));
      let events = 0;
      for (let back = 1; back <= whole; back++) {
        const { live, replayed } = bins.get(current - back) ?? NOTHING;
        events += live + replayed;
      }
      return events / whole;
    },
    seconds(nowMs) {
      markAway(nowMs);
      forget(nowMs);
      const current = secondOf(nowMs);
      return Array.from(
        { length: SPAN_SECONDS },
        (_, index) => bins.get(current - SPAN_SECONDS + 1 + index) ?? { live: 0, replayed: 0, away: false },
      );
    },
  };
}
