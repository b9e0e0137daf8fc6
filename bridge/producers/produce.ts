/** Sends messages at a pace. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { sleep } from "../../functions/core/backoff.ts";
import type { Message, Send } from "./message.ts";

/** Milliseconds of delay that are made up for by sending faster; what is later than that is forgotten, so that no flood follows a stall. */
const CATCH_UP_MS = 1000;
/** Messages sent without a pause after which the event loop gets a turn, so that an abort and the sockets are heard. */
const TURN_MESSAGES = 256;

/** Time; a test passes its own. */
export interface Clock {
  /** Milliseconds that only grow. */
  now(): number;
  sleep(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

export interface ProduceOptions {
  readonly messages: Iterable<Message> | AsyncIterable<Message>;
  readonly send: Send;
  /** Above 0; `Infinity`: as fast as they are taken. */
  readonly ratePerSecond: number;
  /** What the rate is multiplied with at a time of the clock, above 0. Default always 1. */
  readonly pace?: ((atMs: number) => number) | undefined;
  /** Messages to send; undefined: until there are no more. */
  readonly count?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * Sends message n at n / rate seconds after the first, so the rate does not drift with the timers: several go out at once
 * where they are due at once. Returns how many were sent, when the count is reached, the messages end or the signal aborts.
 */
export async function produce({
  messages,
  send,
  ratePerSecond,
  pace = () => 1,
  count = Number.POSITIVE_INFINITY,
  signal,
  clock = { now: () => performance.now(), sleep },
}: ProduceOptions): Promise<number> {
  const intervalMs = 1000 / ratePerSecond;
  let sent = 0;
  let unpaused = 0;
  // When the next message is due.
  let dueMs = clock.now();
  // One listener that ends the present wait, however many there are.
  let interrupt = () => {};
  const abort = () => interrupt();
  signal?.addEventListener("abort", abort);
  const unlessAborted = (promise: Promise<void>) =>
    new Promise<boolean>((resolve, reject) => {
      interrupt = () => resolve(false);
      promise.then(() => resolve(true), reject);
    });
  const iterator =
    Symbol.asyncIterator in messages ? messages[Symbol.asyncIterator]() : messages[Symbol.iterator]();
  try {
    while (sent < count && !signal?.aborted) {
      const waitMs = dueMs - clock.now();
      if (waitMs > 0) {
        await clock.sleep(waitMs, signal);
        unpaused = 0;
      } else {
        dueMs = Math.max(dueMs, clock.now() - CATCH_UP_MS);
        if (++unpaused % TURN_MESSAGES === 0) await nextTurn();
      }
      if (signal?.aborted) break;
      // Made when it is due, not before: it says what time it is.
      const { done, value: message } = await iterator.next();
      if (done || !(await unlessAborted(send(message)))) break;
      dueMs += intervalMs / pace(dueMs);
      sent++;
    }
    return sent;
  } finally {
    signal?.removeEventListener("abort", abort);
    await iterator.return?.();
  }
}
