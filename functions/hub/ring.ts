/** The ring: the newest frames of one company, numbered in the order they came. The oldest make room. */
import type { Cursor } from "../core/cursor.ts";
import { RING_BYTES, RING_FRAMES } from "../core/limits.ts";
import { type Frame, frameWeight } from "./frame.ts";

export interface Ring {
  /** Number of the oldest frame held. */
  readonly base: number;
  /** Number of the next frame. */
  readonly head: number;
  /** The cursor of the newest frame; at first the one it was made with. */
  readonly tip: Cursor;
  push(frame: Frame): void;
  /** A gap: cursors from before it are no longer found, since what they stand for is the log's to say. */
  pushGap(frame: Frame): void;
  /** By number, from `base` to below `head`. */
  at(number: number): Frame;
  /** The cursor a client holds that is to get frame `number` next. */
  cursorBefore(number: number): Cursor;
  /** The number of the frame that follows the cursor, `head` at the tip; undefined when the cursor is not in the ring. */
  after(cursor: Cursor): number | undefined;
}

/** Begins after the cursor. `maxFrames` (default RING_FRAMES) and `maxBytes` (default RING_BYTES) bound it. */
export function createRing(
  start: Cursor,
  { maxFrames = RING_FRAMES, maxBytes = RING_BYTES }: { maxFrames?: number; maxBytes?: number } = {},
): Ring {
  const frames: (Frame | undefined)[] = [];
  const numbers = new Map<Cursor, number>();
  let base = 0;
  let head = 0;
  let bytes = 0;
  /** The cursor before frame `base`. */
  let floor = start;
  let tip = start;

  const at = (number: number): Frame => frames[number % maxFrames]!;
  const dropOldest = () => {
    const frame = at(base);
    frames[base % maxFrames] = undefined;
    // A gap may bear the cursor of an older frame.
    if (numbers.get(frame.cursor) === base) numbers.delete(frame.cursor);
    bytes -= frameWeight(frame);
    floor = frame.cursor;
    base++;
  };
  const push = (frame: Frame) => {
    const weight = frameWeight(frame);
    while (head - base === maxFrames || (head > base && bytes + weight > maxBytes)) dropOldest();
    frames[head % maxFrames] = frame;
    numbers.set(frame.cursor, head);
    bytes += weight;
    tip = frame.cursor;
    head++;
  };

  return {
    get base() {
      return base;
    },
    get head() {
      return head;
    },
    get tip() {
      return tip;
    },
    push,
    pushGap(frame) {
      numbers.clear();
      push(frame);
    },
    at,
    cursorBefore: (number) => (number === base ? floor : at(number - 1).cursor),
    after(cursor) {
      if (cursor === tip) return head;
      const number = numbers.get(cursor);
      if (number !== undefined) return number + 1;
      return cursor === floor && numbers.size === head - base ? base : undefined;
    },
  };
}
