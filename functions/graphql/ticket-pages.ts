/** Pages of a company's tickets, in one of two orders. */
import { type Cursor, comparePositions, cursorParts, parseCursor } from "../core/cursor.ts";
import type { KnownTicket, TicketBook } from "./ticket-book.ts";
import type { Ticket } from "./ticket-events.ts";

export interface TicketsWanted {
  readonly status?: Ticket["status"] | null;
  /** Null: as CREATED. */
  readonly order?: "CREATED" | "TOUCHED" | null;
  readonly first: number;
  /** The `next` of the page before, in the same order. */
  readonly after?: string | null;
}

/** @throws MillraceError `invalid-input` when `after` is none of that order. */
export function pageOfTickets(
  book: Pick<TicketBook, "tickets">,
  { status, order, first, after }: TicketsWanted,
): { readonly items: readonly Ticket[]; readonly next: string | null } {
  const all = Array.from(book.tickets()).filter(({ ticket }) => !status || ticket.status === status);
  const sorted = order === "TOUCHED" ? byTouch(all, after) : byCreation(all, after);
  const page = sorted.slice(0, first);
  const last = page.at(-1);
  return {
    items: page.map(({ ticket }) => ticket),
    next: last && sorted.length > first ? (order === "TOUCHED" ? last.touched : keyOf(last)) : null,
  };
}

/** The newest first, and a total order. */
function byCreation(all: readonly KnownTicket[], after: string | null | undefined): KnownTicket[] {
  const keyed = all.map((known) => ({ key: keyOf(known), known })).sort((a, b) => (a.key < b.key ? 1 : -1));
  return keyed.filter(({ key }) => !after || key < after).map(({ known }) => known);
}

const keyOf = ({ ticket: { createdAt, id } }: KnownTicket) => `${createdAt}/${id}`;

/** As the book has them, from its end. */
function byTouch(all: readonly KnownTicket[], after: string | null | undefined): KnownTicket[] {
  const before = after ? parseCursor(after) : undefined;
  return all.filter(({ touched }) => before === undefined || isBefore(touched, before)).reverse();
}

/** Of a log that was made anew meanwhile everything is. */
function isBefore(cursor: Cursor, other: Cursor): boolean {
  const [one, two] = [cursorParts(cursor), cursorParts(other)];
  return one.epoch !== two.epoch || comparePositions(one.position, two.position) < 0;
}
