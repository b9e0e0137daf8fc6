/** Queries and mutations of tickets. */
import { GraphQLError } from "graphql";
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";
import type { Appended, EventLog } from "../ports/event-log.ts";
import { invalid } from "./errors.ts";
import { readAssignee, readChanges, readId, readMessageText, readPageSize, readSubject } from "./inputs.ts";
import type { GraphqlContext, GraphqlRequest } from "./request.ts";
import { readStoredMessages, readStoredNews } from "./stored-news.ts";
import { MAX_TICKETS, type TicketBook } from "./ticket-book.ts";
import type { TicketBooks } from "./ticket-books.ts";
import { type Ticket, type TicketMessage, type TicketNews, ticketEvent } from "./ticket-events.ts";
import type { MessageOrPlace } from "./ticket-messages.ts";
import { pageOfTickets, type TicketsWanted } from "./ticket-pages.ts";

/** Messages that one request may have read from the log, each of which may cost a read: two pages. */
const MAX_STORED = 200;

/** A ticket and where its messages and changes are. */
export interface TicketSource extends Ticket {
  readonly book: () => TicketBook | Promise<TicketBook>;
  /** Reads those that the book has no more from the log: of a ticket that was asked for by its id alone, since each may cost a read. */
  readonly readStored?: (items: readonly MessageOrPlace[]) => Promise<readonly TicketMessage[]>;
}

export interface TicketsDeps {
  readonly log: Pick<EventLog, "append" | "read">;
  readonly books: TicketBooks;
}

export function ticketResolvers({ log, books }: TicketsDeps) {
  /** Stores it, unless it is there already; the book then has it, or what was stored under its id before unless that is long ago. */
  const store = async (
    { company, principal: { companies } }: GraphqlRequest,
    news: TicketNews,
    id: string,
  ): Promise<Appended & { readonly book: TicketBook }> => {
    // The operator's own are read by who has the role, and written by nobody from outside.
    if (companies !== "all" && !companies.includes(company)) {
      throw new MillraceError("forbidden", "You can only change tickets of your own company");
    }
    const [appended] = await log.append([ticketEvent(company, news, id)]);
    return { ...appended!, book: await books.read(company) };
  };

  /** Messages of a request that were read from the log. */
  const storedReads = new WeakMap<GraphqlRequest, number>();
  const readerOf =
    (asked: GraphqlRequest): TicketSource["readStored"] =>
    (items) => {
      const reads = (storedReads.get(asked) ?? 0) + items.filter((item) => typeof item === "string").length;
      if (reads > MAX_STORED) {
        const message = `Cannot read ${reads} older messages: expected at most ${MAX_STORED} in one request`;
        throw new GraphQLError(message, { extensions: { code: "too-large" } });
      }
      storedReads.set(asked, reads);
      return readStoredMessages(log, asked.company, items);
    };

  const known = (book: TicketBook, id: string): Ticket => {
    const ticket = book.ticket(id);
    if (ticket !== undefined) return ticket;
    throw invalid(
      `Cannot find ticket ${quote(id)}: expected the id of one of the ${MAX_TICKETS} touched last that the log still holds`,
    );
  };

  return {
    Query: {
      async ticket(_: unknown, { id }: { id: string }, { asked }: GraphqlContext) {
        const book = await books.read(asked.company);
        const ticket = book.ticket(id);
        return ticket && { ...sourceOf(ticket, book), readStored: readerOf(asked) };
      },
      async tickets(_: unknown, args: TicketsArgs, { asked: { company } }: GraphqlContext) {
        const first = readPageSize("first", args.first);
        const book = await books.read(company);
        const { items, next } = pageOfTickets(book, { ...args, first });
        return { items: items.map((ticket) => sourceOf(ticket, book)), next };
      },
    },
    Ticket: {
      async messages({ id, book, readStored }: TicketSource, { last, before }: MessagesArgs) {
        const count = readPageSize("last", last);
        const page = (await book()).messages(id, count, before ?? undefined);
        if (page === undefined) {
          throw invalid(
            `Cannot read messages before ${quote(before!)}: expected the id of a message of the ticket that the log still holds`,
          );
        }
        const held = page.filter((item) => typeof item !== "string");
        if (held.length === page.length) return held;
        if (readStored !== undefined) return readStored(page);
        if (!before) return held;
        throw invalid(`Cannot read messages before ${quote(before)} here: expected it of \`ticket(id)\``);
      },
      async changes({ id, book }: TicketSource, { last }: { readonly last: number | null }) {
        const count = readPageSize("last", last);
        return (await book()).changes(id, count);
      },
    },
    Mutation: {
      async createTicket(_: unknown, args: CreateArgs, { asked }: GraphqlContext) {
        const { subject, priority, assignee } = args.input;
        const id = readId("id", args.id);
        const now = new Date().toISOString();
        const ticket: Ticket = {
          id,
          subject: readSubject(subject),
          status: "OPEN",
          priority: priority ?? "NORMAL",
          requester: asked.principal.subject ?? null,
          assignee: readAssignee(assignee),
          createdAt: now,
          updatedAt: now,
        };
        const { book, isNew, cursor } = await store(asked, { kind: "created", ticket }, id);
        const found = book.ticket(id);
        if (found !== undefined || isNew) return sourceOf(found ?? ticket, book);
        const stored = await readStoredNews(log, asked.company, cursor);
        return sourceOf(stored?.kind === "created" ? stored.ticket : known(book, id), book);
      },
      async updateTicket(_: unknown, args: UpdateArgs, { asked }: GraphqlContext) {
        const changes = readChanges(args.input);
        const updateId = readId("updateId", args.updateId);
        const before = known(await books.read(asked.company), args.id);
        const ticket = { ...before, ...changes, updatedAt: new Date().toISOString() };
        const by = asked.principal.subject ?? null;
        const { book } = await store(asked, { kind: "updated", ticket, changes, by }, updateId);
        return sourceOf(known(book, args.id), book);
      },
      async postTicketMessage(_: unknown, args: PostArgs, { asked }: GraphqlContext) {
        const id = readId("id", args.id);
        const text = readMessageText(args.text);
        known(await books.read(asked.company), args.ticketId);
        const message: TicketMessage = {
          ...{ id, ticketId: args.ticketId, text },
          author: asked.principal.subject ?? null,
          at: new Date().toISOString(),
        };
        const { book, isNew, cursor } = await store(asked, { kind: "message", message }, id);
        const found = book.message(args.ticketId, id);
        if (found !== undefined || isNew) return found ?? message;
        const stored = await readStoredNews(log, asked.company, cursor);
        return stored?.kind === "message" ? stored.message : message;
      },
    },
  };
}

function sourceOf(ticket: Ticket, book: TicketBook): TicketSource {
  return { ...ticket, book: () => book };
}

interface TicketsArgs extends Omit<TicketsWanted, "first"> {
  readonly first: number | null;
}

interface MessagesArgs {
  readonly last: number | null;
  readonly before?: string | null;
}

interface CreateArgs {
  readonly input: {
    readonly subject: string;
    readonly priority?: Ticket["priority"] | null;
    readonly assignee?: string | null;
  };
  readonly id?: string | null;
}

interface UpdateArgs {
  readonly id: string;
  readonly input: Parameters<typeof readChanges>[0];
  readonly updateId?: string | null;
}

interface PostArgs {
  readonly ticketId: string;
  readonly text: string;
  readonly id?: string | null;
}
