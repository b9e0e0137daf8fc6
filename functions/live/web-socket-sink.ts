/** The hub's sink, and the counters', over a WebSocket: a line of JSON_LINES is a message. */
import { JSON_LINES } from "../core/json-lines.ts";
import { type TextMessage, textMessage } from "../core/text-message.ts";
import type { SnapshotSink } from "../ports/counters.ts";
import type { EndReason, Sink } from "../ports/hub.ts";
import { CLOSE_CODES, type WebSocketSink } from "../ports/web-socket.ts";

const decoder = new TextDecoder();

/** The messages of bytes that many members are given: taken apart once for all of them. */
const messagesOf = new WeakMap<Uint8Array, readonly TextMessage[]>();

function split(bytes: Uint8Array): readonly TextMessage[] {
  const known = messagesOf.get(bytes);
  if (known !== undefined) return known;
  const messages = decoder.decode(bytes).trimEnd().split("\n").map(textMessage);
  messagesOf.set(bytes, messages);
  return messages;
}

/** How each end is said in a close frame. */
const CLOSES = {
  expired: [CLOSE_CODES.expired, "the token has expired"],
  revoked: [CLOSE_CODES.revoked, "the token was revoked"],
  disabled: [CLOSE_CODES.tryAgainLater, "streaming is switched off, try again later"],
  aged: [CLOSE_CODES.goingAway, "the connection is old, connect again"],
  draining: [CLOSE_CODES.goingAway, "this instance is about to stop, connect again"],
  // Nobody reads it: a full one is cut.
  idle: [CLOSE_CODES.goingAway, "nothing could be sent for too long"],
} as const satisfies Record<EndReason, readonly [number, string]>;

/** For members whose encoding is JSON_LINES. */
export function lineSink(socket: WebSocketSink): Sink {
  const own: Sink = {
    write(bytes) {
      let isWritable = true;
      for (const message of split(bytes)) isWritable = socket.send(message);
      return isWritable;
    },
    onDrain() {},
    end(reason = "draining") {
      const [code, text] = CLOSES[reason];
      socket.close(code, text);
    },
  };
  socket.onDrain = () => own.onDrain();
  return own;
}

/** A snapshot is a message as it is. */
export function snapshotSocketSink(socket: WebSocketSink): SnapshotSink {
  const lines = lineSink(socket);
  const own: SnapshotSink = {
    send: (snapshot) => socket.send(snapshot),
    heartbeat: () => lines.write(JSON_LINES.heartbeat),
    notify: (name, data) => lines.write(JSON_LINES.notice(name, data)),
    onDrain() {},
    end: lines.end,
  };
  socket.onDrain = () => own.onDrain();
  return own;
}
