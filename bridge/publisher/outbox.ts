/**
 * The flusher: sends the outbox's rows and marks those the broker has confirmed. One process of all that share the table does, the one
 * that holds the lease.
 *
 * Order: a routing key's messages reach the broker in the order of their commits. One that the broker refuses is tried again, with
 * back-off and for good; messages of the same key wait behind it, except those of the same turn, which are on their way. Others go on.
 *
 * A row is marked after the confirm. When the process dies in between it is sent again, with the same message id.
 */
import { backoffMs, sleep } from "../../functions/core/backoff.ts";
import { describeError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { isRefusal } from "./counters.ts";
import type { OutgoingMessage } from "./message.ts";
import type { PublisherHealth } from "./options.ts";
import type { OutboxRow, OutboxTable, Settlement } from "./outbox-table.ts";
import type { Outcome } from "./outcome.ts";

/** Bounds of the delay before the next try to get at the database while the caller has a transaction open, in milliseconds. */
const BUSY = { firstMs: 2, maxMs: 50 };
/** Milliseconds the database may be out of reach before that is logged. */
const BUSY_WARN_MS = 5_000;
/** Bounds of the delay before a refused message is tried again, in milliseconds. */
const REFUSED = { baseMs: 1_000, maxMs: 60_000 };
/** Milliseconds between looks for old sent rows. */
const PURGE_EVERY_MS = 60_000;

export interface FlusherOptions {
  readonly table: OutboxTable;
  /** Names this process in the lease. Random. */
  readonly owner: string;
  readonly leaseMs: number;
  readonly pollMs: number;
  readonly keepSentMs: number;
  readonly send: (message: OutgoingMessage) => Promise<Outcome>;
  /** Told of every try. */
  readonly onOutcome: (message: OutgoingMessage, outcome: Outcome) => void;
  readonly logger: Logger;
}

export interface Flusher {
  /** There may be new rows. */
  wake(): void;
  health(): NonNullable<PublisherHealth["outbox"]>;
  /** Sends what can be sent, for at most so long, gives the lease back and ends. Never rejects. */
  close(timeoutMs: number): Promise<void>;
}

export function startFlusher(options: FlusherOptions): Flusher {
  const { table, owner, leaseMs, pollMs, keepSentMs, send, onOutcome, logger } = options;
  let closingUntil: number | undefined;
  let lastError: string | undefined;
  let wakeUp: (() => void) | undefined;
  let isWoken = false;
  let purgeAt = Date.now() + PURGE_EVERY_MS;

  /** Until `wake`, at most so long. */
  const pause = async (ms: number) => {
    if (!isWoken) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        wakeUp = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    wakeUp = undefined;
    isWoken = false;
  };
  const isOver = () => closingUntil !== undefined && Date.now() >= closingUntil;

  /** Runs it as soon as the connection is in no transaction of the caller's. Undefined when that did not come in time to close. */
  const whenFree = async <T>(body: () => T): Promise<T | undefined> => {
    const since = Date.now();
    let isWarned = false;
    for (let attempt = 0; ; attempt++) {
      try {
        return body();
      } catch (error) {
        if (!isWarned && Date.now() - since >= BUSY_WARN_MS) {
          lastError = describeError(error);
          logger.warn({ reason: lastError }, "The outbox cannot be read, or a transaction is open for long");
          isWarned = true;
        }
      }
      if (isOver()) return undefined;
      // Not to be cut short by a message that was added: its transaction is what is waited for.
      await sleep(Math.min(BUSY.maxMs, BUSY.firstMs * 2 ** attempt));
    }
  };

  const settle = async ({ seq, refusals, message }: OutboxRow): Promise<Settlement | undefined> => {
    const outcome = await send(message);
    onOutcome(message, outcome);
    if (outcome.isTaken) return { seq, isTaken: true };
    lastError = outcome.error.message;
    // Not the message's fault: it is first again.
    if (!isRefusal(outcome.reason)) return undefined;
    return {
      ...{ seq, isTaken: false, reason: outcome.error.message },
      retryAt: Date.now() + backoffMs(refusals, REFUSED),
    };
  };

  /** Turns until there is nothing to send. False when the last one got nowhere. */
  const drain = async (): Promise<boolean> => {
    let settled: Settlement[] = [];
    for (;;) {
      const taken = settled;
      const rows = await whenFree(() => table.turn(owner, leaseMs, taken));
      if (!rows || rows.length === 0) return true;
      if (isOver()) return true;
      const outcomes = await Promise.all(rows.map(settle));
      settled = outcomes.filter((outcome) => outcome !== undefined);
      if (settled.length === rows.length) continue;
      await whenFree(() => table.turn(owner, leaseMs, settled));
      return false;
    }
  };

  const run = async () => {
    for (let failures = 0; ; ) {
      // What was added before `close` was called is looked for after it.
      const isLastLook = closingUntil !== undefined;
      const hasWork = await whenFree(() => table.hasWork(owner));
      const isDrained = !hasWork || (await drain());
      failures = isDrained ? 0 : failures + 1;
      if (isOver() || (isLastLook && isDrained)) return;
      if (Date.now() >= purgeAt) {
        const isDone = await whenFree(() => table.purge(keepSentMs));
        purgeAt = Date.now() + (isDone === false ? pollMs : PURGE_EVERY_MS);
      }
      await pause(isDrained ? pollMs : backoffMs(failures, { maxMs: pollMs }));
    }
  };
  const running = run();

  const wake = () => {
    isWoken = true;
    wakeUp?.();
  };
  return {
    wake,
    health() {
      const stats = table.stats(owner);
      if (stats.pending === 0) lastError = undefined;
      return { ...stats, lastError };
    },
    async close(timeoutMs) {
      closingUntil = Date.now() + timeoutMs;
      wake();
      await running;
      await whenFree(() => table.release(owner));
    },
  };
}
