/**
 * EventLog: one ordered, replayable log a company. Truth is here alone.
 *
 * - **Append** is idempotent by `(companyId, source, id)` over at least the retention time, or the last four times as many events as
 *   a log may hold where that is less; atomic a company; and keeps the order of the batch. It resolves only when the events are as
 *   durable as the store makes them, so an ack may follow.
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
import type { LogEntry, ReadResult } from "../core/log-entry.ts";
import type { Tallies } from "../core/tallies.ts";

export type { LogEntry, ReadResult } from "../core/log-entry.ts";
export type { Tallies } from "../core/tallies.ts";

/** What became of one appended event: the cursor is the first copy's when it was a duplicate. */
export interface Appended {
  readonly cursor: Cursor;
  readonly isNew: boolean;
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
  /**
   * The newest entries of these types, at most `limit` of each, in log order. Looks through the newest LOOK_BACK_EVENTS entries of the
   * log and no others, so that a type nobody sends costs no more.
   */
  latest(company: CompanyId, types: ReadonlySet<EventType>, limit: number): Promise<readonly LogEntry[]>;
  tallies(company: CompanyId): Promise<Tallies>;
  /** Every company that has a log, also one whose events have all been trimmed. In no order. */
  companies(): Promise<readonly CompanyId[]>;
  stats(): Promise<LogStats>;
  /** Resolves when the store answers. @throws MillraceError `unavailable`. */
  ping(): Promise<void>;
}
