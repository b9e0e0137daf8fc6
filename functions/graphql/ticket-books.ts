/**
 * The ticket books of a process, each read forward from the log whenever it is asked for: so one reads one's own writes, on every instance. They
 * hold nothing that the log does not; one that was not asked for in a minute is forgotten when the next one is asked for.
 *
 * Plain data alone is shared between requests, and each reads for itself: workerd would not settle what another request waits for.
 */
import { sleep } from "../core/backoff.ts";
import { type Cursor, comparePositions, cursorParts } from "../core/cursor.ts";
import { MillraceError } from "../core/errors.ts";
import type { CompanyId } from "../core/ids.ts";
import { PAGE_EVENTS } from "../core/limits.ts";
import type { EventLog } from "../ports/event-log.ts";
import { createTicketBook, type TicketBook } from "./ticket-book.ts";

/** Milliseconds. */
const KEEP_MS = 60_000;
/** Characters all books hold: at most some 32 MiB, of the 128 MiB that a Worker has. */
const MAX_CHARS = 16 * 1024 * 1024;
/** Milliseconds one request reads: what it has read by then is kept, so that the next one goes on from there. */
const READ_MS = 10_000;
/** Milliseconds one waits for another's read of the same log, which may never end: its request may have been cut. */
const WAIT_MS = 100;
/** Milliseconds between two looks at whether it has. */
const LOOK_MS = 2;

export interface TicketBooks {
  /**
   * The book with everything in it that was appended before it was asked for.
   * @throws MillraceError `unavailable` when the log does not answer, or holds more than can be read in 10 seconds: the next one reads on.
   */
  read(company: CompanyId): Promise<TicketBook>;
  /** The book with everything in it up to that cursor of its log: read only where it is not yet. @throws MillraceError as `read`. */
  readTo(company: CompanyId, cursor: Cursor): Promise<TicketBook>;
}

interface UsedBook {
  book: TicketBook;
  usedAtMs: number;
  /** When the last read of its log began that has not ended. */
  readAtMs: number;
}

/** Costs a read of the log each time; more when what was appended since, or the whole log at first, is over a page. */
export function createTicketBooks({ log }: { readonly log: Pick<EventLog, "read" | "tip"> }): TicketBooks {
  /** In the order they were last asked for. */
  const books = new Map<CompanyId, UsedBook>();

  const use = (company: CompanyId) => {
    const nowMs = Date.now();
    const used = books.get(company) ?? {
      ...{ book: createTicketBook(), usedAtMs: nowMs, readAtMs: Number.NEGATIVE_INFINITY },
    };
    used.usedAtMs = nowMs;
    books.delete(company);
    for (const [other, { usedAtMs }] of books) {
      if (nowMs - usedAtMs < KEEP_MS) break;
      books.delete(other);
    }
    books.set(company, used);
    return used;
  };

  const makeRoom = () => {
    let chars = 0;
    for (const { book } of books.values()) chars += book.chars();
    for (const [company, { book }] of books) {
      if (chars <= MAX_CHARS || books.size === 1) return;
      books.delete(company);
      chars -= book.chars();
    }
  };

  const read = async (company: CompanyId): Promise<TicketBook> => {
    const startMs = Date.now();
    const used = use(company);
    let until: string | undefined;
    for (;;) {
      if (Date.now() - startMs > READ_MS) {
        throw new MillraceError(
          "unavailable",
          `Cannot read the tickets of a company: its log was not read after ${READ_MS} ms, ask again to go on`,
        );
      }
      const { book } = used;
      const after = book.cursor();
      used.readAtMs = Date.now();
      const result = await log.read(company, after, PAGE_EVENTS).finally(() => {
        used.readAtMs = Number.NEGATIVE_INFINITY;
      });
      // Another request has read on meanwhile, or anew.
      if (used.book !== book || book.cursor() !== after) continue;
      if (result.kind !== "events") {
        // What was known is of another log, or older than what is kept.
        used.book = createTicketBook();
        used.book.moveTo(result.resumeAfter);
        continue;
      }
      for (const entry of result.entries) book.add(entry);
      if (!result.more) break;
      // A busy company's log grows while it is read.
      until ??= cursorParts(await log.tip(company)).position;
      if (comparePositions(cursorParts(book.cursor()).position, until) >= 0) break;
    }
    makeRoom();
    return used.book;
  };

  return {
    read,
    async readTo(company, cursor) {
      const used = use(company);
      const untilMs = Date.now() + WAIT_MS;
      for (;;) {
        if (reaches(used.book, cursor)) return used.book;
        const nowMs = Date.now();
        if (nowMs >= untilMs || nowMs - used.readAtMs >= WAIT_MS) return read(company);
        await sleep(LOOK_MS);
      }
    },
  };
}

function reaches(book: TicketBook, cursor: Cursor): boolean {
  const [has, wanted] = [cursorParts(book.cursor()), cursorParts(cursor)];
  return has.epoch === wanted.epoch && comparePositions(has.position, wanted.position) >= 0;
}
