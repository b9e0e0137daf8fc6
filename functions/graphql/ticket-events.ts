/** Tickets as events of their company's log, and back. Who changes a ticket says what changed and what it came to: so that changes made at the same time add up, and a ticket is known although its creation has expired. */
import * as z from "zod";
import { type EventRecord, type MillraceEvent, parseEvent, recordType } from "../core/event.ts";
import type { CompanyId, EventType } from "../core/ids.ts";

/** Of every event of a ticket; those of another source are none. */
const TICKETS_SOURCE = "/graphql/tickets";
export const TICKET_TYPES = ["ticket.created", "ticket.updated"] as unknown as readonly EventType[];
export const MESSAGE_TYPES = ["ticket.message"] as unknown as readonly EventType[];

const STATUSES = ["OPEN", "PENDING", "CLOSED"] as const;
const PRIORITIES = ["LOW", "NORMAL", "HIGH", "URGENT"] as const;

/** What of a ticket can be changed. */
const CHANGES = z.object({
  subject: z.string().optional(),
  status: z.enum(STATUSES).optional(),
  priority: z.enum(PRIORITIES).optional(),
  assignee: z.string().nullable().optional(),
});
const TICKET = z.object({
  id: z.string(),
  subject: z.string(),
  status: z.enum(STATUSES),
  priority: z.enum(PRIORITIES),
  requester: z.string().nullable(),
  assignee: z.string().nullable(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
const MESSAGE = z.object({
  id: z.string(),
  ticketId: z.string(),
  author: z.string().nullable(),
  text: z.string(),
  at: z.string(),
});

export type TicketChanges = Partial<Pick<Ticket, keyof z.output<typeof CHANGES>>>;
export type Ticket = Readonly<z.output<typeof TICKET>>;
export type TicketMessage = Readonly<z.output<typeof MESSAGE>>;

/** One change of a ticket, as its history has it. */
export interface TicketChange {
  /** The update's own among those of its ticket. */
  readonly id: string;
  readonly ticketId: string;
  readonly at: string;
  readonly by: string | null;
  readonly changes: TicketChanges;
}

export type TicketNews =
  | { readonly kind: "created"; readonly ticket: Ticket }
  | {
      readonly kind: "updated";
      readonly ticket: Ticket;
      readonly changes: TicketChanges;
      /** Who changed it; null where that names nobody. */
      readonly by: string | null;
    }
  | { readonly kind: "message"; readonly message: TicketMessage };

const DATA = {
  "ticket.created": z.object({ ticket: TICKET }).transform((data) => ({ kind: "created" as const, ...data })),
  "ticket.updated": z
    .object({ ticket: TICKET, changes: CHANGES, by: z.string().nullable().default(null) })
    .transform((data) => ({ kind: "updated" as const, ...data })),
  "ticket.message": z
    .object({ message: MESSAGE })
    .transform((data) => ({ kind: "message" as const, ...data })),
};

/** `id`: makes it the same event, however often it is appended, among those of its ticket and its kind. */
export function ticketEvent(company: CompanyId, news: TicketNews, id: string): MillraceEvent {
  const { kind, ...data } = news;
  const type = `ticket.${kind}`;
  const ticketId = kind === "message" ? news.message.ticketId : news.ticket.id;
  return parseEvent({
    ...{ companyId: company, source: TICKETS_SOURCE, type },
    // No part can hold a slash.
    id: `${type}/${ticketId}/${id}`,
    subject: ticketId,
    time: kind === "message" ? news.message.at : news.ticket.updatedAt,
    dataText: JSON.stringify(data),
  });
}

/** Undefined: it is none of a ticket. */
export function readTicketEvent(
  record: EventRecord,
): (TicketNews & { readonly eventId: string }) | undefined {
  const type = recordType(record);
  if (!Object.hasOwn(DATA, type)) return undefined;
  const { id: eventId, source, data } = JSON.parse(record) as { id: string; source: string; data: unknown };
  if (source !== TICKETS_SOURCE) return undefined;
  // What JSON leaves out is not there.
  const news = DATA[type as keyof typeof DATA].safeParse(data).data as TicketNews | undefined;
  return news && { ...news, eventId };
}

/** The ticket after the news of it; `known`: before, as far as that is known. */
export function ticketAfter(
  known: Ticket | undefined,
  news: Exclude<TicketNews, { kind: "message" }>,
): Ticket {
  if (known === undefined || news.kind === "created") return known ?? news.ticket;
  return { ...known, ...news.changes, updatedAt: news.ticket.updatedAt };
}
