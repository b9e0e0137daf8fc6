/** GraphQL of one company: `fetch` and JSON. */
import { fetchWithToken } from "../../kit/token.ts";

export type Status = "OPEN" | "PENDING" | "CLOSED";
export type Priority = "LOW" | "NORMAL" | "HIGH" | "URGENT";

export interface Ticket {
  readonly id: string;
  readonly subject: string;
  readonly status: Status;
  readonly priority: Priority;
  /** Null where the token named nobody. */
  readonly requester: string | null;
  readonly assignee: string | null;
  /** RFC 3339. */
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface Message {
  readonly id: string;
  readonly ticketId: string;
  readonly author: string | null;
  readonly text: string;
  readonly at: string;
}

export type Changes = Partial<Pick<Ticket, "subject" | "status" | "priority" | "assignee">>;

/** One change of a ticket. */
export interface Change {
  /** Of who changed it. */
  readonly id: string;
  readonly at: string;
  /** Null where the token named nobody. */
  readonly by: string | null;
  readonly changes: Changes;
}

/** Changes of one ticket the server gives at most. */
const MAX_CHANGES = 100;
/** Milliseconds an answer may take. */
const ANSWER_MS = 10_000;
/** Tickets of a page. */
const PAGE = 100;

/** Why something was not answered. */
export class ApiError extends Error {
  /** Asking again, with the same ids, may do: nobody knows whether it was done. */
  readonly passes: boolean;
  /** 401 and the like; 0 where the server did not answer. */
  readonly status: number;

  constructor(message: string, { passes, status }: { passes: boolean; status: number }) {
    super(message);
    this.passes = passes;
    this.status = status;
  }
}

const TICKET = "id subject status priority requester assignee createdAt updatedAt";
const MESSAGE = "id ticketId author text at";
const DOCUMENTS = {
  tickets: `query ($status: TicketStatus, $after: String) {
    tickets(status: $status, order: TOUCHED, first: ${PAGE}, after: $after) { items { ${TICKET} messages(last: 1) { ${MESSAGE} } } next } }`,
  ticket: `query ($id: ID!, $last: Int) { ticket(id: $id) { ${TICKET}
    messages(last: $last) { ${MESSAGE} } changes(last: ${MAX_CHANGES}) { id at by changes } } }`,
  older: `query ($id: ID!, $last: Int, $before: ID) {
    ticket(id: $id) { messages(last: $last, before: $before) { ${MESSAGE} } } }`,
  create: `mutation ($input: CreateTicketInput!, $id: ID) { createTicket(input: $input, id: $id) { id } }`,
  update: `mutation ($ticketId: ID!, $input: UpdateTicketInput!, $id: ID) {
    updateTicket(id: $ticketId, input: $input, updateId: $id) { id } }`,
  message: `mutation ($ticketId: ID!, $text: String!, $id: ID) { postTicketMessage(ticketId: $ticketId, text: $text, id: $id) { id } }`,
};

export type TicketWithMessages = Ticket & { readonly messages: readonly Message[] };
export type WholeTicket = TicketWithMessages & { readonly changes: readonly Change[] };

/** What is sent, each with an id of its own: sent again, it is stored once. */
export type Mutation =
  | { readonly kind: "create"; readonly input: Pick<Ticket, "subject" | "priority" | "assignee"> }
  | { readonly kind: "update"; readonly input: Changes }
  | { readonly kind: "message"; readonly text: string };

export interface Api {
  /** Those touched last first, each with its last message. */
  tickets(
    status: Status | undefined,
    after: string | undefined,
  ): Promise<{ readonly items: readonly TicketWithMessages[]; readonly next: string | null }>;
  /** With its newest messages, fewer than `last` only where there are no more, and its newest changes; undefined: there is none of that id. */
  ticket(id: string, last: number): Promise<WholeTicket | undefined>;
  /** Its messages right before one of them, fewer than `last` only where there are no more. */
  older(id: string, last: number, before: string): Promise<readonly Message[]>;
  send(mutation: Mutation, id: string, ticketId: string): Promise<void>;
}

/** Everything rejects with ApiError. */
export function createApi(companyId: string): Api {
  const path = `/api/graphql?${new URLSearchParams({ companyId })}`;
  return {
    async tickets(status, after) {
      type Answer = { readonly tickets: Awaited<ReturnType<Api["tickets"]>> };
      return (await ask<Answer>(path, DOCUMENTS.tickets, { status, after })).tickets;
    },
    async ticket(id, last) {
      type Answer = { readonly ticket: WholeTicket | null };
      return (await ask<Answer>(path, DOCUMENTS.ticket, { id, last })).ticket ?? undefined;
    },
    async older(id, last, before) {
      type Answer = { readonly ticket: Pick<WholeTicket, "messages"> | null };
      return (await ask<Answer>(path, DOCUMENTS.older, { id, last, before })).ticket?.messages ?? [];
    },
    async send({ kind, ...values }, id, ticketId) {
      await ask(path, DOCUMENTS[kind], { ...values, id, ticketId: kind === "create" ? undefined : ticketId });
    },
  };
}

async function ask<Answer>(
  path: string,
  query: string,
  variables: Readonly<Record<string, unknown>>,
): Promise<Answer> {
  let status = 0;
  let answer: { data?: Answer | null; errors?: readonly GraphqlError[]; message?: unknown } = {};
  try {
    const response = await fetchWithToken(path, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    status = response.status;
    answer = Object(await response.json());
  } catch {
    // A network error has no readable cause in a browser.
    if (status === 0 || status === 200) {
      throw new ApiError("the server cannot be reached", { passes: true, status: 0 });
    }
  }
  const [error] = answer.errors ?? [];
  if (error !== undefined) {
    throw new ApiError(error.message, { passes: error.extensions?.retryAfter !== undefined, status });
  }
  if (status === 200 && answer.data) return answer.data;
  const said = typeof answer.message === "string" ? answer.message : `the server answered ${status}`;
  throw new ApiError(said, { passes: PASSING.has(status), status });
}

/** Statuses of a server or proxy that may answer otherwise later. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** An error of an answer, and of a stream's end. */
export interface GraphqlError {
  readonly message: string;
  readonly extensions?: { readonly code?: string; readonly retryAfter?: number };
}
