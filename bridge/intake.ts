/**
 * Between a broker that pushes and a pump that asks: a bounded line of messages, counted from the moment they were taken until they
 * are settled. The bound is kept by the source: it looks at `held` and stops taking. A batch is whatever has come in while the one
 * before it was stored, so batches are small when it is quiet and large under load. Sources decode before they push: then the next
 * batch is decoded while the store works on this one.
 */

import type { Batch, Decoded } from "../functions/ports/broker-source.ts";
import type { SourceEvents } from "./source-monitor.ts";

/** Messages of one batch: what the log appends in one go. */
export const BATCH_MESSAGES = 500;
/**
 * Messages of one batch from a broker that has given `prefetch` and gives more for what is acked: a quarter of them, so that log, broker and
 * bridge all have work while an ack or an answer is on its way (`npm run bench -- --only bridge`).
 */
export function batchMessages(prefetch: number): number {
  return Math.min(BATCH_MESSAGES, Math.ceil(prefetch / 4));
}
/** Bytes of one batch: 500 messages of 1 MiB would be half a gigabyte on their way to the store. */
const BATCH_BYTES = 8 * 1024 * 1024;

export interface Intake<T> {
  /** Taken and not settled: in the line, or handed out and not released. */
  readonly held: { readonly messages: number; readonly bytes: number };
  push(item: T, bytes: number): void;
  /**
   * The next batch, as soon as there is a message; undefined when the line has ended and is empty.
   * @throws what `end` was given, once the line is empty.
   */
  take(): Promise<Taken<T> | undefined>;
  /** Nothing more will come. Only the first call counts. */
  end(error?: unknown): void;
  readonly hasEnded: boolean;
  /** Empties the line. */
  clear(): T[];
}

export interface Taken<T> {
  readonly items: readonly T[];
  /** They are settled and count no more. Any number of times. */
  release(): void;
}

/**
 * @param options.maxBatchMessages Default {@link BATCH_MESSAGES}.
 * @param options.onRelease There is room again.
 */
export function createIntake<T>({
  maxBatchMessages = BATCH_MESSAGES,
  onRelease = () => {},
}: {
  readonly maxBatchMessages?: number;
  readonly onRelease?: () => void;
} = {}): Intake<T> {
  const held = { messages: 0, bytes: 0 };
  let line: { readonly item: T; readonly bytes: number }[] = [];
  let ended: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;

  const settle = (messages: number, bytes: number) => {
    held.messages -= messages;
    held.bytes -= bytes;
    onRelease();
  };
  const news = () => {
    wake?.();
    wake = undefined;
  };

  return {
    held,
    push(item, bytes) {
      held.messages++;
      held.bytes += bytes;
      line.push({ item, bytes });
      news();
    },
    async take() {
      while (line.length === 0) {
        if (ended?.error !== undefined) throw ended.error;
        if (ended) return undefined;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      let bytes = 0;
      let count = 0;
      while (count < line.length && count < maxBatchMessages) {
        bytes += line[count]!.bytes;
        count++;
        if (bytes >= BATCH_BYTES) break;
      }
      const items = line.splice(0, count).map(({ item }) => item);
      let isReleased = false;
      const release = () => {
        if (isReleased) return;
        isReleased = true;
        settle(count, bytes);
      };
      return { items, release };
    },
    end(error) {
      ended ??= { error };
      news();
    },
    get hasEnded() {
      return ended !== undefined;
    },
    clear() {
      const items = line.map(({ item }) => item);
      const bytes = line.reduce((sum, entry) => sum + entry.bytes, 0);
      line = [];
      settle(items.length, bytes);
      return items;
    },
  };
}

/** A batch of a broker that knows no acks: settling it makes room, and a nack is a loss, which is counted. */
export function batchWithoutAcks({ items, release }: Taken<Decoded>, events: SourceEvents): Batch {
  let isSettled = false;
  const settle = (lost: number) => {
    if (!isSettled && lost > 0) events.dropped(lost);
    isSettled = true;
    release();
    return Promise.resolve();
  };
  return { deliveries: items, ack: () => settle(0), nack: () => settle(items.length) };
}
