/**
 * A consumer of a framed-TCP broker (framing.ts). At most once: the protocol has no acks, so what is in the bridge's memory when it dies
 * is lost. Back-pressure is TCP's: with enough messages held the socket is not read, and the broker keeps or drops them.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { BrokerSource, Decode, Decoded } from "../../functions/ports/broker-source.ts";
import { createFrameDecoder, encodeHandshake } from "../broker/framing.ts";
import { BATCH_MESSAGES, batchWithoutAcks, createIntake } from "../intake.ts";
import type { SourceEvents } from "../source-monitor.ts";

/** Milliseconds to connect in. */
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
  readonly decode: Decode;
  readonly events: SourceEvents;
}

export function createFramedTcpSource(options: FramedTcpOptions): BrokerSource {
  const { name, address, prefetch, decode, events } = options;
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const port = Number(address.slice(colon + 1));

  const lost = (was: string, cause: unknown) =>
    new MillraceError("unavailable", `Cannot read from broker "${address}": ${was}, expected it to send`, {
      cause,
    });

  return {
    name,
    acknowledges: false,
    async *deliveries(signal) {
      if (signal.aborted) return;
      const decoder = createFrameDecoder();
      const socket = connect({ host, port, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS });
      const intake = createIntake<Decoded>({
        // While one half is stored the other one is read.
        maxBatchMessages: Math.min(BATCH_MESSAGES, Math.ceil(prefetch / 2)),
        onRelease: () => {
          if (!isFull() && !signal.aborted) socket.resume();
        },
      });
      const isFull = () => intake.held.messages >= prefetch || intake.held.bytes >= MAX_HELD_BYTES;
      socket.on("error", (error) => intake.end(lost(describeError(error), error)));
      socket.on("close", () => {
        const cut = decoder.heldBytes > 0 ? " inside a message" : "";
        intake.end(lost(`the connection was closed${cut}`, undefined));
      });
      socket.on("data", (chunk: Uint8Array) => {
        try {
          for (const body of decoder.push(chunk)) {
            intake.push(decode({ subject: "", headers: {}, body, messageId: undefined }), body.byteLength);
          }
          if (decoder.failure) throw decoder.failure;
          if (isFull()) socket.pause();
        } catch (error) {
          intake.end(lost(describeError(error), error));
          socket.destroy();
        }
      });
      // What has been read is handed out: nobody will send it again.
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
          socket.write(encodeHandshake("consumer"));
          events.connected();
        }
        for (let taken = await intake.take(); taken; taken = await intake.take()) {
          yield batchWithoutAcks(taken, events);
        }
      } finally {
        signal.removeEventListener("abort", onAbort);
        const left = intake.clear().length;
        if (left > 0) events.dropped(left);
        socket.destroy();
      }
    },
  };
}
