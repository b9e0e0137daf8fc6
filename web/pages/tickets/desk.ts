/** What the page knows: tickets, each with its last message, and the conversations that were opened. Pure, and bounded. */
import type { Message, Ticket, TicketWithMessages, WholeTicket } from "./api.ts";
import { type Conversations, changeEntry, createConversations, entryOf, msOf } from "./conversations.ts";
import type { News } from "./news.ts";

export interface Known {
  readonly ticket: Ticket;
  readonly last: Message | undefined;
  /** Milliseconds since 1970: of the last message or change. */
  readonly touchedMs: number;
}

/** Tickets kept; the one that was not touched for longest leaves first. */
const MAX_TICKETS = 1_000;

export interface Desk {
  tickets(): Iterable<Known>;
  ticket(id: string): Known | undefined;
  readonly conversations: Pick<Conversations, "get" | "expect" | "putOlder">;
  /** As the server gave it, with its last message alone. It has what was heard since, too. */
  put(ticket: TicketWithMessages): void;
  /** With its conversation, of which the server has more unless it `isWhole`. */
  putWhole(ticket: WholeTicket, isWhole: boolean): void;
  /** Everything: something is missing in it. */
  forget(): void;
  /** False: of a ticket that is not known, which is to be asked for. */
  hear(news: News): boolean;
}

export function createDesk(): Desk {
  const tickets = new Map<string, Known>();
  const conversations = createConversations();

  const know = (ticket: Ticket, last: Message | undefined): void => {
    const touchedMs = Math.max(msOf(ticket.updatedAt), last === undefined ? 0 : msOf(last.at));
    tickets.set(ticket.id, { ticket, last, touchedMs });
    if (tickets.size <= MAX_TICKETS) return;
    let [oldest] = tickets.values();
    for (const known of tickets.values()) if (known.touchedMs < oldest!.touchedMs) oldest = known;
    tickets.delete(oldest!.ticket.id);
  };

  const put = ({ messages, ...given }: TicketWithMessages): void => {
    // What was heard while it was asked for may be newer.
    const known = tickets.get(given.id);
    const ticket = known && known.ticket.updatedAt > given.updatedAt ? known.ticket : given;
    const last = messages.at(-1);
    know(ticket, last && msOf(last.at) >= msOf(known?.last?.at ?? "") ? last : known?.last);
  };

  return {
    tickets: () => tickets.values(),
    ticket: (id) => tickets.get(id),
    conversations,
    put,
    putWhole({ changes, ...ticket }, isWhole) {
      put(ticket);
      conversations.put(ticket.id, ticket.messages, changes, isWhole);
    },
    forget() {
      tickets.clear();
      conversations.forget();
    },
    hear(news) {
      if (news.kind === "message") {
        const { message } = news;
        conversations.hear(message.ticketId, entryOf(message));
        const known = tickets.get(message.ticketId);
        if (known === undefined) return false;
        if (known.last === undefined || msOf(message.at) >= msOf(known.last.at)) know(known.ticket, message);
        return true;
      }
      const { ticket } = news;
      const known = tickets.get(ticket.id);
      if (news.kind === "created") {
        if (known === undefined) know(ticket, undefined);
        return true;
      }
      const { change } = news;
      // Changes made at the same time add up, in the order of the log.
      know({ ...(known?.ticket ?? ticket), ...change.changes, updatedAt: change.at }, known?.last);
      conversations.hear(ticket.id, changeEntry(ticket.id, change));
      return known !== undefined;
    },
  };
}
