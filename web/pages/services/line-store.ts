/** The newest lines, the oldest making room: a ring. Each line has a number that stays its own. Pure. */
import type { Line } from "./line.ts";

export interface LineStoreOptions {
  /** Lines. */
  readonly maxLines: number;
  /** Characters of messages and of what else lines say: a line may have 128 KiB. */
  readonly maxChars: number;
}

export interface LineStore {
  push(line: Line): void;
  /** Number of the oldest line held; {@link next} when there is none. */
  readonly first: number;
  /** Number the next line gets: how many there have been. */
  readonly next: number;
  /** @throws RangeError for a number that is not held. */
  get(number: number): Line;
  /** Everything held, the oldest first, and holds it no more. Numbers go on. */
  takeAll(): Line[];
}

export function createLineStore({ maxLines, maxChars }: LineStoreOptions): LineStore {
  // Grown as lines come: most readers never fill it.
  let ring: (Line | undefined)[] = [];
  let first = 0;
  let next = 0;
  let chars = 0;

  function drop(): void {
    const at = first % maxLines;
    chars -= sizeOf(ring[at]!);
    ring[at] = undefined;
    first++;
  }

  return {
    push(line) {
      if (next - first === maxLines) drop();
      ring[next % maxLines] = line;
      next++;
      chars += sizeOf(line);
      // The newest line is kept, however long it is.
      while (chars > maxChars && next - first > 1) drop();
    },
    get first() {
      return first;
    },
    get next() {
      return next;
    },
    get(number) {
      const line = number >= first && number < next ? ring[number % maxLines] : undefined;
      if (line === undefined) throw new RangeError(`line ${number} of ${first} to ${next}`);
      return line;
    },
    takeAll() {
      const all: Line[] = [];
      for (let number = first; number < next; number++) all.push(ring[number % maxLines]!);
      ring = [];
      first = next;
      chars = 0;
      return all;
    },
  };
}

function sizeOf({ message, more }: Line): number {
  return message.length + more.length;
}
