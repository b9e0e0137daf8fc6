/**
 * Pages read from the log for members whose cursor is not in the ring. A page serves everyone whose cursor lies in it, and a company
 * reads one page at a time, so that reads grow with the pages there are and not with the clients who want them.
 */
import { backoffMs, sleep } from "../core/backoff.ts";
import { type Cursor, comparePositions, cursorParts, GENESIS } from "../core/cursor.ts";
import { describeError } from "../core/errors.ts";
import type { ReadResult } from "../core/log-entry.ts";
import type { Logger } from "../core/logger.ts";
import { type Frame, frameOf, gapAsFrame } from "./frame.ts";
import { type BatchCache, createBatchCache, cutBatch } from "./view.ts";

/** Answers of the log kept a company while somebody reads them, 1 MiB of events each (`npm run bench`, storm). */
const MAX_ANSWERS = 4;

export interface Page {
  /** One at least. */
  readonly frames: readonly Frame[];
  readonly batches: BatchCache;
  /** Index of the frame that follows the cursor; undefined when the cursor is not in the page. */
  after(cursor: Cursor): number | undefined;
}

export interface Pages {
  /**
   * A page in which something follows the cursor; undefined when there is none. It is then read, and `onPage` called - unless the
   * cursor was at the tip when last read and the tip has not moved since.
   */
  find(cursor: Cursor): Page | undefined;
  /** Something was appended. */
  tipMoved(): void;
  /** Forgets the pages nobody has looked for since the last call. */
  sweep(): void;
}

export interface PagesOptions {
  readonly read: (after: Cursor) => Promise<ReadResult>;
  /** Serves those who wait; resolves when it has. */
  readonly onPage: () => Promise<void>;
  readonly maxEvents: number;
  readonly signal: AbortSignal;
  readonly logger: Logger;
}

export function createPages({ read, onPage, maxEvents, signal, logger }: PagesOptions): Pages {
  /** Newest last. */
  let answers: { readonly answer: Answer; isUsed: boolean }[] = [];
  const wanted = new Set<Cursor>();
  /** Cursors after which there was nothing. */
  const atTip = new Set<Cursor>();
  let moves = 0;
  let isReading = false;

  const find = (cursor: Cursor): Page | undefined => {
    for (const kept of answers) {
      if (!kept.answer.covers(cursor)) continue;
      kept.isUsed = true;
      return kept.answer.pageAfter(cursor);
    }
    if (atTip.has(cursor)) return undefined;
    wanted.add(cursor);
    if (!isReading) void readWanted();
    return undefined;
  };

  const readWanted = async () => {
    isReading = true;
    let failures = 0;
    // Whoever asks in the same turn is there before the choice is made.
    await undefined;
    for (let turn = 0; wanted.size > 0 && !signal.aborted; turn++) {
      const cursor = choose(wanted, turn);
      try {
        const movesBefore = moves;
        const result = await read(cursor);
        failures = 0;
        wanted.delete(cursor);
        if (result.kind === "events" && result.entries.length === 0) {
          if (moves === movesBefore) atTip.add(cursor);
        } else {
          const answer = answerOf(cursor, result, maxEvents);
          for (const other of wanted) if (answer.covers(other)) wanted.delete(other);
          answers = [...answers.slice(1 - MAX_ANSWERS), { answer, isUsed: true }];
        }
        // Before the next is read: it may push out what nobody has been served yet, and a store in memory answers without a pause.
        if (!signal.aborted) await onPage();
      } catch (error) {
        if (signal.aborted) break;
        logger.warn({ reason: describeError(error) }, "Cannot read the event log for a replay, trying again");
        await sleep(backoffMs(failures++), signal);
      }
    }
    isReading = false;
  };

  return {
    find,
    tipMoved() {
      moves++;
      atTip.clear();
    },
    sweep() {
      answers = answers.filter(({ isUsed }) => isUsed);
      for (const kept of answers) kept.isUsed = false;
    },
  };
}

/**
 * The cursor to read from. The oldest, because its page covers the others; every second time the one that has waited longest, so
 * that a stream of older ones cannot keep it waiting.
 */
function choose(wanted: ReadonlySet<Cursor>, turn: number): Cursor {
  const [first, ...others] = wanted;
  if (turn % 2 === 1) return first!;
  let oldest = cursorParts(first!);
  let chosen = first!;
  for (const cursor of others) {
    const parts = cursorParts(cursor);
    if (parts.epoch === oldest.epoch && comparePositions(parts.position, oldest.position) < 0) {
      oldest = parts;
      chosen = cursor;
    }
  }
  return chosen;
}

/** What the log said after one cursor, and whom else it concerns. */
interface Answer {
  covers(cursor: Cursor): boolean;
  /** Of a cursor it covers. */
  pageAfter(cursor: Cursor): Page;
}

function answerOf(after: Cursor, result: ReadResult, maxEvents: number): Answer {
  if (result.kind === "events") {
    const page = pageOf(after, framesOf(after, result), maxEvents);
    return { covers: (cursor) => page.after(cursor) !== undefined, pageAfter: () => page };
  }
  return {
    covers: (cursor) => cursor === after || sharesGap(cursor, after, result),
    // Each is told of the cursor it came with.
    pageAfter: (cursor) => pageOf(cursor, framesOf(cursor, result), maxEvents),
  };
}

/** A log that was lost is lost for every cursor of another epoch; what was trimmed, for every cursor before it. */
function sharesGap(cursor: Cursor, read: Cursor, { kind, resumeAfter }: Gap): boolean {
  if (cursor === GENESIS) return false;
  const [mine, theirs, kept] = [cursorParts(cursor), cursorParts(read), cursorParts(resumeAfter)];
  if (kind === "reset") return theirs.epoch !== kept.epoch && mine.epoch !== kept.epoch;
  return mine.epoch === kept.epoch && comparePositions(mine.position, kept.position) < 0;
}
type Gap = Exclude<ReadResult, { readonly kind: "events" }>;

function pageOf(after: Cursor, frames: readonly Frame[], maxEvents: number): Page {
  const indexes = new Map<Cursor, number>([[after, 0]]);
  for (const [index, { cursor }] of frames.entries()) {
    if (index < frames.length - 1) indexes.set(cursor, index + 1);
  }
  return {
    frames,
    batches: createBatchCache((view, from) =>
      cutBatch((index) => frames[index]!, { from, end: frames.length, view, maxEvents }),
    ),
    after: (cursor) => indexes.get(cursor),
  };
}

/** What a reader at the cursor gets: the entries, or the one frame that says the gap. */
export function framesOf(after: Cursor, result: ReadResult): Frame[] {
  if (result.kind === "events") return result.entries.map(frameOf);
  const { kind: reason, resumeAfter, oldest } = result;
  return [gapAsFrame({ reason, requested: after, resumedAt: oldest ?? resumeAfter, after: resumeAfter })];
}
