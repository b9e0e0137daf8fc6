/** Snapshots of `/stream/dashboard` and what the page makes of them: which keys are shown, in which order, and their sums. Pure. */
import { matchesTopic, type Topics, wordsOf } from "./topic.ts";

export interface Counts {
  readonly total: number;
  readonly today: number;
  /** Sixty, oldest first; the last is the minute under way. */
  readonly minutes: readonly number[];
}

export interface Snapshot {
  readonly timeZone: string;
  /** Of the store, milliseconds since 1970. */
  readonly timeMs: number;
  readonly counters: Readonly<Record<string, Counts>>;
}

/** One key as the table shows it. */
export interface KeyCounts extends Counts {
  readonly key: string;
}

export const COLUMNS = ["key", "total", "today", "minute"] as const;
export type Column = (typeof COLUMNS)[number];

export interface Order {
  readonly column: Column;
  readonly descending: boolean;
}

const MINUTES = 60;
const MINUTE_MS = 60_000;

/** From the text of an event `dashboard`. */
export function parseSnapshot(data: string): Snapshot {
  const { timeZone, time, counters } = JSON.parse(data) as {
    timeZone: string;
    time: string;
    counters: Record<string, Counts>;
  };
  return { timeZone, timeMs: Date.parse(time), counters };
}

/** The last minute that is over. */
export function lastMinute({ minutes }: Counts): number {
  return minutes.at(-2) ?? 0;
}

/** The minutes of a snapshot, seconds since 1970, oldest first. */
export function minuteTimes({ timeMs }: Snapshot): number[] {
  const newest = Math.floor(timeMs / MINUTE_MS) * 60;
  return Array.from({ length: MINUTES }, (_, index) => newest - (MINUTES - 1 - index) * 60);
}

/** Tells the keys that are meant: all where there is no pattern. Remembers what it has told. */
export function createFilter({ patterns }: Topics): (key: string) => boolean {
  const known = new Map<string, boolean>();
  return (key) => {
    let isMeant = known.get(key);
    if (isMeant === undefined) {
      const words = wordsOf(key);
      isMeant = patterns.length === 0 || patterns.some((pattern) => matchesTopic(pattern, words));
      known.set(key, isMeant);
    }
    return isMeant;
  };
}

/** The keys that are meant, in order; those that are alike by their names. */
export function arrange(
  { counters }: Snapshot,
  isMeant: (key: string) => boolean,
  { column, descending }: Order,
): KeyCounts[] {
  const keys = Object.entries(counters)
    .filter(([key]) => isMeant(key))
    .map(([key, counts]) => ({ key, ...counts }));
  const byKey = (a: KeyCounts, b: KeyCounts) => (a.key < b.key ? -1 : 1);
  const sign = descending ? -1 : 1;
  if (column === "key") return keys.sort((a, b) => sign * byKey(a, b));
  const value = (counts: KeyCounts) => (column === "minute" ? lastMinute(counts) : counts[column]);
  return keys.sort((a, b) => sign * (value(a) - value(b)) || byKey(a, b));
}

export function sum(keys: readonly Counts[]): Counts {
  const minutes = new Array<number>(MINUTES).fill(0);
  let total = 0;
  let today = 0;
  for (const counts of keys) {
    total += counts.total;
    today += counts.today;
    counts.minutes.forEach((count, index) => {
      minutes[index] = (minutes[index] ?? 0) + count;
    });
  }
  return { total, today, minutes };
}
