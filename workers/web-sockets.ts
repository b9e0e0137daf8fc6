/**
 * OpenWebSocket on workerd: a WebSocketPair, one end for us, one for the answer. workerd says how much of what was sent still waits
 * (`bufferedAmount`), but not when it is gone, so one timer looks while somebody is full. It has no pings, and no way to cut a peer: one that
 * has gone without a word is forgotten when a send fails, or when nothing could be sent to it for IDLE_TIMEOUT_MS.
 */
import type { OpenWebSocket, WebSocketSink } from "../functions/ports/web-socket.ts";

/** Bytes that wait from which a client is full: as many as one of a stream may hold. */
const FULL_BYTES = 64 * 1024;
/** Characters of a message a client may send: none is asked for; a larger one ends the connection (1009). */
const MAX_RECEIVED_CHARS = 1024;
/** Milliseconds between two looks at those who are full. */
const LOOK_MS = 50;

/** For one Durable Object: its timers are its own. */
export function createWebSockets(): OpenWebSocket {
  const waiting = new Map<WebSocket, () => void>();
  let looking: ReturnType<typeof setInterval> | null = null;

  const look = () => {
    for (const [socket, drained] of waiting) {
      if (socket.bufferedAmount > 0) continue;
      forget(socket);
      drained();
    }
  };
  const wait = (socket: WebSocket, drained: () => void) => {
    waiting.set(socket, drained);
    looking ??= setInterval(look, LOOK_MS);
  };
  const forget = (socket: WebSocket) => {
    waiting.delete(socket);
    if (waiting.size > 0) return;
    clearInterval(looking);
    looking = null;
  };

  return (_request, headers, onGone) => {
    const { 0: client, 1: server } = new WebSocketPair();
    let isGone = false;
    const gone = () => {
      if (isGone) return;
      isGone = true;
      forget(server);
      onGone();
    };
    // What the client sends is read and dropped.
    server.addEventListener("message", ({ data }) => {
      const size = typeof data === "string" ? data.length : data.byteLength;
      if (size > MAX_RECEIVED_CHARS) sink.close(1009, "expected no message");
    });
    server.addEventListener("close", gone);
    server.addEventListener("error", gone);
    server.accept();

    const sink: WebSocketSink = {
      send({ text }) {
        if (isGone) return true;
        try {
          server.send(text);
        } catch {
          // The peer has gone, and the event that says so is on its way.
          return true;
        }
        if (server.bufferedAmount < FULL_BYTES) return true;
        wait(server, () => sink.onDrain());
        return false;
      },
      onDrain() {},
      close(code, reason) {
        if (isGone) return;
        try {
          server.close(code, reason);
        } catch {}
        gone();
      },
    };
    return { sink, response: new Response(null, { status: 101, webSocket: client, headers }) };
  };
}
