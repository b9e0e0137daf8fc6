/**
 * Broadcast: every consumer gets every message. One that does not keep up loses the newest ones, and a warning says how many. What is held for
 * a consumer ends with its connection, so that an ack has nothing to say.
 */
import type { Logger } from "../../functions/core/logger.ts";
import type { Consumer, Delivery } from "./delivery.ts";
import { createFifo, type Fifo, WRITE_BYTES } from "./fifo.ts";
import { encodeFrames } from "./framing.ts";

/** Milliseconds between two warnings about one consumer. */
const WARNING_EVERY_MS = 1000;

interface Backlog {
  /** What the consumer has not been given yet; not empty only while it is not ready. */
  readonly fifo: Fifo;
  dropped: number;
  warnedAt: number;
}

export interface BroadcastOptions {
  /** Messages held for one consumer that is not ready. */
  readonly bufferMessages: number;
  readonly logger: Logger;
}

export function createBroadcast({ bufferMessages, logger }: BroadcastOptions): Delivery {
  const backlogs = new Map<Consumer, Backlog>();
  let fresh: Uint8Array[] = [];
  let freshBytes = 0;
  let messagesIn = 0;
  let messagesOut = 0;
  let dropped = 0;

  const spread = () => {
    if (fresh.length === 0) return;
    const bodies = fresh;
    fresh = [];
    freshBytes = 0;
    // Both are made once, for all consumers that need them. A held message has memory of its own: as a view it would keep the
    // chunk it was read in, of which most may have been dropped.
    let frames: Uint8Array | undefined;
    let held: Uint8Array[] | undefined;
    for (const [consumer, backlog] of backlogs) {
      if (consumer.ready) {
        frames ??= encodeFrames(bodies);
        consumer.write(frames);
        messagesOut += bodies.length;
      } else {
        held ??= bodies.map((body) => new Uint8Array(body));
        hold(consumer, backlog, held);
      }
    }
  };

  const hold = (consumer: Consumer, backlog: Backlog, bodies: readonly Uint8Array[]) => {
    for (const body of bodies) {
      if (backlog.fifo.full) backlog.dropped++;
      else backlog.fifo.push(body);
    }
    if (backlog.dropped > 0 && Date.now() - backlog.warnedAt >= WARNING_EVERY_MS) warn(consumer, backlog);
  };

  const warn = (consumer: Consumer, backlog: Backlog) => {
    logger.warn(
      { consumer: consumer.name, dropped: backlog.dropped, bufferMessages },
      "Consumer too slow: its buffer was full and messages were dropped",
    );
    dropped += backlog.dropped;
    backlog.dropped = 0;
    backlog.warnedAt = Date.now();
  };

  return {
    accept(bodies) {
      messagesIn += bodies.length;
      for (const body of bodies) {
        fresh.push(body);
        freshBytes += body.byteLength;
        if (freshBytes >= WRITE_BYTES) spread();
      }
    },
    turn: spread,
    join(consumer) {
      // What came before it is not for it.
      spread();
      backlogs.set(consumer, { fifo: createFifo(bufferMessages), dropped: 0, warnedAt: 0 });
    },
    acked() {},
    drained(consumer) {
      const fifo = backlogs.get(consumer)?.fifo;
      while (fifo && fifo.length > 0 && consumer.ready) {
        const bodies = fifo.take(fifo.length, WRITE_BYTES);
        consumer.write(encodeFrames(bodies));
        messagesOut += bodies.length;
      }
    },
    leave(consumer) {
      const backlog = backlogs.get(consumer);
      backlogs.delete(consumer);
      if (backlog && backlog.dropped > 0) warn(consumer, backlog);
    },
    stats() {
      let buffered = fresh.length;
      let unreported = 0;
      for (const backlog of backlogs.values()) {
        buffered += backlog.fifo.length;
        unreported += backlog.dropped;
      }
      return { messagesIn, messagesOut, dropped: dropped + unreported, buffered, unacked: 0 };
    },
  };
}
