/**
 * OpenWebSocket on Deno's own sockets. They have no event for a drained buffer, so one timer looks at those that are full, while there
 * are any; they cannot be cut, so one whose client does not read is forgotten, and ends with its client or with the process.
 */
import { WRITE_BYTES } from "../../core/limits.ts";
import type { OpenWebSocket, WebSocketSink } from "../../ports/web-socket.ts";
import { type DenoWebSocket, deno } from "./deno.ts";

/** Bytes of a message a client may send: none is asked for; a larger one ends the connection (1009). Deno itself takes 64 MiB. */
const MAX_RECEIVED_BYTES = 1024;
/** Milliseconds between two looks at full sockets. */
const LOOK_MS = 20;
/** Milliseconds a client has to answer our close before it is forgotten; and a handshake that was cut short, to open all the same. */
const CLOSE_MS = 1_000;
const OPEN = 1;

export interface WebSocketsOptions {
  /** Milliseconds of silence after which a peer is asked whether it is there; who has not answered in the same time is gone. Whole seconds, rounded up. */
  readonly heartbeatMs: number;
}

export function createWebSockets({ heartbeatMs }: WebSocketsOptions): { readonly open: OpenWebSocket } {
  // Deno asks after half of it.
  const idleTimeout = Math.ceil(heartbeatMs / 1000) * 2;
  /** Each resolves to whether it is still full. */
  const full = new Set<() => boolean>();
  let looking: ReturnType<typeof setInterval> | undefined;

  const look = () => {
    for (const isStillFull of full) {
      if (!isStillFull()) full.delete(isStillFull);
    }
    if (full.size > 0) return;
    clearInterval(looking);
    looking = undefined;
  };
  const watch = (isStillFull: () => boolean) => {
    full.add(isStillFull);
    looking ??= setInterval(look, LOOK_MS);
  };

  return {
    open({ raw }, headers, onGone) {
      if (raw.signal.aborted || !isHandshake(raw.headers)) {
        queueMicrotask(onGone);
        return {
          sink: { send: () => true, onDrain() {}, close() {} },
          response: new Response(null, { status: 400 }),
        };
      }
      const { socket, response } = deno.upgradeWebSocket(raw, { idleTimeout });
      for (const [name, value] of Object.entries(headers)) response.headers.append(name, value);
      return { sink: sinkOf(socket, raw.signal, watch, onGone), response };
    },
  };
}

/** RFC 6455 section 4.2.1: Deno looks at neither the version nor what is in the key. */
function isHandshake(headers: Headers): boolean {
  return (
    headers.get("sec-websocket-version") === "13" &&
    /^[A-Za-z0-9+/]{22}==$/.test(headers.get("sec-websocket-key") ?? "") &&
    /(^|,)\s*upgrade\s*(,|$)/i.test(headers.get("connection") ?? "")
  );
}

function sinkOf(
  socket: DenoWebSocket,
  signal: AbortSignal,
  watch: (isStillFull: () => boolean) => void,
  onGone: () => void,
): WebSocketSink {
  /** What is sent before the handshake has gone out: Deno throws then. */
  let early: (() => void)[] | undefined = [];
  let isFull = false;
  let isGone = false;
  let forgetting: ReturnType<typeof setTimeout> | undefined;

  const gone = () => {
    if (isGone) return;
    isGone = true;
    clearTimeout(forgetting);
    signal.removeEventListener("abort", forgetSoon);
    onGone();
  };
  const forgetSoon = () => {
    forgetting ??= setTimeout(gone, CLOSE_MS);
  };
  const isStillFull = () => {
    if (isGone || socket.readyState !== OPEN) return false;
    if (socket.bufferedAmount > 0) return true;
    isFull = false;
    sink.onDrain();
    return isFull;
  };

  const sink: WebSocketSink = {
    send({ text }) {
      if (isGone || socket.readyState > OPEN) return true;
      if (early !== undefined) {
        early.push(() => socket.send(text));
        return false;
      }
      socket.send(text);
      if (!isFull && socket.bufferedAmount > WRITE_BYTES) {
        isFull = true;
        watch(isStillFull);
      }
      return !isFull;
    },
    onDrain() {},
    close(code, reason) {
      if (isGone) return;
      if (early !== undefined) {
        early.push(() => sink.close(code, reason));
        return;
      }
      const cannotRead = isFull;
      socket.close(code, reason);
      if (cannotRead) gone();
      else forgetSoon();
    },
  };
  socket.addEventListener("open", () => {
    // The request is answered, and on some settings of Deno that aborts its signal.
    signal.removeEventListener("abort", forgetSoon);
    clearTimeout(forgetting);
    forgetting = undefined;
    const sends = early ?? [];
    early = undefined;
    for (const send of sends) send();
    if (!isGone && socket.readyState === OPEN) sink.onDrain();
  });
  socket.addEventListener("message", (event) => {
    const { data } = event as MessageEvent & { readonly data: string | ArrayBuffer };
    const bytes = typeof data === "string" ? data.length : data.byteLength;
    if (bytes > MAX_RECEIVED_BYTES && !isGone) sink.close(1009, "Message is too big");
  });
  // Either may come more than once.
  socket.addEventListener("error", gone);
  socket.addEventListener("close", gone);
  // The client left before the handshake went out: no event says so.
  signal.addEventListener("abort", forgetSoon);
  if (signal.aborted) forgetSoon();
  return sink;
}
