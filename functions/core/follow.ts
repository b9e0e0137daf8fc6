/**
 * The loop of every tail: subscribe, then read up to the tip, then follow wake-ups. A wake-up carries the entries appended and the
 * cursor before them; one that does not follow on what is held costs a read of the log, never an event. Reading before the
 * subscription is up would lose what is appended in between (FACTS.md: 32-41 events in every join).
 */
import { backoffMs, sleep } from "./backoff.ts";
import { type Cursor, comparePositions, cursorParts } from "./cursor.ts";
import { describeError } from "./errors.ts";
import type { LogEntry, ReadResult } from "./log-entry.ts";
import type { Logger } from "./logger.ts";

/** Says that a log grew. */
export interface WakeUp {
  /** The cursor of the entry before the first of `entries`. */
  readonly previous: Cursor;
  readonly entries: readonly LogEntry[];
}

export interface FollowOptions {
  readonly read: (after: Cursor) => Promise<ReadResult>;
  /** Resolves when wake-ups arrive; `wake(undefined)` says that the log should be read. The function returned ends the subscription. */
  readonly subscribe: (wake: (wakeUp: WakeUp | undefined) => void) => Promise<() => void>;
  readonly after: Cursor;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

/** Wake-ups held for a consumer that is busy; beyond, they are dropped and the log is read instead, so that memory stays bounded. */
const MAX_PENDING = 64;

/** Every entry after the cursor, once and in order, until the signal aborts. Errors of the store are waited out; a gap is yielded once. */
export async function* follow({
  read,
  subscribe,
  after,
  signal,
  logger,
}: FollowOptions): AsyncGenerator<ReadResult, void, undefined> {
  let cursor = after;
  let mustRead = true;
  let pending: WakeUp[] = [];
  let rouse = () => {};
  const wake = (wakeUp: WakeUp | undefined) => {
    if (wakeUp === undefined || pending.length === MAX_PENDING) {
      mustRead = true;
      pending = [];
    } else pending.push(wakeUp);
    rouse();
  };
  const roused = () =>
    new Promise<void>((resolve) => {
      rouse = resolve;
    });
  const onAbort = () => rouse();
  signal.addEventListener("abort", onAbort);

  let unsubscribe: (() => void) | undefined;
  let failures = 0;
  try {
    while (!signal.aborted) {
      try {
        unsubscribe ??= await subscribe(wake);
        if (mustRead) {
          mustRead = false;
          // Older wake-ups are in the log by now; younger ones may be, and then do not follow on what is held.
          pending = [];
          let result: ReadResult;
          do {
            result = await read(cursor);
            failures = 0;
            if (signal.aborted) return;
            if (result.kind === "events") {
              if (result.entries.length === 0) break;
              cursor = result.entries.at(-1)!.cursor;
            } else cursor = result.resumeAfter;
            yield result;
          } while (!signal.aborted && (result.kind !== "events" || result.more));
          continue;
        }
      } catch (error) {
        mustRead = true;
        if (signal.aborted) return;
        logger.warn({ reason: describeError(error) }, "Cannot follow the event log, trying again");
        await sleep(backoffMs(failures++), signal);
        continue;
      }
      const next = pending.shift();
      if (next === undefined) {
        await roused();
        continue;
      }
      const entries = entriesAfter(next, cursor);
      if (entries === undefined) mustRead = true;
      else if (entries.length > 0) {
        cursor = entries.at(-1)!.cursor;
        yield { kind: "events", entries, more: pending.length > 0 };
      }
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    unsubscribe?.();
  }
}

/**
 * What a wake-up brings to someone who holds the cursor: all of it, the part behind the cursor, nothing when a read has brought it
 * already; undefined when it does not follow on.
 */
function entriesAfter({ previous, entries }: WakeUp, cursor: Cursor): readonly LogEntry[] | undefined {
  if (previous === cursor) return entries;
  const at = entries.findIndex((entry) => entry.cursor === cursor);
  if (at >= 0) return entries.slice(at + 1);
  const last = entries.at(-1);
  return last !== undefined && isBefore(last.cursor, cursor) ? [] : undefined;
}

function isBefore(a: Cursor, b: Cursor): boolean {
  const [left, right] = [cursorParts(a), cursorParts(b)];
  return left.epoch === right.epoch && comparePositions(left.position, right.position) < 0;
}
