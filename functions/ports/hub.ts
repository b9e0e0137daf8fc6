/**
 * Hub: one tail and one ring of encoded frames a company, however many members. A member is a cursor and a sink.
 *
 * - **Order**: what follows the cursor, replay then live, in log order, no gap and no duplicate at the seam. What cannot be
 *   replayed is said by a `gap` frame.
 * - **Isolation**: a member is given frames of the company it joined and of no other. A slow one costs the others nothing.
 * - **Back-pressure**: a sink is given at most CONNECTION_BUFFER_EVENTS events or WRITE_BYTES at a time, and nothing more until
 *   it has drained.
 * - **Lifetime**: the hub ends a membership by `sink.end()`: at the maximum connection age, when no byte could be written for the idle
 *   timeout, on drain, and when it is told to. Whoever joined calls `leave()` when the client is gone (any number of times).
 */
import type { Cursor } from "../core/cursor.ts";
import type { Encoding, FrameFormat } from "../core/encoding.ts";
import type { Histogram } from "../core/histogram.ts";
import type { CompanyId, EventType } from "../core/ids.ts";
import type { LogEntry } from "../core/log-entry.ts";

/** Where bytes for one client go. */
export interface Sink {
  /** Takes the bytes (they are shared: never change them). False: full, write nothing until `onDrain` is called. */
  write(bytes: Uint8Array): boolean;
  /** Set by the hub; the sink calls it when it can take bytes again after a `false`. */
  onDrain: () => void;
  /** Sends what it has taken, then closes; closes at once when it is full, since its client does not read. */
  end(reason?: EndReason): void;
}

/**
 * Why a connection ends. After `aged` and `draining` the client may come back at once, to this or another instance; after `expired` with another
 * token; after `revoked` not at all.
 */
export type EndReason = "expired" | "revoked" | "disabled" | "aged" | "idle" | "draining";

export type Overflow = "catch-up" | "drop-oldest";

/** Which events of its company a member is given. Of gaps it is told in any case. */
export interface EventFilter {
  /** The same for filters that let the same events through, and for no others of whatever kind: their members share what is written. */
  readonly key: string;
  /** `entry` is the same object whenever it is asked about, so that what was found out about it can be kept by it. */
  matches(type: EventType, entry: LogEntry): boolean;
}

export interface JoinRequest {
  readonly company: CompanyId;
  /** Undefined: from now on. */
  readonly after: Cursor | undefined;
  /** Undefined: every event. */
  readonly filter: EventFilter | undefined;
  readonly encoding: Encoding;
  readonly format: FrameFormat;
  /**
   * What to do for a client that cannot keep up. `catch-up`: it loses nothing the log still has. `drop-oldest`: what it came for is replayed
   * whole; from then on it is moved on to what is new rather than that anything is read again for it, and told so.
   */
  readonly overflow: Overflow;
  readonly sink: Sink;
}

export interface Membership {
  /** The client is gone: forgets it. Does not close the sink. */
  leave(): void;
  /** Sends an event of the connection itself, which is in no log. False: it could not be taken now. */
  notify(name: string, data: Readonly<Record<string, unknown>>): boolean;
  /** Sends the client away. */
  end(reason: "expired" | "revoked" | "disabled"): void;
}

/** Why a stream cannot be opened now, although it may be later. */
export type Refusal = "busy" | "draining";

export interface HubStats {
  readonly totalConnections: number;
  readonly connectionsByCompany: Readonly<Record<CompanyId, number>>;
  /** No longer takes members: the instance is about to stop. */
  readonly isDraining: boolean;
  /** Since the start. */
  readonly counters: Readonly<HubCounters>;
}

export interface HubCounters {
  /** Frames of events written, over all members. */
  deliveredFrames: number;
  /** Writes to sinks: `deliveredFrames / writes` is how well a turn coalesces. */
  writes: number;
  writtenBytes: number;
  /** Pages read from the log to catch up. */
  pageReads: number;
  /** Gaps said, by reason. */
  gaps: { expired: number; reset: number; dropped: number };
  /** Members closed because nothing could be written to them for IDLE_TIMEOUT_MS. */
  idleTimeouts: number;
  /** Members that have joined. */
  joins: number;
  /**
   * Seconds from append to sink, of the oldest new event of each turn of a company that brought somebody one. Between two clocks: the
   * store's and this process's.
   */
  readonly deliverySeconds: Histogram;
}

/** How far members have come, as of now. */
export interface HubBacklog {
  /**
   * Members by how they stand, each in one: it has everything (`current`), will get more with the next turn (`behind`), what it gets next
   * has to be read from the log (`replaying`), its sink takes nothing now (`stalled`).
   */
  readonly streams: {
    readonly current: number;
    readonly behind: number;
    readonly replaying: number;
    readonly stalled: number;
  };
  /** Events in memory that members have still to be given, over all members; some may be filtered out. What is only in the log is not counted. */
  readonly undeliveredEvents: number;
  /**
   * When the oldest event that a member has still to be given was appended, at the earliest, milliseconds since 1970: of one that reads from
   * the log it is when the last one it was given was, and 0 where it was given none. Companies whose members have everything are not in it.
   */
  readonly oldestUnreadMs: ReadonlyMap<CompanyId, number>;
}

export interface Hub {
  /** Why nobody may join now; undefined: one may. `maxConnections`: of the company here; undefined: MAX_CONNECTIONS_PER_COMPANY. */
  refusal(company: CompanyId, maxConnections?: number): Refusal | undefined;
  /** Writes the opening frames, then what follows the cursor. Asks nobody: see `refusal`. */
  join(request: JoinRequest): Membership;
  stats(): HubStats;
  /** Looks at every member. */
  backlog(): HubBacklog;
  /** Refuses new members and sends the present ones away with a jittered `retry:`, spread over the period. Resolves when all are gone. */
  drain(periodMs: number): Promise<void>;
}
