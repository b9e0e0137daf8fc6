/** OpenWebSocket on Bun's own sockets. One timer asks all of them whether they are there, while there are any. */
import type { OpenWebSocket, WebSocketSink } from "../../ports/web-socket.ts";
import type { BunServer, BunWebSocket, BunWebSocketHandlers } from "./bun.ts";

/** Bytes of a message a client may send: none is asked for; a larger one ends the connection (1009). */
const MAX_RECEIVED_BYTES = 1024;
/** Milliseconds a client has to answer our close before it is cut. */
const CLOSE_MS = 1_000;
const OPEN = 1;

/** The bindings of a request. */
export interface BunEnv {
  readonly server: BunServer;
  /** Then its answer is to be undefined. */
  isUpgraded: boolean;
}

/** What a socket carries. */
export interface Peer {
  socket: BunWebSocket<Peer> | undefined;
  isAlive: boolean;
  readonly onDrain: () => void;
  readonly onGone: () => void;
}

export interface WebSocketsOptions {
  /** Milliseconds between two pings; who has answered none of it by the next one is gone. */
  readonly heartbeatMs: number;
}

export interface WebSockets {
  readonly open: OpenWebSocket;
  /** For Bun.serve. */
  readonly handlers: BunWebSocketHandlers<Peer>;
}

export function createWebSockets({ heartbeatMs }: WebSocketsOptions): WebSockets {
  const sockets = new Set<BunWebSocket<Peer>>();
  let pinging: ReturnType<typeof setInterval> | undefined;

  const pingAll = () => {
    for (const socket of sockets) {
      const peer = socket.data;
      // A ping would wait behind what a slow client has not read yet: that is for whoever sends it to end.
      if (socket.getBufferedAmount() > 0) peer.isAlive = true;
      else if (!peer.isAlive) socket.terminate();
      else {
        peer.isAlive = false;
        socket.ping();
      }
    }
  };
  const heard = ({ data }: BunWebSocket<Peer>) => {
    data.isAlive = true;
  };

  return {
    open({ raw, env }, headers, onGone) {
      const bindings = env as BunEnv;
      let isFull = false;
      let cut: ReturnType<typeof setTimeout> | undefined;
      const sink: WebSocketSink = {
        send({ text }) {
          const { socket } = peer;
          if (socket?.readyState !== OPEN) return true;
          // Nothing is left with us when the kernel has taken it all.
          isFull = socket.sendText(text) === -1;
          return !isFull;
        },
        onDrain() {},
        close(code, reason) {
          const { socket } = peer;
          if (socket?.readyState !== OPEN) return;
          if (isFull) return socket.terminate();
          socket.close(code, reason);
          cut = setTimeout(() => socket.terminate(), CLOSE_MS);
        },
      };
      const peer: Peer = {
        socket: undefined,
        isAlive: true,
        onDrain() {
          if (!isFull) return;
          isFull = false;
          sink.onDrain();
        },
        onGone() {
          clearTimeout(cut);
          onGone();
        },
      };
      // Bun would agree to the first protocol that is offered.
      raw.headers.delete("sec-websocket-protocol");
      if (bindings.server.upgrade(raw, { headers, data: peer })) {
        bindings.isUpgraded = true;
        return { sink, response: new Response(null) };
      }
      queueMicrotask(onGone);
      return { sink, response: new Response(null, { status: 400 }) };
    },
    handlers: {
      maxPayloadLength: MAX_RECEIVED_BYTES,
      backpressureLimit: 0,
      idleTimeout: 0,
      sendPings: false,
      open(socket) {
        socket.data.socket = socket;
        sockets.add(socket);
        pinging ??= setInterval(pingAll, heartbeatMs);
      },
      message: heard,
      pong: heard,
      drain(socket) {
        if (socket.getBufferedAmount() === 0) socket.data.onDrain();
      },
      close(socket) {
        sockets.delete(socket);
        if (sockets.size === 0) {
          clearInterval(pinging);
          pinging = undefined;
        }
        socket.data.socket = undefined;
        socket.data.onGone();
      },
    },
  };
}
