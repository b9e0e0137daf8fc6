/** What the page knows: tickets, each with its last message, and the conversations that were opened. Pure, and bounded. */
import { type Changes, MAX_MESSAGES, type Message, type Ticket, type TicketWithMessages } from "./api.ts";
import type { News } from "./news.ts";

export interface Known {
  readonly ticket: Ticket;
  readonly last: Message | undefined;
  /** Milliseconds since 1970: of the last message or change. */
  readonly touchedMs: number;
}

/** What stands in a conversation. `key` is its own in it. */
export type Entry = { readonly key: string; readonly atMs: number } & (
  | { readonly kind: "message"; readonly message: Message }
  | { readonly kind: "change"; readonly changes: Changes }
);

export interface Conversation {
  /** The oldest first. */
  readonly entries: readonly Entry[];
  /** Messages before the first that the server would give. */
  readonly hasMore: boolean;
  /** From its first message on. */
  readonly isWhole: boolean;
  /** The server has given it; else it has what was heard since it was asked for. */
  readonly isRead: boolean;
}

/** Tickets kept; the one that was not touched for longest leaves first. */
const MAX_TICKETS = 1_000;
/** Conversations kept beside the open one, so that going back to one is at once. */
const MAX_CONVERSATIONS = 8;
/** Entries of one. */
const MAX_ENTRIES = 400;

export interface Desk {
  tickets(): Iterable<Known>;
  ticket(id: string): Known | undefined;
  conversation(id: string): Conversation | undefined;
  /** Its conversation is about to be asked for: what is heard until the answer comes must not be missed. */
  expect(id: string): void;
  /** As the server gave it; `asked`: messages that were asked for. It has what was heard since, too. */
  put(ticket: TicketWithMessages, asked: number): void;
  /** Everything: something is missing in it. */
  forget(): void;
  /** False: of a ticket that is not known, which is to be asked for. */
  hear(news: News, key: string): boolean;
}

interface Kept extends Conversation {
  readonly entries: Entry[];
  isWhole: boolean;
}

export function createDesk(): Desk {
  const tickets = new Map<string, Known>();
  /** In the order they were opened. */
  const conversations = new Map<string, Kept>();

  const know = (ticket: Ticket, last: Message | undefined): void => {
    const touchedMs = Math.max(msOf(ticket.updatedAt), last === undefined ? 0 : msOf(last.at));
    tickets.set(ticket.id, { ticket, last, touchedMs });
    if (tickets.size <= MAX_TICKETS) return;
    let [oldest] = tickets.values();
    for (const known of tickets.values()) if (known.touchedMs < oldest!.touchedMs) oldest = known;
    tickets.delete(oldest!.ticket.id);
  };

  const add = (id: string, entry: Entry): void => {
    const conversation = conversations.get(id);
    if (conversation === undefined || conversation.entries.some(({ key }) => key === entry.key)) return;
    const { entries } = conversation;
    const isLast = entry.atMs >= (entries.at(-1)?.atMs ?? 0);
    entries.push(entry);
    if (!isLast) entries.sort(byTime);
    if (entries.length <= MAX_ENTRIES) return;
    entries.splice(0, entries.length - MAX_ENTRIES);
    conversation.isWhole = false;
  };

  const keep = (id: string, conversation: Kept): void => {
    conversations.delete(id);
    conversations.set(id, conversation);
    if (conversations.size > MAX_CONVERSATIONS) conversations.delete(conversations.keys().next().value!);
  };

  return {
    tickets: () => tickets.values(),
    ticket: (id) => tickets.get(id),
    conversation: (id) => conversations.get(id),
    expect(id) {
      if (conversations.has(id)) return;
      keep(id, { entries: [], hasMore: false, isWhole: false, isRead: false });
    },
    put({ messages, ...given }, asked) {
      // What was heard while it was asked for may be newer.
      const known = tickets.get(given.id);
      const ticket = known && known.ticket.updatedAt > given.updatedAt ? known.ticket : given;
      const last = messages.at(-1);
      know(ticket, last && msOf(last.at) >= msOf(known?.last?.at ?? "") ? last : known?.last);
      // The list asks for the last one alone.
      if (asked <= 1) return;
      const read = messages.map(entryOf);
      const keys = new Set(read.map(({ key }) => key));
      const heard = conversations.get(ticket.id)?.entries.filter(({ key }) => !keys.has(key)) ?? [];
      keep(ticket.id, {
        entries: [...read, ...heard].sort(byTime),
        hasMore: messages.length >= asked && asked < MAX_MESSAGES,
        isWhole: messages.length < asked,
        isRead: true,
      });
    },
    forget() {
      tickets.clear();
      conversations.clear();
    },
    hear(news, key) {
      if (news.kind === "message") {
        const { message } = news;
        add(message.ticketId, entryOf(message));
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
      // Changes made at the same time add up, in the order of the log.
      know({ ...(known?.ticket ?? ticket), ...news.changes, updatedAt: ticket.updatedAt }, known?.last);
      add(ticket.id, { key, kind: "change", atMs: msOf(ticket.updatedAt), changes: news.changes });
      return known !== undefined;
    },
  };
}

const entryOf = (message: Message): Entry => ({
  ...{ key: message.id, kind: "message", atMs: msOf(message.at), message },
});

/** The sort is stable: what has the same time stays in the order of the log. */
const byTime = (a: Entry, b: Entry) => a.atMs - b.atMs;

/** Milliseconds since 1970; 0 where the text says no time. */
export function msOf(time: string): number {
  return Date.parse(time) || 0;
}
