/** The producer's side of the framed-TCP broker. (The consumer's side is a source of the bridge.) */
import { once } from "node:events";
import { connect } from "node:net";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import { WRITE_BYTES } from "./fifo.ts";
import { encodeFrame, encodeHandshake } from "./framing.ts";

/** Milliseconds to connect in, and milliseconds `close` waits for the broker to read what it was sent. */
const PATIENCE_MS = 5000;

export interface ProducerClient {
  /**
   * Sends one message, joined with others of the same turn. Resolves when there is room for the next one: wait for it, or memory
   * grows. The protocol has no acks, so it does not mean that the broker has the message.
   * @throws MillraceError `invalid-input` when the body is empty or too large, `unavailable` once the connection is lost.
   */
  send(body: Uint8Array): Promise<void>;
  /**
   * Sends what is left and waits until the broker has read it, 5 s at most. Any number of times.
   * @throws MillraceError `unavailable` when the connection was lost, or something is still here after 5 s.
   */
  close(): Promise<void>;
}

/** @throws MillraceError `unavailable` when there is no connection within 5 s. */
export async function connectProducer(address: {
  readonly host: string;
  readonly port: number;
}): Promise<ProducerClient> {
  const where = `${address.host}:${address.port}`;
  const socket = connect({ ...address, noDelay: true });
  try {
    await once(socket, "connect", { signal: AbortSignal.timeout(PATIENCE_MS) });
  } catch (cause) {
    socket.destroy();
    throw unavailable(`Cannot connect to broker "${where}": ${describeError(cause)}`, cause);
  }

  let lost: MillraceError | undefined;
  let frames: Uint8Array[] = [encodeHandshake("producer")];
  let bytes = 0;
  // Set while the socket has more than it should hold; who sends waits for it.
  let room: PromiseWithResolvers<void> | undefined;

  const flush = () => {
    if (frames.length === 0) return;
    const joined = Buffer.concat(frames);
    frames = [];
    bytes = 0;
    if (!socket.write(joined)) room ??= Promise.withResolvers();
  };
  const roomAgain = () => {
    room?.resolve();
    room = undefined;
  };
  socket.on("drain", roomAgain);
  let cause: unknown;
  socket.on("error", (error) => {
    cause = error;
  });
  // The broker's own end of the connection comes when it has read everything.
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      lost = unavailable(`Cannot send to broker "${where}": the connection is closed`, cause);
      roomAgain();
      resolve();
    });
  });
  socket.resume();
  flush();

  const end = async () => {
    if (lost) throw lost;
    flush();
    socket.end();
    const deadline = setTimeout(() => socket.destroy(), PATIENCE_MS);
    await closed;
    clearTimeout(deadline);
    if (cause || !socket.writableFinished) {
      throw unavailable(`Cannot flush to broker "${where}": it does not read`, cause);
    }
  };
  let ended: Promise<void> | undefined;

  return {
    async send(body) {
      if (lost) throw lost;
      const frame = encodeFrame(body);
      if (frames.length === 0) setImmediate(flush);
      frames.push(frame);
      bytes += frame.byteLength;
      if (bytes >= WRITE_BYTES) flush();
      if (!room) return;
      await room.promise;
      if (lost) throw lost;
    },
    close() {
      ended ??= end();
      return ended;
    },
  };
}

function unavailable(message: string, cause: unknown): MillraceError {
  return new MillraceError("unavailable", `${message}, expected a running broker`, { cause });
}
