/**
 * Numbers of a moment, made of tallies read before it: what was not appended to since needs no reading, only the clock. Times are by
 * the store's clock.
 */
import type { EventType } from "../core/ids.ts";
import { MAX_COUNTED_TYPES } from "../core/limits.ts";
import { currentDayStart, localDayStarts } from "../core/local-day.ts";
import { TALLIED_MINUTES, TALLIED_SECONDS, type Tallies } from "../core/tallies.ts";

/** One type's numbers. */
export interface Numbers {
  total: number;
  today: number;
  /** The last 60, oldest first; the last is the current minute. */
  readonly minutes: number[];
  /** In the last ten whole seconds. */
  lastTenSeconds: number;
}

/** Where types over MAX_COUNTED_TYPES are counted together, as the log does. */
const OTHER = "other" as EventType;

/** The sum of several companies' tallies as of `nowMs` (no earlier than any of them was read; else as of its reading). */
export function addUp(
  counts: Iterable<{ readonly tallies: Tallies; readonly nowMs: number }>,
  timeZone: string,
): Map<EventType, Numbers> {
  const sum = new Map<EventType, Numbers>();
  const numbersOf = (type: EventType): Numbers => {
    const name = sum.has(type) || sum.size < MAX_COUNTED_TYPES ? type : OTHER;
    let numbers = sum.get(name);
    if (numbers === undefined) {
      numbers = {
        total: 0,
        today: 0,
        minutes: new Array<number>(TALLIED_MINUTES).fill(0),
        lastTenSeconds: 0,
      };
      sum.set(name, numbers);
    }
    return numbers;
  };
  for (const { tallies, nowMs } of counts)
    addOne(tallies, Math.max(nowMs, tallies.nowMs), timeZone, numbersOf);
  return sum;
}

function addOne(
  { nowMs: readMs, total, today, minutes, seconds }: Tallies,
  nowMs: number,
  timeZone: string,
  numbersOf: (type: EventType) => Numbers,
): void {
  const entries = <T>(record: Readonly<Record<EventType, T>>) => Object.entries(record) as [EventType, T][];
  const passed = (lengthMs: number) => Math.floor(nowMs / lengthMs) - Math.floor(readMs / lengthMs);
  for (const [type, count] of entries(total)) numbersOf(type).total += count;
  // When the day has turned since, nothing of it is today's: what came after would have been read.
  if (currentDayStart(localDayStarts(nowMs, timeZone), nowMs) <= readMs) {
    for (const [type, count] of entries(today)) numbersOf(type).today += count;
  }
  const minutesPassed = passed(60_000);
  for (const [type, counts] of entries(minutes)) {
    const sum = numbersOf(type).minutes;
    for (let at = minutesPassed; at < TALLIED_MINUTES; at++) sum[at - minutesPassed]! += counts[at]!;
  }
  const secondsPassed = passed(1_000);
  for (const [type, counts] of entries(seconds)) {
    const end = Math.min(TALLIED_SECONDS, secondsPassed + TALLIED_SECONDS - 1);
    for (let at = secondsPassed; at < end; at++) numbersOf(type).lastTenSeconds += counts[at]!;
  }
}
