/** What was sent against what arrived: by count, by order, by id. */
import { expect } from "vitest";
import { waitFor } from "../../support/wait.ts";
import { idOf } from "./load.ts";
import type { Reader, Received } from "./reader.ts";

/** Numbers as the producers give them: from 1, one after the other. */
export function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

export interface Comparison {
  readonly count: number;
  /** Sent and not there. */
  readonly missing: readonly number[];
  /** There more than once. */
  readonly twice: readonly number[];
  /** There and never sent. */
  readonly foreign: readonly number[];
  /** `n after m`, where n is smaller. */
  readonly disorder: readonly string[];
  /** Whose id is not what was sent with the number. */
  readonly wrongIds: readonly string[];
}

/** @param ids The id each number was sent under. */
export function compare(
  sent: readonly number[],
  received: readonly Received[],
  ids: (n: number) => string = idOf,
): Comparison {
  const counts = new Map<number, number>(sent.map((n) => [n, 0]));
  const foreign: number[] = [];
  const disorder: string[] = [];
  const wrongIds: string[] = [];
  let last = 0;
  for (const { n, id } of received) {
    const count = counts.get(n);
    if (count === undefined) foreign.push(n);
    else counts.set(n, count + 1);
    if (n < last) disorder.push(`${n} after ${last}`);
    if (id !== ids(n)) wrongIds.push(`${id} of ${n}`);
    last = n;
  }
  const of = (matches: (count: number) => boolean) =>
    Array.from(counts)
      .filter(([, count]) => matches(count))
      .map(([n]) => n);
  return {
    count: received.length,
    missing: of((count) => count === 0),
    twice: of((count) => count > 1),
    foreign,
    disorder,
    wrongIds,
  };
}

/** For messages of failed tests. */
export function few<T>(items: readonly T[]): readonly (T | string)[] {
  return items.length > 10 ? [...items.slice(0, 10), `and ${items.length - 10} more`] : items;
}

/** Waits until as many have come as were sent, then holds one against the other: everything once, in order, under its own id. */
export async function expectAll(
  reader: Reader,
  sent: readonly number[],
  { from = 0, timeoutMs = 20_000 } = {},
): Promise<void> {
  await waitFor("everything to arrive", () => reader.events.length - from >= sent.length, {
    timeoutMs,
  }).catch(() => {});
  expectExactly(reader, sent, from);
}

/** The same without waiting. */
function expectExactly(reader: Reader, sent: readonly number[], from = 0): void {
  const { missing, twice, foreign, disorder, wrongIds, count } = compare(sent, reader.events.slice(from));
  const found = {
    count,
    missing: few(missing),
    twice: few(twice),
    foreign: few(foreign),
    disorder: few(disorder),
    wrongIds: few(wrongIds),
    problems: reader.problems,
  };
  // What a log that was put back to an earlier state says of itself, for who looks for the cause.
  expect(found, `gaps: ${JSON.stringify(reader.gaps)}`).toEqual({
    ...{ count: sent.length, missing: [], twice: [], foreign: [], disorder: [], wrongIds: [], problems: [] },
  });
}
