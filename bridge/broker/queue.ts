/**
 * Queue: one bounded line, each message to exactly one consumer that can take it. While the line is full, producers are not read from.
 *
 * What is with a consumer that acks stays the queue's until it is acked: when the connection ends it comes before everything that waits, in
 * the order in which the messages came, so that consumers that die one after the other change no order. A consumer without acks owns a
 * message once it was written to its socket: what that had taken when the consumer died is gone.
 */
import { MillraceError } from "../../functions/core/errors.ts";
import type { Consumer, Delivery, Producer } from "./delivery.ts";
import { createFifo, WRITE_BYTES } from "./fifo.ts";
import { encodeFrames } from "./framing.ts";

/**
 * Messages and bytes one consumer may have and not have acked: twice what a bridge takes by default, so that the next are on their way
 * while it stores. The bytes may be passed by one write. Before raising them: they are kept here once a consumer.
 */
export const WINDOW_MESSAGES = 2000;
export const WINDOW_BYTES = 16 * 1024 * 1024;

/** What one read from a producer brought and the line had no room for: less than 64 KiB and a message. */
interface Waiting {
  readonly producer: Producer;
  readonly bodies: readonly Uint8Array[];
  next: number;
  paused: boolean;
}

/** A message that was handed out. */
interface Out {
  /** Grows in the order in which the messages came. */
  readonly place: number;
  readonly body: Uint8Array;
}

/** What a consumer that acks has, oldest first. */
interface Window {
  out: Out[];
  bytes: number;
}

/** @param options.bufferMessages Messages in the line. */
export function createQueue({ bufferMessages }: { readonly bufferMessages: number }): Delivery {
  const line = createFifo(bufferMessages);
  const waiting: Waiting[] = [];
  // In the order of their last turn: the one that was served longest ago comes first. With its window, where it acks.
  const consumers = new Map<Consumer, Window | undefined>();
  // What consumers that are gone had not acked, in the order it came: all of it from before the line. No more than their windows had.
  let returned: Out[] = [];
  let places = 0;
  let messagesIn = 0;
  let messagesOut = 0;

  const held = () => returned.length + line.length;

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

  /** The oldest messages there are: of those that came back, or of the line. */
  const take = (maxMessages: number): Out[] => {
    if (returned.length === 0) {
      return line.take(maxMessages, WRITE_BYTES).map((body) => ({ place: places++, body }));
    }
    let count = 0;
    for (let bytes = 0; count < Math.min(maxMessages, returned.length); count++) {
      bytes += returned[count]!.body.byteLength;
      if (count > 0 && bytes > WRITE_BYTES) break;
    }
    return returned.splice(0, count);
  };

  const handOut = () => {
    while (held() > 0) {
      const ready = [...consumers].filter(([consumer, window]) => consumer.ready && roomIn(window) > 0);
      if (ready.length === 0) return;
      const share = Math.ceil(held() / ready.length);
      for (const [consumer, window] of ready) {
        const out = take(Math.min(share, roomIn(window)));
        if (out.length === 0) break;
        const frames = encodeFrames(out.map(({ body }) => body));
        if (window) {
          window.out.push(...out);
          window.bytes += frames.byteLength;
        }
        consumer.write(frames);
        messagesOut += out.length;
        consumers.delete(consumer);
        consumers.set(consumer, window);
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
      consumers.set(consumer, consumer.acks ? { out: [], bytes: 0 } : undefined);
      handOut();
    },
    acked(consumer, messages) {
      const window = consumers.get(consumer);
      const has = window?.out.length ?? 0;
      if (!window || messages < 1 || messages > has) {
        const was = `it has ${has} that are not acked`;
        throw new MillraceError(
          "invalid-input",
          `Cannot ack ${messages} messages: ${was}, expected 1 to that many`,
        );
      }
      window.out.splice(0, messages);
      window.bytes = sizeOf(window.out);
      handOut();
    },
    drained: handOut,
    leave: (consumer) => {
      const window = consumers.get(consumer);
      consumers.delete(consumer);
      if (!window || window.out.length === 0) return;
      returned = [...returned, ...window.out].sort((one, other) => one.place - other.place);
      handOut();
    },
    stats: () => {
      let unacked = 0;
      for (const window of consumers.values()) unacked += window?.out.length ?? 0;
      return { messagesIn, messagesOut, dropped: 0, buffered: held(), unacked };
    },
  };
}

/** Messages that a consumer with this window may be given. */
function roomIn(window: Window | undefined): number {
  if (!window) return Number.POSITIVE_INFINITY;
  return window.bytes >= WINDOW_BYTES ? 0 : WINDOW_MESSAGES - window.out.length;
}

function sizeOf(out: readonly Out[]): number {
  return out.reduce((bytes, { body }) => bytes + body.byteLength, 0);
}
