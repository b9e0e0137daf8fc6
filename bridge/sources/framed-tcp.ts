/**
 * A consumer of a framed-TCP broker (framing.ts). Back-pressure is TCP's: with enough messages held the socket is not read, and the broker
 * keeps or drops them.
 *
 * - Without acks it is at most once: what is in the bridge's memory when it dies is lost.
 * - With them it is at least once, from a broker that says it keeps what is not acked; from any other one nothing is read, so that what
 *   `acknowledges` says is true. The protocol acks the oldest messages: a batch is acked to the broker once those before it are. It knows no
 *   nack: what is not stored comes again here, and goes back to the broker with the connection.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { Batch, BrokerSource, Decode, Decoded } from "../../functions/ports/broker-source.ts";
import { createFrameDecoder, createModeReader, encodeAck, encodeHandshake } from "../broker/framing.ts";
import {
  BATCH_MESSAGES,
  batchMessages,
  batchWithoutAcks,
  createIntake,
  type Intake,
  type Taken,
} from "../intake.ts";
import type { SourceEvents } from "../source-monitor.ts";

/** Milliseconds to connect in, and to be answered in. */
const CONNECT_MS = 10_000;
/** Milliseconds of silence after which TCP asks whether the broker is still there. */
const KEEP_ALIVE_MS = 15_000;
/** Bytes held before the socket is not read, whatever the number of messages. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

export interface FramedTcpOptions {
  readonly name: string;
  /** `host:port`; an IPv6 address in brackets. */
  readonly address: string;
  /** Messages held before the socket is not read; one more read of the socket (64 KiB) may come on top. */
  readonly prefetch: number;
  /** Whether the broker is to keep what is not acked: one of Millrace in queue mode does. */
  readonly acks: boolean;
  readonly decode: Decode;
  readonly events: SourceEvents;
}

interface Message {
  readonly decoded: Decoded;
  readonly bytes: number;
  isDone: boolean;
}

export function createFramedTcpSource(options: FramedTcpOptions): BrokerSource {
  const { name, address, prefetch, acks, decode, events } = options;
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const port = Number(address.slice(colon + 1));

  const lost = (was: string, cause: unknown) =>
    new MillraceError("unavailable", `Cannot read from broker "${address}": ${was}, expected it to send`, {
      cause,
    });
  // Waiting does not repair it: asked again now and then, no more.
  const withoutAcks = (was: string, cause: unknown) =>
    new MillraceError(
      "invalid-settings",
      `Cannot read from broker "${address}" with acks: ${was}, expected one of Millrace with DELIVERY_MODE=queue, or the source without acks: true`,
      { cause },
    );

  return {
    name,
    acknowledges: acks,
    async *deliveries(signal) {
      if (signal.aborted) return;
      const decoder = createFrameDecoder();
      // Until the broker has answered.
      let answer = acks ? createModeReader() : undefined;
      const socket = connect({ host, port, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
      const intake = createIntake<Message>({
        // Without acks, while one half is stored the other one is read.
        maxBatchMessages: acks ? batchMessages(prefetch) : Math.min(BATCH_MESSAGES, Math.ceil(prefetch / 2)),
        onRelease: () => {
          if (!isFull() && !signal.aborted) socket.resume();
        },
      });
      const ledger = acks ? createLedger(socket, intake) : undefined;
      const isFull = () => intake.held.messages >= prefetch || intake.held.bytes >= MAX_HELD_BYTES;
      const end = (error: MillraceError) => {
        // What cannot be acked any more comes again.
        if (acks) intake.clear();
        intake.end(error);
      };
      const answered = (chunk: Uint8Array): Uint8Array | undefined => {
        const given = answer?.push(chunk);
        if (!given) return undefined;
        if (given.meaning !== "queue")
          throw withoutAcks("it is in broadcast mode, and keeps nothing for who was cut off", undefined);
        answer = undefined;
        events.connected();
        return given.rest;
      };
      const failureOf = (error: unknown): MillraceError => {
        if (error instanceof MillraceError && error.code === "invalid-settings") return error;
        return (answer ? withoutAcks : lost)(describeError(error), error);
      };
      socket.on("error", (error) => end(lost(describeError(error), error)));
      socket.on("close", () => {
        if (answer) return end(lost("it closed the connection instead of answering CONSUMER ACK", undefined));
        const cut = decoder.heldBytes > 0 ? " inside a message" : "";
        end(lost(`the connection was closed${cut}`, undefined));
      });
      socket.on("data", (chunk: Uint8Array) => {
        try {
          const frames = answer ? answered(chunk) : chunk;
          for (const body of frames ? decoder.push(frames) : []) {
            const decoded = decode({ subject: "", headers: {}, body, messageId: undefined });
            const message = { decoded, bytes: body.byteLength, isDone: false };
            ledger?.taken(message);
            intake.push(message, message.bytes);
          }
          if (decoder.failure) throw decoder.failure;
          if (isFull()) socket.pause();
        } catch (error) {
          end(failureOf(error));
          socket.destroy();
        }
      });
      // What has been read is handed out: without acks nobody will send it again.
      const onAbort = () => {
        socket.pause();
        intake.end();
      };
      signal.addEventListener("abort", onAbort, { once: true });

      try {
        await once(socket, "connect", {
          signal: AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]),
        }).catch((cause: unknown) => {
          if (!signal.aborted) throw lost(describeError(cause), cause);
        });
        if (!signal.aborted) {
          socket.write(encodeHandshake(acks ? "consumer-ack" : "consumer"));
          if (!acks) events.connected();
        }
        const late = setTimeout(() => {
          if (answer) end(withoutAcks(`no answer within ${CONNECT_MS} ms`, undefined));
        }, CONNECT_MS);
        try {
          for (let taken = await intake.take(); taken; taken = await intake.take()) {
            yield ledger ? ledger.batch(taken) : batchWithoutAcks(decodedOf(taken), events);
          }
        } finally {
          clearTimeout(late);
        }
      } finally {
        signal.removeEventListener("abort", onAbort);
        const left = intake.clear().length;
        if (left > 0 && !acks) events.dropped(left);
        // With the last ack.
        socket.destroySoon();
      }
    },
  };
}

interface Ledger {
  taken(message: Message): void;
  batch(taken: Taken<Message>): Batch;
}

/** What was taken and not acked, on one connection, in the broker's order. */
function createLedger(socket: Socket, intake: Intake<Message>): Ledger {
  let unacked: Message[] = [];
  const settle = () => {
    const open = unacked.findIndex(({ isDone }) => !isDone);
    const done = open < 0 ? unacked.length : open;
    if (done === 0) return;
    unacked = unacked.slice(done);
    if (socket.writable) socket.write(encodeAck(done));
  };
  return {
    taken: (message) => void unacked.push(message),
    batch({ items, release }) {
      let isSettled = false;
      const settleBy = (how: () => void) => {
        if (!isSettled) how();
        isSettled = true;
        return Promise.resolve();
      };
      return {
        deliveries: items.map(({ decoded }) => decoded),
        ack: () =>
          settleBy(() => {
            for (const message of items) message.isDone = true;
            settle();
            release();
          }),
        nack: () =>
          settleBy(() => {
            release();
            if (intake.hasEnded) return;
            for (const message of items) intake.push(message, message.bytes);
          }),
      };
    },
  };
}

function decodedOf({ items, release }: Taken<Message>): Taken<Decoded> {
  return { items: items.map(({ decoded }) => decoded), release };
}
