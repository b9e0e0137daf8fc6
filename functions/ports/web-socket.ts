/**
 * WebSocket: one accepted upgrade and the sink its messages go through (RFC 6455). The handshake, and how a peer that is gone is noticed
 * (pings, or what the runtime has for it), is a runtime's own business, so each brings its own way to open one.
 */
import type { TextMessage } from "../core/text-message.ts";
import type { EventStreamRequest } from "./event-stream.ts";

/**
 * Close codes we send (RFC 6455 section 7.4.1; 4000-4999 are for applications). A refusal is none of them: it comes before the upgrade,
 * as an HTTP status.
 */
export const CLOSE_CODES = {
  /** The instance is about to stop, or the connection is old: come back at once, a little spread. */
  goingAway: 1001,
  /** Come back, a little later. */
  tryAgainLater: 1013,
  /** The token's time is over: come back with another one. */
  expired: 4401,
  /** The token was revoked. */
  revoked: 4403,
} as const;

/** Where messages for one client go. What a client sends is read and dropped. */
export interface WebSocketSink {
  /** Sends one text message. False: full, send nothing until `onDrain` is called. */
  send(message: TextMessage): boolean;
  /** Set by who sends; the sink calls it when it can take more after a `false`. */
  onDrain: () => void;
  /** Sends what it has taken, then closes with the code and the reason (at most 123 bytes); cuts a full one, since its client does not read. */
  close(code: number, reason: string): void;
}

export interface OpenedWebSocket {
  readonly sink: WebSocketSink;
  /** What the route returns. */
  readonly response: Response;
}

/** A request to be upgraded is as a stream's: the runtime's bindings hold what is needed. */
export type WebSocketRequest = EventStreamRequest;

/**
 * Accepts the upgrade, with these headers in its answer. `onGone` is called once: when the peer is gone or closed, or when our close is on its way. Sends after that are
 * dropped. A handshake that is not in form is answered by the runtime, and `onGone` called.
 */
export type OpenWebSocket = (
  request: WebSocketRequest,
  headers: Readonly<Record<string, string>>,
  onGone: () => void,
) => OpenedWebSocket;
