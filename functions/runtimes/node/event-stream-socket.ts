/**
 * OpenEventStream on Node: the response header goes out as usual, then frames go straight to the socket. The response is ended by the
 * close of the connection (RFC 9112, section 6.3, rule 8), so there is no chunked encoding, which costs half as much again as the
 * write itself (FACTS.md). What HTTP needs of a connection - parser, request, response, their listeners - is let go of: an idle stream
 * then holds little more than its socket.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { OpenEventStream } from "../../ports/event-stream.ts";
import type { Sink } from "../../ports/hub.ts";

const NOTHING = new Uint8Array(0);

export const openSocketStream: OpenEventStream = ({ env }, headers, onGone) => {
  const { outgoing } = env as { incoming: IncomingMessage; outgoing: ServerResponse };
  const { socket } = outgoing;
  if (socket === null || socket.destroyed) {
    queueMicrotask(onGone);
    return { sink: { write: () => true, onDrain() {}, end() {} }, response: RESPONSE_ALREADY_SENT };
  }
  // The header waits for the first frame, so that both are one packet.
  socket.cork();
  outgoing.removeHeader("transfer-encoding");
  outgoing.writeHead(200, { ...headers, connection: "close" });
  outgoing.flushHeaders();
  const { sink, close } = socketSink(socket);
  takeSocket(outgoing, socket, () => {
    close();
    onGone();
  });
  return { sink, response: RESPONSE_ALREADY_SENT };
};

function socketSink(socket: Socket): { sink: Sink; close: () => void } {
  let isCorked = true;
  let isFull = false;
  // `socket.destroyed` would touch the reading half as well, which with thousands of connections is not in the cache.
  let isClosed = false;
  const uncork = () => {
    if (!isCorked) return;
    isCorked = false;
    socket.uncork();
  };
  const sink: Sink = {
    write(bytes) {
      if (isClosed) return true;
      socket.write(bytes);
      uncork();
      // Nothing is left with us when the kernel has taken it all.
      if (socket.writableLength === 0) return true;
      isFull = true;
      socket.write(NOTHING, () => {
        isFull = false;
        sink.onDrain();
      });
      return false;
    },
    onDrain() {},
    end() {
      uncork();
      if (isFull) socket.destroy();
      else socket.destroySoon();
    },
  };
  return {
    sink,
    close() {
      isClosed = true;
    },
  };
}

/** The part of Node's HTTP parser that is used to give the socket back; not public, so each piece may be missing. */
interface HttpParser {
  unconsume?(): void;
  remove?(): void;
  close?(): void;
}

function takeSocket(response: ServerResponse, socket: Socket, onGone: () => void): void {
  const listen = () => {
    socket.on("error", () => socket.destroy());
    socket.once("close", onGone);
    socket.on("end", () => socket.destroy());
  };
  response.detachSocket(socket);
  listen();
  // Not now: the parser is on the stack, it has just called us.
  setImmediate(() => {
    const owned = socket as Socket & { parser?: HttpParser | null };
    const { parser } = owned;
    if (socket.destroyed || !parser?.unconsume || !parser.close) return;
    socket.removeAllListeners();
    listen();
    parser.unconsume();
    parser.remove?.();
    owned.parser = null;
    parser.close();
    // Reading goes on, because that is how the end of the connection is noticed.
    socket.on("data", () => {});
    socket.resume();
  });
}
