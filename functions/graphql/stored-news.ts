/** What the log holds of a ticket at a cursor: of what was appended before, and has left the book since. */
import { type Cursor, cursorParts, formatCursor, positionParts } from "../core/cursor.ts";
import type { CompanyId } from "../core/ids.ts";
import type { EventLog } from "../ports/event-log.ts";
import { readTicketEvent, type TicketMessage, type TicketNews } from "./ticket-events.ts";
import type { MessageOrPlace } from "./ticket-messages.ts";

/** The largest that a cursor has of its second half (core/cursor.ts). */
const MAX_SEQ = 999_999_999_999_999;
/** Reads: one that finds where the log goes on behind what is no entry, one of the entry, one for a log that was trimmed meanwhile. */
const MAX_READS = 3;
/** Messages are read by so many at the same time, so many events each time: those of one talk are often near each other. */
const READERS = 8;
const READ_EVENTS = 16;

/** Undefined: the log holds it no more. */
export async function readStoredNews(
  log: Pick<EventLog, "read">,
  company: CompanyId,
  cursor: Cursor,
): Promise<TicketNews | undefined> {
  const [entry] = await readFrom(log, company, cursor, 1);
  return entry?.cursor === cursor ? readTicketEvent(entry.record) : undefined;
}

/** The messages, in the order they are given; those the log holds no more are left out. Reads it once for neighbours. */
export async function readStoredMessages(
  log: Pick<EventLog, "read">,
  company: CompanyId,
  items: readonly MessageOrPlace[],
): Promise<TicketMessage[]> {
  const places = items.filter((item) => typeof item === "string");
  const wanted = new Set(places);
  const found = new Map<Cursor, TicketMessage>();
  const readAll = async (some: readonly Cursor[]) => {
    for (const place of some) {
      if (found.has(place)) continue;
      for (const { cursor, record } of await readFrom(log, company, place, READ_EVENTS)) {
        const news = wanted.has(cursor) ? readTicketEvent(record) : undefined;
        if (news?.kind === "message") found.set(cursor, news.message);
      }
    }
  };
  const share = Math.ceil(places.length / READERS);
  await Promise.all(
    Array.from({ length: READERS }, (_, at) => readAll(places.slice(at * share, (at + 1) * share))),
  );
  return items.flatMap((item) => (typeof item === "string" ? (found.get(item) ?? []) : item));
}

/** Entries from the one at a cursor on, or from what the log has behind it. */
async function readFrom(log: Pick<EventLog, "read">, company: CompanyId, cursor: Cursor, limit: number) {
  // A place without an entry is as one whose entry has expired: the log says what comes behind it.
  let after = placeBefore(cursor);
  for (let reads = 0; reads < MAX_READS; reads++) {
    const result = await log.read(company, after, limit);
    if (result.kind === "events") return result.entries;
    after = result.resumeAfter;
  }
  return [];
}

/** The last place before it, whether there is an entry or not. */
function placeBefore(cursor: Cursor): Cursor {
  const { epoch, position } = cursorParts(cursor);
  const [ms, seq] = positionParts(position);
  return formatCursor(epoch, seq > 0 ? `${ms}-${seq - 1}` : `${Math.max(0, ms - 1)}-${MAX_SEQ}`);
}
