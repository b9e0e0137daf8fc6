/**
 * Counters: how many events of each type there are, as snapshots for one company or over all of them.
 *
 * - **Exact**: numbers are the log's own tallies, so a redelivered message counts once and every instance says the same. They are at
 *   most two seconds old; a sum over companies may be older by a second for every READS_PER_SECOND companies that are busy.
 * - **Isolation**: a snapshot of one company is made of that company's log alone. Who may see all of them is the caller's to check.
 * - **Back-pressure**: a watcher that is full is given nothing; when it has drained, the newest snapshot. What lies between is skipped, so
 *   a slow one costs no memory.
 * - **Idle costs nothing**: without a watcher, and a minute after the last poll, there is no timer, no tail and no command.
 * - **Lifetime**: a watch is ended by `sink.end()`: at the maximum connection age, when nothing could be written for the idle timeout, on
 *   drain, and when it is told to.
 *   Whoever watches calls `leave()` when the client is gone (any number of times).
 */
import type { CompanyId } from "../core/ids.ts";
import type { TextMessage } from "../core/text-message.ts";
import type { Membership, Refusal } from "./hub.ts";
import type { MessageSink } from "./message-sink.ts";

/** Whose events are counted: one company's; undefined: every company's. */
export type Scope = CompanyId | undefined;

/**
 * `feed`: total, rate and newest payloads of the IBM MQ use cases, sent every second. `dashboard`: all-time, today and by minute for
 * every type, sent at most once a second, when it changed.
 */
export type SnapshotKind = "feed" | "dashboard";

/** Where snapshots for one client go. */
export type SnapshotSink = MessageSink<TextMessage>;

export interface WatchRequest {
  readonly scope: Scope;
  readonly kind: SnapshotKind;
  readonly sink: SnapshotSink;
}

export interface CountersStats {
  readonly watchers: number;
  /** Companies whose log is followed. */
  readonly companies: number;
}

export interface Counters {
  /** Why nobody may watch now; undefined: one may. `maxConnections`: watchers of that scope, default what the counters were made with. */
  refusal(scope: Scope, maxConnections?: number): Refusal | undefined;
  /** Sends a snapshot as soon as there is one. Asks nobody: see `refusal`. */
  watch(request: WatchRequest): Membership;
  /** The feed as of now, at most a second old. @throws MillraceError `unavailable`. */
  poll(scope: Scope): Promise<TextMessage>;
  stats(): CountersStats;
  /** Refuses new watchers and sends the present ones away, spread over the period. Resolves when all are gone. */
  drain(periodMs: number): Promise<void>;
}
