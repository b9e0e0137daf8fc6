/**
 * EventLog: one ordered, replayable log a company. Truth is here alone.
 *
 * - **Append** is idempotent by `(companyId, source, id)` over at least the retention time, atomic a company, and keeps
 *   the order of the batch. It resolves only when the events are as durable as the store makes them, so an ack may follow.
 * - **Order**: positions grow strictly within a company; two instances on one back end see the same order.
 * - **Isolation**: nothing of one company is reachable by the name of another.
 * - **Epoch**: made with the log. A cursor of another epoch, or beyond the tip, is `reset`, never silence.
 * - **Errors**: `unavailable` when the store does not answer (retryable: appending again is safe).
 * - **Lifetime**: `Symbol.asyncDispose` ends open tails and closes what the log opened itself.
 *
 * Checked by `describeEventLog` (test/contracts/event-log.ts) on every adapter.
 */
import type { Cursor } from "../core/cursor.ts";
import type { MillraceEvent } from "../core/event.ts";
import type { CompanyId, EventType } from "../core/ids.ts";
import type { ReadResult } from "../core/log-entry.ts";

export type { LogEntry, ReadResult } from "../core/log-entry.ts";

/** What became of one appended event: the cursor is the first copy's when it was a duplicate. */
export interface Appended {
  readonly cursor: Cursor;
  readonly isNew: boolean;
}

/** Exact counts of distinct events (a duplicate counts once), by event type, as of one moment. */
export interface Tallies {
  /** The last entry counted. */
  readonly at: Cursor;
  /** When they were read: milliseconds since 1970 by the store's clock. */
  readonly nowMs: number;
  readonly total: Readonly<Record<EventType, number>>;
  /** Since midnight in TODAY_TIMEZONE. */
  readonly today: Readonly<Record<EventType, number>>;
  /** The last 60 minutes, oldest first; the last is the current minute. */
  readonly minutes: Readonly<Record<EventType, readonly number[]>>;
}

/** What is kept, over all companies. */
export interface LogStats {
  readonly companies: number;
  readonly totalEvents: number;
  readonly eventsByCompany: Readonly<Record<CompanyId, number>>;
}

export interface EventLog extends AsyncDisposable {
  /** Any number of events of any companies; the results are in the same order. */
  append(events: readonly MillraceEvent[]): Promise<Appended[]>;
  /** The cursor of the newest entry; `GENESIS` when the company has no log. */
  tip(company: CompanyId): Promise<Cursor>;
  /** At most `limit` entries after the cursor (fewer when they pass PAGE_BYTES; never none while `more`). */
  read(company: CompanyId, after: Cursor, limit: number): Promise<ReadResult>;
  /**
   * Every entry after the cursor, once, in order, as it is appended, until the signal aborts; never ends by itself. A gap is
   * yielded once and reading goes on behind it. Steady state costs no read. While the store is away the tail waits and
   * tries again. Empty results are not yielded.
   */
  tail(company: CompanyId, after: Cursor, signal: AbortSignal): AsyncIterable<ReadResult>;
  tallies(company: CompanyId): Promise<Tallies>;
  stats(): Promise<LogStats>;
  /** Resolves when the store answers. @throws MillraceError `unavailable`. */
  ping(): Promise<void>;
}
