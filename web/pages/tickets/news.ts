/** Events of tickets as the log has them: `ticket.created`, `ticket.updated`, `ticket.message` (PROTOCOL.md, GraphQL). Pure. */
import type { Change, Message, Priority, Status, Ticket } from "./api.ts";

/** An event of the subscription. */
export interface LogEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly data: unknown;
}

export type News =
  | { readonly kind: "created"; readonly ticket: Ticket }
  | { readonly kind: "updated"; readonly ticket: Ticket; readonly change: Change }
  | { readonly kind: "message"; readonly message: Message };

export const TYPES = ["ticket.created", "ticket.updated", "ticket.message"];
const SOURCE = "/graphql/tickets";

const STATUSES: readonly Status[] = ["OPEN", "PENDING", "CLOSED"];
const PRIORITIES: readonly Priority[] = ["LOW", "NORMAL", "HIGH", "URGENT"];

/** Undefined: it is none of a ticket, whatever its type says. Anybody may publish events. */
export function readNews({ id, type, source, data }: LogEvent): News | undefined {
  if (source !== SOURCE) return undefined;
  const { ticket, changes, by, message } = Object(data) as Record<string, unknown>;
  if (type === "ticket.message") return isMessage(message) ? { kind: "message", message } : undefined;
  if (!isTicket(ticket)) return undefined;
  if (type === "ticket.created") return { kind: "created", ticket };
  if (type !== "ticket.updated" || typeof changes !== "object" || changes === null) return undefined;
  const after = { ...ticket, ...changes };
  if (!isTicket(after)) return undefined;
  const changed = Object.fromEntries(Object.entries(changes).filter(([name]) => CHANGEABLE.has(name)));
  const change = {
    ...{ id: id.split("/").at(-1) ?? "", at: ticket.updatedAt, changes: changed },
    by: isText(by) ? by : null,
  };
  return { kind: "updated", ticket, change };
}

const CHANGEABLE: ReadonlySet<string> = new Set(["subject", "status", "priority", "assignee"]);

const isText = (value: unknown): value is string => typeof value === "string";
const isName = (value: unknown) => value === null || isText(value);

function isTicket(value: unknown): value is Ticket {
  const { id, subject, status, priority, requester, assignee, createdAt, updatedAt } = Object(value);
  return (
    [id, subject, createdAt, updatedAt].every(isText) &&
    [requester, assignee].every(isName) &&
    STATUSES.includes(status) &&
    PRIORITIES.includes(priority)
  );
}

function isMessage(value: unknown): value is Message {
  const { id, ticketId, author, text, at } = Object(value);
  return [id, ticketId, text, at].every(isText) && isName(author);
}
