/** The lines of a store that a filter lets through, found a slice at a time, so that no search holds the page up. Pure. */
import { type Line, NOTE } from "./line.ts";
import type { LineStore } from "./line-store.ts";

export interface Filter {
  /** Empty: every service. */
  readonly service: string;
  /** The least, a place in LEVELS. */
  readonly level: number;
  /** Looked for in what is shown of a line, whatever the case; empty: every line. */
  readonly text: string;
}

export interface LineView {
  readonly filter: Filter;
  /** What to mark in a line; undefined: nothing. Global. */
  readonly pattern: RegExp | undefined;
  readonly length: number;
  /** Notes among them, which no filter asked for. */
  readonly notes: number;
  /** Lines that were here, and left at the front with the store's oldest. */
  readonly dropped: number;
  /** Number in the store of the line at this place. */
  numberAt(index: number): number;
  at(index: number): Line;
  /** Place of the first line whose number is at least this. */
  indexOf(number: number): number;
  /** Looks at lines that came since, until `isEnough` says stop; asked every 32 lines. True: at the end. */
  advance(isEnough: () => boolean): boolean;
}

/** Lines between two looks at the clock: each may have 128 KiB. */
const SLICE = 32;

export function createLineView(store: LineStore, maxLines: number, filter: Filter): LineView {
  const { service, level, text } = filter;
  // A regular expression ignores case without a lower-case copy of each line.
  const found = text === "" ? undefined : new RegExp(escapePattern(text), "iu");
  const numbers = new Float64Array(maxLines);
  let start = 0;
  let length = 0;
  let notes = 0;
  let dropped = 0;
  let scanned = store.first;
  /** Which of the places hold notes: they are few. */
  let noteNumbers: number[] = [];

  const numberAt = (index: number): number => numbers[(start + index) % maxLines]!;

  function isWanted(line: Line): boolean {
    if (line.level === NOTE) return true;
    if (line.level < level || (service !== "" && line.service !== service)) return false;
    return (
      found === undefined || found.test(line.message) || found.test(line.service) || found.test(line.more)
    );
  }

  /** What the store has let go. */
  function trim(): void {
    while (length > 0 && numberAt(0) < store.first) {
      start = (start + 1) % maxLines;
      length--;
      dropped++;
    }
    if (notes > 0 && noteNumbers[0]! < store.first) {
      noteNumbers = noteNumbers.filter((number) => number >= store.first);
      notes = noteNumbers.length;
    }
    scanned = Math.max(scanned, store.first);
  }

  return {
    filter,
    pattern: found && new RegExp(found.source, "giu"),
    get length() {
      return length;
    },
    get notes() {
      return notes;
    },
    get dropped() {
      return dropped;
    },
    numberAt,
    at: (index) => store.get(numberAt(index)),
    indexOf(number) {
      let [low, high] = [0, length];
      while (low < high) {
        const middle = (low + high) >>> 1;
        if (numberAt(middle) < number) low = middle + 1;
        else high = middle;
      }
      return low;
    },
    advance(isEnough) {
      trim();
      while (scanned < store.next) {
        const end = Math.min(store.next, scanned + SLICE);
        for (; scanned < end; scanned++) {
          const line = store.get(scanned);
          if (!isWanted(line)) continue;
          numbers[(start + length) % maxLines] = scanned;
          length++;
          if (line.level === NOTE) notes = noteNumbers.push(scanned);
        }
        if (isEnough()) break;
      }
      return scanned === store.next;
    },
  };
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
}
