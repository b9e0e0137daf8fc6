/** A ticket book: the tickets of one company as its log says, up to a cursor. Bounded: what was not touched for longest leaves first. */
import { type Cursor, GENESIS } from "../core/cursor.ts";
import type { LogEntry } from "../core/log-entry.ts";
import { readTicketEvent, type Ticket, type TicketMessage, ticketAfter } from "./ticket-events.ts";

/** Tickets of one company: those that were touched last. */
export const MAX_TICKETS = 2_000;
/** Characters of the messages of one company. */
const MAX_MESSAGE_CHARS = 1024 * 1024;
/** Characters counted for a ticket, and for a message beside its text: a little more than they take. */
const TICKET_CHARS = 500;
const MESSAGE_CHARS = 200;

export interface TicketBook {
  /** Of the last entry that was folded into it. */
  cursor(): Cursor;
  /** About the characters it holds in memory. */
  chars(): number;
  ticket(id: string): Ticket | undefined;
  /** In no order. */
  tickets(): Iterable<Ticket>;
  /** The newest ones of a ticket, the oldest of them first. */
  messages(ticketId: string, last: number): readonly TicketMessage[];
  message(ticketId: string, id: string): TicketMessage | undefined;
  add(entry: LogEntry): void;
  /** What is not known of is behind it. */
  moveTo(cursor: Cursor): void;
}

export function createTicketBook(): TicketBook {
  let cursor: Cursor = GENESIS;
  /** Both in the order of their last event. */
  const tickets = new Map<string, Ticket>();
  const messages = new Map<string, TicketMessage>();
  const keyOf = (ticketId: string, id: string) => `${ticketId}/${id}`;
  const byTicket = new Map<string, TicketMessage[]>();
  let messageChars = 0;

  const weigh = ({ text }: TicketMessage) => text.length + MESSAGE_CHARS;

  const dropOldestMessage = () => {
    const [key, message] = messages.entries().next().value!;
    messages.delete(key);
    messageChars -= weigh(message);
    const others = byTicket.get(message.ticketId)!;
    others.shift();
    if (others.length === 0) byTicket.delete(message.ticketId);
  };

  const put = (ticket: Ticket) => {
    tickets.delete(ticket.id);
    tickets.set(ticket.id, ticket);
    if (tickets.size > MAX_TICKETS) tickets.delete(tickets.keys().next().value!);
  };

  const post = (message: TicketMessage) => {
    const key = keyOf(message.ticketId, message.id);
    if (messages.has(key)) return;
    messages.set(key, message);
    messageChars += weigh(message);
    const others = byTicket.get(message.ticketId);
    if (others === undefined) byTicket.set(message.ticketId, [message]);
    else others.push(message);
    while (messageChars > MAX_MESSAGE_CHARS) dropOldestMessage();
  };

  return {
    cursor: () => cursor,
    chars: () => messageChars + tickets.size * TICKET_CHARS,
    ticket: (id) => tickets.get(id),
    tickets: () => tickets.values(),
    messages: (ticketId, last) => byTicket.get(ticketId)?.slice(-last) ?? [],
    message: (ticketId, id) => messages.get(keyOf(ticketId, id)),
    add(entry) {
      cursor = entry.cursor;
      const news = readTicketEvent(entry.record);
      if (news === undefined) return;
      if (news.kind === "message") return post(news.message);
      put(ticketAfter(tickets.get(news.ticket.id), news));
    },
    moveTo(next) {
      cursor = next;
    },
  };
}
