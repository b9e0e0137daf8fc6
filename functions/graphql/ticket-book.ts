/** A ticket book: the tickets of one company as its log says, up to a cursor. Bounded: what was not touched for longest leaves first. */
import { type Cursor, GENESIS } from "../core/cursor.ts";
import type { LogEntry } from "../core/log-entry.ts";
import {
  readTicketEvent,
  type Ticket,
  type TicketChange,
  type TicketMessage,
  ticketAfter,
} from "./ticket-events.ts";
import { createTicketMessages, type MessageOrPlace } from "./ticket-messages.ts";
import { createShelf } from "./ticket-shelf.ts";

/** Tickets of one company: those that were touched last. */
export const MAX_TICKETS = 2_000;
/** Characters counted for a ticket: a little more than it takes. */
const TICKET_CHARS = 600;
/** Characters of the changes of one company, and those counted for one beside what it says. */
const MAX_CHANGE_CHARS = 512 * 1024;
const CHANGE_CHARS = 250;

export interface KnownTicket {
  readonly ticket: Ticket;
  /** The last event of the ticket: of itself, or a message. */
  readonly touched: Cursor;
}

export interface TicketBook {
  /** Of the last entry that was folded into it. */
  cursor(): Cursor;
  /** About the characters it holds in memory. */
  chars(): number;
  ticket(id: string): Ticket | undefined;
  /** Those touched last at the end. */
  tickets(): Iterable<KnownTicket>;
  /**
   * The newest messages of a ticket, or those right before the one of id `before`, the oldest of them first: those it does not hold as the place
   * where the log has them. Undefined: `before` is of no message that is known.
   */
  messages(ticketId: string, last: number, before?: string): readonly MessageOrPlace[] | undefined;
  /** Undefined: it does not hold it. */
  message(ticketId: string, id: string): TicketMessage | undefined;
  /** The newest ones of a ticket, the oldest of them first. */
  changes(ticketId: string, last: number): readonly TicketChange[];
  add(entry: LogEntry): void;
  /** What is not known of is behind it. */
  moveTo(cursor: Cursor): void;
}

export function createTicketBook(): TicketBook {
  let cursor: Cursor = GENESIS;
  /** In the order of their last event. */
  const tickets = new Map<string, KnownTicket>();
  const messages = createTicketMessages();
  const changes = createShelf<TicketChange>({
    maxChars: MAX_CHANGE_CHARS,
    weigh: ({ changes: { subject, assignee } }) =>
      CHANGE_CHARS + (subject?.length ?? 0) + (assignee?.length ?? 0),
  });

  const put = (ticket: Ticket) => {
    tickets.delete(ticket.id);
    tickets.set(ticket.id, { ticket, touched: cursor });
    if (tickets.size > MAX_TICKETS) tickets.delete(tickets.keys().next().value!);
  };

  return {
    cursor: () => cursor,
    chars: () => messages.chars() + changes.chars() + tickets.size * TICKET_CHARS,
    ticket: (id) => tickets.get(id)?.ticket,
    tickets: () => tickets.values(),
    messages: (ticketId, last, before) => messages.page(ticketId, last, before),
    message: messages.get,
    changes: (ticketId, last) => changes.of(ticketId).slice(-last),
    add(entry) {
      cursor = entry.cursor;
      const news = readTicketEvent(entry.record);
      if (news === undefined) return;
      if (news.kind === "message") {
        messages.add(news.message, cursor);
        const known = tickets.get(news.message.ticketId);
        if (known !== undefined) put(known.ticket);
        return;
      }
      put(ticketAfter(tickets.get(news.ticket.id)?.ticket, news));
      if (news.kind === "updated") changes.add(changeOf(news));
    },
    moveTo(next) {
      cursor = next;
    },
  };
}

function changeOf({
  ticket,
  changes,
  by,
  eventId,
}: Extract<ReturnType<typeof readTicketEvent>, { kind: "updated" }>): TicketChange {
  // As ticketEvent makes it.
  const id = eventId.slice(eventId.lastIndexOf("/") + 1);
  return { id, ticketId: ticket.id, at: ticket.updatedAt, by, changes };
}
