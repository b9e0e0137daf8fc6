/** What the log holds of a ticket at a cursor: of what was appended before, and has left the book since. */
import { type Cursor, cursorParts, formatCursor, positionParts } from "../core/cursor.ts";
import type { CompanyId } from "../core/ids.ts";
import type { EventLog } from "../ports/event-log.ts";
import { readTicketEvent, type TicketNews } from "./ticket-events.ts";

/** The largest that a cursor has of its second half (core/cursor.ts). */
const MAX_SEQ = 999_999_999_999_999;
/** Reads: one that finds where the log goes on behind what is no entry, one of the entry, one for a log that was trimmed meanwhile. */
const MAX_READS = 3;

/** Undefined: the log holds it no more. */
export async function readStoredNews(
  log: Pick<EventLog, "read">,
  company: CompanyId,
  cursor: Cursor,
): Promise<TicketNews | undefined> {
  // A place without an entry is as one whose entry has expired: the log says what comes behind it.
  let after = placeBefore(cursor);
  for (let reads = 0; reads < MAX_READS; reads++) {
    const result = await log.read(company, after, 1);
    if (result.kind === "events") {
      const [entry] = result.entries;
      return entry?.cursor === cursor ? readTicketEvent(entry.record) : undefined;
    }
    after = result.resumeAfter;
  }
  return undefined;
}

/** The last place before it, whether there is an entry or not. */
function placeBefore(cursor: Cursor): Cursor {
  const { epoch, position } = cursorParts(cursor);
  const [ms, seq] = positionParts(position);
  return formatCursor(epoch, seq > 0 ? `${ms}-${seq - 1}` : `${Math.max(0, ms - 1)}-${MAX_SEQ}`);
}
