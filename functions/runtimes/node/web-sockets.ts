/**
 * OpenWebSocket on Node, on `ws`: an upgrade is asked of the app as any request is, so that a refusal is an ordinary answer with its body
 * and headers, and what it accepts is completed on the spot. One timer serves all sockets, while there are any.
 */
import { once } from "node:events";
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { describeError, MillraceError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { OpenWebSocket, WebSocketSink } from "../../ports/web-socket.ts";
import { answerUpgrade, requestOf } from "./upgrade.ts";

/** Bytes of a message a client may send: none is asked for; a larger one ends the connection (1009). */
const MAX_RECEIVED_BYTES = 1024;
/** Milliseconds a client has to answer our close before it is cut. */
const CLOSE_MS = 1_000;

export interface WebSocketsOptions {
  /** Milliseconds between two pings; who has answered none of it by the next one is gone. */
  readonly heartbeatMs: number;
  readonly logger: Logger;
}

/** Disposing it cuts what is still open. */
export interface WebSockets extends AsyncDisposable {
  readonly open: OpenWebSocket;
  /**
   * Which requests Node is to hand to us (`shouldUpgradeCallback` of http.createServer): WebSocket ones to `/ws/`. All others are answered
   * as if they had not asked, as RFC 9110 section 7.8 has it; some clients offer h2c with every request.
   */
  isWanted(request: IncomingMessage): boolean;
  /** Asks `fetch` about every upgrade of the server. */
  attach(server: Server, fetch: (request: Request, env: unknown) => Response | Promise<Response>): void;
}

/** The bindings of a request to be upgraded. */
interface UpgradeEnv {
  readonly incoming: IncomingMessage;
  readonly upgrade: { readonly socket: Duplex; readonly head: Buffer; isTaken: boolean };
}

export function createWebSockets({ heartbeatMs, logger }: WebSocketsOptions): WebSockets {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // Each connection would hold some hundred KiB, and a snapshot a second is not worth it.
    perMessageDeflate: false,
    maxPayload: MAX_RECEIVED_BYTES,
    // None is spoken, so none is agreed to.
    handleProtocols: () => false,
  });
  const sockets = new Map<WebSocket, { isAlive: boolean }>();
  let pinging: NodeJS.Timeout | undefined;

  const pingAll = () => {
    for (const [socket, peer] of sockets) {
      // A ping would wait behind what a slow client has not read yet: that is for whoever sends it to end.
      if (socket.bufferedAmount > 0) peer.isAlive = true;
      else if (!peer.isAlive) socket.terminate();
      else {
        peer.isAlive = false;
        socket.ping();
      }
    }
  };

  const take = (socket: WebSocket, onGone: () => void): WebSocketSink => {
    const peer = { isAlive: true };
    sockets.set(socket, peer);
    pinging ??= setInterval(pingAll, heartbeatMs).unref();
    const heard = () => {
      peer.isAlive = true;
    };
    socket.on("pong", heard);
    socket.on("message", heard);
    // What breaks the protocol or the connection is followed by a close.
    socket.on("error", () => {});
    socket.once("close", () => {
      sockets.delete(socket);
      if (sockets.size === 0) {
        clearInterval(pinging);
        pinging = undefined;
      }
      onGone();
    });
    return sinkOf(socket);
  };

  return {
    open({ env }, headers, onGone) {
      const { incoming, upgrade } = env as Partial<UpgradeEnv>;
      // Node makes no upgrade of a request that only says what to; a proxy that drops `Connection` sends such.
      if (incoming === undefined || upgrade === undefined) {
        throw new MillraceError(
          "invalid-input",
          "Cannot open a WebSocket: no Connection: Upgrade, expected the handshake of RFC 6455",
        );
      }
      upgrade.isTaken = true;
      let sink: WebSocketSink | undefined;
      const addHeaders = (lines: string[]) => {
        for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
      };
      server.once("headers", addHeaders);
      // Calls back before it returns, or not at all: then it has answered what was wrong with the handshake, or the client is gone.
      server.handleUpgrade(incoming, upgrade.socket, upgrade.head, (socket) => {
        sink = take(socket, onGone);
      });
      server.off("headers", addHeaders);
      if (sink === undefined) queueMicrotask(onGone);
      return {
        sink: sink ?? { send: () => true, onDrain() {}, close() {} },
        response: new Response(null),
      };
    },
    isWanted: ({ url, headers }) =>
      headers.upgrade?.toLowerCase() === "websocket" && url !== undefined && url.startsWith("/ws/"),
    attach(httpServer, fetch) {
      httpServer.on("upgrade", async (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
        const ignore = () => {};
        socket.on("error", ignore);
        try {
          const request = requestOf(incoming);
          const upgrade = { socket, head, isTaken: false };
          const env: UpgradeEnv = { incoming, upgrade };
          const response =
            request === undefined ? new Response(null, { status: 400 }) : await fetch(request, env);
          if (!upgrade.isTaken) await answerUpgrade(socket, response);
        } catch (error) {
          logger.error({ reason: describeError(error) }, "Cannot answer an upgrade");
          socket.destroy();
        } finally {
          // Whoever has taken it listens for itself.
          socket.off("error", ignore);
          if (socket.listenerCount("error") === 0) socket.on("error", ignore);
        }
      });
    },
    async [Symbol.asyncDispose]() {
      const closing = Array.from(sockets.keys(), (socket) => once(socket, "close"));
      for (const socket of sockets.keys()) socket.terminate();
      await Promise.all(closing);
    },
  };
}

function sinkOf(socket: WebSocket): WebSocketSink {
  let isFull = false;
  const sink: WebSocketSink = {
    send({ utf8 }) {
      if (socket.readyState !== socket.OPEN) return true;
      socket.send(utf8, { binary: false }, () => {
        if (!isFull || socket.bufferedAmount > 0) return;
        isFull = false;
        sink.onDrain();
      });
      // Nothing is left with us when the kernel has taken it all.
      isFull = socket.bufferedAmount > 0;
      return !isFull;
    },
    onDrain() {},
    close(code, reason) {
      if (isFull) return socket.terminate();
      socket.close(code, reason);
      const cut = setTimeout(() => socket.terminate(), CLOSE_MS).unref();
      socket.once("close", () => clearTimeout(cut));
    },
  };
  return sink;
}
