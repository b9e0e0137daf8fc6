/** Subscriptions: what the live side has of a company's log, one by one. */
import type { Cursor } from "../core/cursor.ts";
import type { EventType } from "../core/ids.ts";
import type { Live, StreamItem } from "../ports/live.ts";
import { endError, notAcceptable, refusalError } from "./errors.ts";
import { type EventSource, eventOf } from "./events.ts";
import { readEventTypes } from "./inputs.ts";
import type { GraphqlContext, GraphqlRequest, Progress } from "./request.ts";
import type { TicketBooks } from "./ticket-books.ts";
import {
  MESSAGE_TYPES,
  readTicketEvent,
  TICKET_TYPES,
  type Ticket,
  type TicketNews,
  ticketAfter,
} from "./ticket-events.ts";

/** Milliseconds a client's cursor may lag behind what is not for it. */
const CURSOR_MS = 15_000;
/** Tickets a subscription knows the state of: one it has forgotten is as who changed it last saw it. */
const MAX_KNOWN = 100;

export interface SubscriptionsDeps {
  readonly live: Pick<Live, "follow">;
  readonly books: TicketBooks;
}

type EventItem = StreamItem & { kind: "event" };

interface Reader {
  /** What an event is to a subscription; undefined: nothing. */
  read(item: EventItem): object | undefined;
  /** Something is missing between what was read and what will be. */
  onGap?(): void;
}

export function subscriptionResolvers({ live, books }: SubscriptionsDeps) {
  const follow = async (
    asked: GraphqlRequest,
    after: Cursor | null | undefined,
    types: readonly EventType[] | undefined,
    reader: Reader,
  ) => {
    if (!asked.readsStreams) throw notAcceptable();
    if (!asked.streaming) throw refusalError("disabled");
    const { company, principal, maxConnections, output } = asked;
    const items = await live.follow(
      {
        ...{ kind: "updates", company, principal, maxConnections, types, overflow: "catch-up" },
        // A browser that reconnects by itself repeats the stale argument.
        after: asked.lastEventId ?? after ?? undefined,
      },
      output.signal,
    );
    if (typeof items === "string") throw refusalError(items);
    return answers(items, output, reader);
  };

  /** Of one ticket, or of all: changes made at the same time add up, as in the book. */
  const ticketReader = (id: string | null | undefined, { company }: GraphqlRequest): Reader => {
    const known = new Map<string, Ticket>();
    return {
      // What is known may have changed in it; who changes a ticket says what it came to.
      onGap: () => known.clear(),
      read(item) {
        const news = newsOf(item);
        if (news === undefined || news.kind === "message") return undefined;
        if (id && news.ticket.id !== id) return undefined;
        const ticket = ticketAfter(known.get(news.ticket.id), news);
        known.delete(ticket.id);
        known.set(ticket.id, ticket);
        if (known.size > MAX_KNOWN) known.delete(known.keys().next().value!);
        return { ticket: { ...ticket, book: () => books.readTo(company, item.cursor) } };
      },
    };
  };

  return {
    Subscription: {
      ticketUpdated: {
        subscribe: (_: unknown, { id, after }: TicketArgs, { asked }: GraphqlContext) =>
          follow(asked, after, TICKET_TYPES, ticketReader(id, asked)),
        resolve,
      },
      ticketMessage: {
        subscribe: (_: unknown, { ticketId, after }: MessageArgs, { asked }: GraphqlContext) =>
          follow(asked, after, MESSAGE_TYPES, {
            read(item) {
              const news = newsOf(item);
              if (news?.kind !== "message" || news.message.ticketId !== ticketId) return undefined;
              return { message: news.message };
            },
          }),
        resolve,
      },
      events: {
        subscribe: (_: unknown, { types, after }: EventsArgs, { asked }: GraphqlContext) =>
          follow(asked, after, readEventTypes(types), { read: (item) => ({ event: sharedEventOf(item) }) }),
        resolve,
      },
    },
  };
}

/** The item is the answer. */
const resolve = (item: unknown) => item;

async function* answers(items: AsyncIterable<StreamItem>, output: Progress, reader: Reader) {
  // What one is to resume from is said at once.
  let saidAtMs = Number.NEGATIVE_INFINITY;
  for await (const item of items) {
    if (item.kind === "end") throw endError(item.reason);
    // Who sends sees for itself when nothing went out.
    if (item.kind === "heartbeat" || item.kind === "notice") continue;
    if (item.kind === "gap") reader.onGap?.();
    const found = item.kind === "event" ? reader.read(item) : undefined;
    if (found === undefined && item.kind !== "gap" && Date.now() - saidAtMs < CURSOR_MS) continue;
    saidAtMs = Date.now();
    output.cursor = item.cursor;
    yield { cursor: item.cursor, ...(item.kind === "gap" ? { gap: item.gap } : {}), ...found };
  }
}

/** The same item is given to many subscriptions: what it says is found out once for all of them, for as long as one holds it. */
const news = new WeakMap<EventItem, { readonly of: TicketNews | undefined }>();
const events = new WeakMap<EventItem, EventSource>();

function newsOf(item: EventItem): TicketNews | undefined {
  let known = news.get(item);
  if (known === undefined) {
    known = { of: readTicketEvent(item.record) };
    news.set(item, known);
  }
  return known.of;
}

function sharedEventOf(item: EventItem): EventSource {
  let event = events.get(item);
  if (event === undefined) {
    event = eventOf(item.cursor, item.record);
    events.set(item, event);
  }
  return event;
}

interface TicketArgs {
  readonly id?: string | null;
  readonly after?: Cursor | null;
}

interface MessageArgs {
  readonly ticketId: string;
  readonly after?: Cursor | null;
}

interface EventsArgs {
  readonly types?: readonly string[] | null;
  readonly after?: Cursor | null;
}
