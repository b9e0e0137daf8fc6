/**
 * Live: answers that stay open. The front (routes) has let the request in and parsed it; this serves it for as long as it lasts. In one process
 * it is the hub and the counters of the process; at Cloudflare it is a Durable Object a company. So a request is plain data.
 *
 * - **Isolation**: a request is given events of its company, or numbers of its scope, and of no other.
 * - **Access**: an answer ends at its principal's `expiresAtMs` unless it is renewed, and within a second of a revocation that concerns it.
 * - **Lifetime**: an answer ends with its client, on drain, and at the maximum connection age.
 */
import type { Cursor } from "../core/cursor.ts";
import type { FrameFormat } from "../core/encoding.ts";
import type { CompanyId, EventType } from "../core/ids.ts";
import type { Principal } from "../core/principal.ts";
import type { TextMessage } from "../core/text-message.ts";
import type { Scope, SnapshotKind } from "./counters.ts";
import type { EventStreamRequest } from "./event-stream.ts";
import type { Overflow, Refusal } from "./hub.ts";

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

export type LiveRequest = UpdatesRequest | SnapshotsRequest;

/** Whose it is; undefined: numbers over all companies. */
export function scopeOf(wanted: LiveRequest): Scope {
  return wanted.kind === "updates" ? wanted.company : wanted.scope;
}

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
  /** The feed as of now, at most a second old. @throws MillraceError `unavailable`. */
  poll(scope: Scope): Promise<TextMessage>;
  stats(): LiveStats;
}
