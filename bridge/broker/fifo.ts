/** A bounded queue of messages: the only place where the broker holds any. */
import { MAX_FRAME_BYTES } from "./framing.ts";

/** Bytes joined into one write to a consumer: enough that a write costs little a message (65 of 1 KiB). */
export const WRITE_BYTES = 64 * 1024;
/**
 * Bytes of the messages in one queue, whatever their number: 10,000 of the largest messages would be 10 GiB. A queue may pass
 * it by one message. Before raising it: it is held once a slow consumer.
 */
export const QUEUE_BYTES = 64 * MAX_FRAME_BYTES;

export interface Fifo {
  readonly length: number;
  /** Whether the next message is to wait or to be dropped. */
  readonly full: boolean;
  push(body: Uint8Array): void;
  /** The oldest messages: one at least (when there is one), then as many as stay within both limits. */
  take(maxMessages: number, maxBytes: number): Uint8Array[];
}

/** A queue of at most `maxMessages` messages and {@link QUEUE_BYTES} bytes. */
export function createFifo(maxMessages: number): Fifo {
  let items: Uint8Array[] = [];
  let head = 0;
  let bytes = 0;
  return {
    get length() {
      return items.length - head;
    },
    get full() {
      return items.length - head >= maxMessages || bytes >= QUEUE_BYTES;
    },
    push(body) {
      items.push(body);
      bytes += body.byteLength;
    },
    take(maxTaken, maxBytes) {
      let end = head;
      let taken = 0;
      while (end < items.length && end - head < maxTaken) {
        const size = items[end]!.byteLength;
        if (end > head && taken + size > maxBytes) break;
        taken += size;
        end++;
      }
      const bodies = items.slice(head, end);
      bytes -= taken;
      // Cut the used half off only when it is the larger: each message is moved once on average.
      if (end * 2 > items.length) {
        items = items.slice(end);
        head = 0;
      } else {
        items.fill(EMPTY, head, end);
        head = end;
      }
      return bodies;
    },
  };
}

const EMPTY = new Uint8Array(0);
