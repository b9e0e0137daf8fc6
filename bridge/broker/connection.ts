/** What the broker does with one socket: its handshake, then frames from it or frames to it. */
import type { Socket } from "node:net";
import { describeError } from "../../functions/core/errors.ts";
import type { Consumer, Delivery } from "./delivery.ts";
import {
  createAckReader,
  createFrameDecoder,
  createHandshakeReader,
  encodeMode,
  type Mode,
  type Role,
} from "./framing.ts";

/** `address:port` of the other side, for log lines. Ask while it is connected. */
export function nameOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}

/**
 * Waits for the first line of a new connection.
 * @param withinMs Milliseconds it has.
 * @param welcome Told the role, and the bytes that came behind the line.
 * @param refuse Told why there is no role.
 */
export function shakeHands(
  socket: Socket,
  withinMs: number,
  welcome: (role: Role, rest: Uint8Array) => void,
  refuse: (reason: string) => void,
): void {
  const reader = createHandshakeReader();
  const deadline = setTimeout(refuse, withinMs, `no handshake within ${withinMs} ms`);
  const read = (chunk: Uint8Array) => {
    try {
      const hello = reader.push(chunk);
      if (!hello) return;
      clearTimeout(deadline);
      socket.off("data", read);
      welcome(hello.meaning, hello.rest);
    } catch (error) {
      refuse(describeError(error));
    }
  };
  socket.on("data", read);
  socket.once("close", () => clearTimeout(deadline));
}

/**
 * Gives the messages of a producer to the delivery, and calls `accepted` when there were some.
 * @param refuse Told why it is to be closed; what came before that is accepted.
 * @param cut Told that it closed inside a frame.
 */
export function serveProducer(
  socket: Socket,
  rest: Uint8Array,
  delivery: Delivery,
  accepted: () => void,
  refuse: (reason: string) => void,
  cut: (reason: string) => void,
): void {
  const decoder = createFrameDecoder();
  const read = (chunk: Uint8Array) => {
    // With a failure nothing more comes: the socket is destroyed.
    if (decoder.failure) return;
    try {
      const bodies = decoder.push(chunk);
      if (bodies.length > 0) {
        delivery.accept(bodies, socket);
        accepted();
      }
      if (decoder.failure) refuse(describeError(decoder.failure));
    } catch (error) {
      refuse(describeError(error));
    }
  };
  read(rest);
  socket.on("data", read);
  socket.once("close", () => {
    if (decoder.heldBytes > 0 && !decoder.failure) {
      cut(`closed inside a frame, ${decoder.heldBytes} bytes of which had come`);
    }
  });
}

/**
 * Gives the consumer of the delivery on this socket, until it closes.
 * @param acks What is answered to one that acks, and why it is to be closed; undefined: it does not ack.
 */
export function serveConsumer(
  socket: Socket,
  rest: Uint8Array,
  delivery: Delivery,
  acks: { readonly mode: Mode; readonly refuse: (reason: string) => void } | undefined,
): void {
  let full = false;
  const consumer: Consumer = {
    name: nameOf(socket),
    acks: acks !== undefined,
    get ready() {
      return !full && socket.writable;
    },
    write(frames) {
      full = !socket.write(frames);
    },
  };
  socket.on("drain", () => {
    full = false;
    delivery.drained(consumer);
  });
  socket.once("close", () => delivery.leave(consumer));
  // One that does not ack has nothing more to say, but its end is to be seen.
  socket.resume();
  if (acks) socket.write(encodeMode(acks.mode));
  delivery.join(consumer);
  if (!acks) return;
  const readAcks = createAckReader();
  const read = (chunk: Uint8Array) => {
    try {
      // With a wrong one nothing more counts: the socket is destroyed.
      if (!socket.destroyed) for (const messages of readAcks(chunk)) delivery.acked(consumer, messages);
    } catch (error) {
      acks.refuse(describeError(error));
    }
  };
  read(rest);
  socket.on("data", read);
}
