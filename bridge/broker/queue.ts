/**
 * Queue: one bounded line, each message to exactly one consumer that can take it. While the line is full, producers are not read
 * from. A message is a consumer's once it was written to its socket: the protocol has no acks, so what a socket had taken when its
 * consumer died is gone, and everything else is still in the line.
 */
import type { Consumer, Delivery, Producer } from "./delivery.ts";
import { createFifo, WRITE_BYTES } from "./fifo.ts";
import { encodeFrames } from "./framing.ts";

/** What one read from a producer brought and the line had no room for: less than 64 KiB and a message. */
interface Waiting {
  readonly producer: Producer;
  readonly bodies: readonly Uint8Array[];
  next: number;
  paused: boolean;
}

/** @param options.bufferMessages Messages in the line. */
export function createQueue({ bufferMessages }: { readonly bufferMessages: number }): Delivery {
  const line = createFifo(bufferMessages);
  const waiting: Waiting[] = [];
  // In the order of their last turn: the one that was served longest ago comes first.
  const consumers = new Set<Consumer>();
  let messagesIn = 0;
  let messagesOut = 0;

  const refill = () => {
    for (let first = waiting[0]; first && !line.full; first = waiting[0]) {
      while (first.next < first.bodies.length && !line.full) {
        line.push(first.bodies[first.next++]!);
        messagesIn++;
      }
      if (first.next < first.bodies.length) return;
      waiting.shift();
      if (first.paused) first.producer.resume();
    }
  };

  const handOut = () => {
    while (line.length > 0) {
      const ready = [...consumers].filter((consumer) => consumer.ready);
      if (ready.length === 0) return;
      const share = Math.ceil(line.length / ready.length);
      for (const consumer of ready) {
        const bodies = line.take(share, WRITE_BYTES);
        if (bodies.length === 0) break;
        consumer.write(encodeFrames(bodies));
        messagesOut += bodies.length;
        consumers.delete(consumer);
        consumers.add(consumer);
      }
      refill();
    }
  };

  return {
    accept(bodies, producer) {
      const entry: Waiting = { producer, bodies, next: 0, paused: false };
      waiting.push(entry);
      refill();
      if (entry.next < bodies.length) handOut();
      if (entry.next < bodies.length) {
        entry.paused = true;
        producer.pause();
      }
    },
    turn: handOut,
    join(consumer) {
      consumers.add(consumer);
      handOut();
    },
    drained: handOut,
    leave: (consumer) => {
      consumers.delete(consumer);
    },
    stats: () => ({ messagesIn, messagesOut, dropped: 0, buffered: line.length }),
  };
}
