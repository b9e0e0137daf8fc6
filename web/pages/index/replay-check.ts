/**
 * Proves, after the stream was away, that nothing was lost: asks the log itself (`/stream/history`) what came after the last cursor,
 * and compares that with what the stream replays. Until the two agree, or cannot any more, the events are held, so that they
 * are shown in order and marked as what they are.
 */

import type { StreamEvent } from "../../client/connect.ts";
import type { HistoryEntry } from "./history.ts";

/** An event that came while the check was on. */
export interface HeldEvent {
  readonly event: StreamEvent;
  /** When it arrived, milliseconds since 1970. */
  readonly atMs: number;
  /** It was received before. */
  readonly isDuplicate: boolean;
}

/** What came of it. */
export interface ReplayReport {
  /** When the stream was lost, milliseconds since 1970. */
  readonly sinceMs: number;
  /** Milliseconds from then to its return. */
  readonly awayMs: number;
  /** What the log holds of that time: cursor to when it happened. Empty when it could not be asked. */
  readonly missed: ReadonlyMap<string, number>;
  /** How many of those the stream did not bring. */
  readonly lost: number;
  /** How many events came twice since. */
  readonly twice: number;
  /** Reasons of the gaps the stream has said since. */
  readonly gaps: readonly string[];
  /** Why the log could not be compared with; undefined when it was. */
  readonly problem: string | undefined;
  /** What came since, in order. */
  readonly held: readonly HeldEvent[];
}

export interface ReplayCheck {
  /** The stream is about to be opened again: asks the log at that very moment. */
  ask(): void;
  /** The stream is lost again before the report: what it still owes can come later. */
  away(): void;
  /** The stream is back. */
  back(atMs: number): void;
  hold(held: HeldEvent): void;
  holdGap(reason: string): void;
  /** Forgets it; no report comes. */
  cancel(): void;
}

export interface ReplayCheckOptions {
  /** When the stream went away, milliseconds since 1970. */
  readonly sinceMs: number;
  /** What the log holds after the last cursor. */
  readHistory(signal: AbortSignal): Promise<readonly HistoryEntry[]>;
  onReport(report: ReplayReport): void;
  /** Milliseconds after the return at which the comparison is given up. Default 10,000. */
  readonly deadlineMs?: number;
}

/** A check that starts with the loss of the stream and ends with one report. */
export function createReplayCheck(options: ReplayCheckOptions): ReplayCheck {
  const { sinceMs, deadlineMs = 10_000 } = options;
  const held: HeldEvent[] = [];
  const came = new Set<string>();
  const gaps: string[] = [];
  let missed: Map<string, number> | undefined;
  let last: string | undefined;
  let problem: string | undefined;
  let backMs: number | undefined;
  let question = new AbortController();
  let deadline: ReturnType<typeof setTimeout> | undefined;
  let over = false;

  function finish(): void {
    over = true;
    question.abort();
    clearTimeout(deadline);
    const expected = problem === undefined && missed ? missed : new Map<string, number>();
    let lost = 0;
    for (const cursor of expected.keys()) if (!came.has(cursor)) lost++;
    const twice = held.filter((one) => one.isDuplicate).length;
    options.onReport({
      ...{ sinceMs, awayMs: (backMs ?? sinceMs) - sinceMs, missed: expected, lost, twice, gaps, held },
      problem: problem ?? (missed ? undefined : "the history did not answer in time"),
    });
  }

  function evaluate(): void {
    if (over || backMs === undefined) return;
    const compared = missed && (last === undefined || came.has(last) || held.some(isBeyond));
    if (compared || problem !== undefined) finish();
  }

  /** The stream keeps log order: an event beyond the last one expected means that the rest has come or never will. */
  function isBeyond({ event, isDuplicate }: HeldEvent): boolean {
    return missed !== undefined && !missed.has(event.cursor) && !isDuplicate;
  }

  return {
    ask() {
      question.abort();
      question = new AbortController();
      const { signal } = question;
      missed = undefined;
      problem = undefined;
      options.readHistory(signal).then(
        (entries) => {
          if (signal.aborted) return;
          missed = new Map(entries.map(({ cursor, timeMs }) => [cursor, timeMs]));
          last = entries.at(-1)?.cursor;
          evaluate();
        },
        (error: unknown) => {
          if (signal.aborted) return;
          problem = error instanceof Error ? error.message : String(error);
          evaluate();
        },
      );
    },
    away() {
      backMs = undefined;
      clearTimeout(deadline);
      deadline = undefined;
    },
    back(atMs) {
      if (over) return;
      backMs = atMs;
      deadline ??= setTimeout(finish, deadlineMs);
      evaluate();
    },
    hold(one) {
      if (over) return;
      held.push(one);
      came.add(one.event.cursor);
      // Before the log has answered there is nothing to compare with; after, each event is looked at once.
      if (missed && backMs !== undefined && (one.event.cursor === last || isBeyond(one))) finish();
    },
    holdGap(reason) {
      gaps.push(reason);
    },
    cancel() {
      over = true;
      question.abort();
      clearTimeout(deadline);
    },
  };
}
