/**
 * Live: answers that stay open. The front (routes) has let the request in and parsed it; this serves it for as long as it lasts. In one process
 * it is the hub and the counters of the process; at Cloudflare it is a Durable Object a company. So a request is plain data.
 *
 * - **Isolation**: a request is given events of its company, or numbers of its scope, and of no other.
 * - **Access**: an answer ends at its principal's `expiresAtMs` unless it is renewed, and within a second of a revocation that concerns it.
 * - **Lifetime**: an answer ends with its client, on drain, and at the maximum connection age.
 */
import type { Cursor } from "../core/cursor.ts";
import type { FrameFormat, Gap } from "../core/encoding.ts";
import type { EventRecord } from "../core/event.ts";
import { type CompanyId, type EventType, LOGS_COMPANY, OPERATIONS_COMPANY } from "../core/ids.ts";
import type { LogLevel } from "../core/log-line.ts";
import type { Principal } from "../core/principal.ts";
import type { TextMessage } from "../core/text-message.ts";
import type { Scope, SnapshotKind } from "./counters.ts";
import type { EventStreamRequest } from "./event-stream.ts";
import type { EndReason, Overflow, Refusal } from "./hub.ts";

interface LiveRequestBase {
  readonly transport: "sse" | "websocket";
  readonly principal: Principal;
  /** Open answers of its kind for its company; undefined: MAX_CONNECTIONS_PER_COMPANY. */
  readonly maxConnections: number | undefined;
}

/** The events of one company. */
export interface UpdatesRequest extends LiveRequestBase {
  readonly kind: "updates";
  readonly company: CompanyId;
  /** Undefined: from now on. */
  readonly after: Cursor | undefined;
  /** Undefined: every type. */
  readonly types: readonly EventType[] | undefined;
  readonly format: FrameFormat;
  readonly overflow: Overflow;
}

/** Snapshots of counters. */
export interface SnapshotsRequest extends LiveRequestBase {
  readonly kind: SnapshotKind;
  readonly scope: Scope;
}

/** The operator's services as they are: all of them first, then each that changes. Always a stream, whatever `transport` says. */
export interface StatusRequest extends LiveRequestBase {
  readonly kind: "status";
}

/** Log lines of the operator's services: the newest ones first, then live. One that is too slow is moved on to what is new. */
export interface LinesRequest extends LiveRequestBase {
  readonly kind: "lines";
  /** Undefined: the newest ones, then from now on. */
  readonly after: Cursor | undefined;
  /** Undefined: of every service. */
  readonly service: string | undefined;
  /** The least. */
  readonly level: LogLevel;
}

export type LiveRequest = UpdatesRequest | SnapshotsRequest | StatusRequest | LinesRequest;

/** Whose it is; undefined: numbers over all companies. */
export function scopeOf(wanted: UpdatesRequest | StatusRequest | LinesRequest): CompanyId;
export function scopeOf(wanted: LiveRequest): Scope;
export function scopeOf(wanted: LiveRequest): Scope {
  switch (wanted.kind) {
    case "updates":
      return wanted.company;
    case "status":
      return OPERATIONS_COMPANY;
    case "lines":
      return LOGS_COMPANY;
    default:
      return wanted.scope;
  }
}

/** Whole events, not for one client's connection. */
export type FollowRequest = Omit<UpdatesRequest, "transport" | "format">;

/** What a stream has to say, one by one. */
export type StreamItem =
  | { readonly kind: "event"; readonly cursor: Cursor; readonly record: EventRecord }
  /** `cursor`: where reading goes on. */
  | { readonly kind: "gap"; readonly cursor: Cursor; readonly gap: Omit<Gap, "after"> }
  /** What lies before it was filtered out. */
  | { readonly kind: "cursor"; readonly cursor: Cursor }
  /** Of the stream itself, by its name. */
  | { readonly kind: "notice"; readonly name: string; readonly data: unknown }
  /** Nothing was said for HEARTBEAT_MS. */
  | { readonly kind: "heartbeat" }
  /** The last one. */
  | { readonly kind: "end"; readonly reason: EndReason };

export interface LiveStats {
  /** Open streams of events here. */
  readonly connectionsByCompany: Readonly<Record<CompanyId, number>>;
  readonly isDraining: boolean;
}

export interface Live {
  /**
   * Resolves when what is appended from then on is sent to the client. `headers`: further ones of the answer.
   * @throws MillraceError `unavailable` when where it is served cannot be reached.
   */
  open(
    request: EventStreamRequest,
    wanted: LiveRequest,
    headers: Readonly<Record<string, string>>,
  ): Promise<Response | Refusal>;
  /**
   * The events of one company for whoever hands them on in a form of its own: the same, in the same order and under the same conditions as those
   * of `open`. Resolves when what is appended from then on will be among them. The iteration ends after an item `end`, and without one when the
   * signal aborts; while nobody asks for the next one, no more than WRITE_BYTES wait. It throws `unavailable` where the answer is cut on its way.
   * @throws MillraceError `unavailable` as `open`.
   */
  follow(wanted: FollowRequest, signal: AbortSignal): Promise<AsyncIterable<StreamItem> | Refusal>;
  /** The feed as of now, at most a second old. @throws MillraceError `unavailable`. */
  poll(scope: Scope): Promise<TextMessage>;
  stats(): LiveStats;
}
