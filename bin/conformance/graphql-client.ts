/** A client of GraphQL for the checks: over HTTP, and over Server-Sent Events. */
import type { Context } from "./context.ts";
import { parseJson } from "./http.ts";
import { show } from "./sse-parser.ts";
import type { SseStream } from "./sse-reader.ts";

const PATH = "/api/graphql";
const STREAM = "/api/graphql/stream";

export const CREATE = `mutation ($id: ID, $subject: String!) {
  createTicket(id: $id, input: { subject: $subject }) { id subject status }
}`;
export const POST = `mutation ($ticketId: ID!, $text: String!, $id: ID) {
  postTicketMessage(ticketId: $ticketId, text: $text, id: $id) { id text }
}`;
export const TICKET = "query ($id: ID!) { ticket(id: $id) { id subject messages(last: 100) { id text } } }";
export const PAST = `query ($id: ID!, $before: ID) {
  ticket(id: $id) { messages(last: 2, before: $before) { id } }
}`;
export const CLOSE = `mutation ($id: ID!, $updateId: ID) {
  updateTicket(id: $id, input: { status: CLOSED }, updateId: $updateId) { id }
}`;
export const CHANGES = "query ($id: ID!) { ticket(id: $id) { changes { id changes } } }";
export const MESSAGES = `subscription ($ticketId: ID!, $after: Cursor) {
  ticketMessage(ticketId: $ticketId, after: $after) { cursor message { text } gap { reason } }
}`;
export const UPDATES = `subscription ($id: ID) {
  ticketUpdated(id: $id) { cursor ticket { id subject status } gap { reason } }
}`;

export type Variables = Readonly<Record<string, unknown>>;
export interface Result {
  readonly data?: Readonly<Record<string, Variables | null>> | null;
  readonly errors?: readonly { readonly message?: unknown; readonly extensions?: Variables }[];
}
interface AskOptions {
  readonly token?: string | null;
  readonly company?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const pathOf = (context: Context, company = context.target.company) =>
  `${PATH}?${new URLSearchParams({ [context.target.companyParam]: company })}`;

/** Posts any body. */
export const post = (context: Context, body: string, { company, headers, ...options }: AskOptions = {}) =>
  context.askRoute(pathOf(context, company), {
    ...options,
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
  });

export const ask = (context: Context, query: string, variables: Variables = {}, options: AskOptions = {}) =>
  post(context, JSON.stringify({ query, variables }), options);

/** The data; throws, in words for the report, where there are errors. */
export async function run(context: Context, query: string, variables: Variables = {}) {
  const answer = await ask(context, query, variables);
  const { data, errors } = (answer.json ?? {}) as Result;
  if (answer.status !== 200 || !data || errors !== undefined)
    throw new Error(`${PATH} answered ${answer.status} ${show(answer.text)}, expected 200 and data alone`);
  return data;
}

/** Over Server-Sent Events. `eventSource`: by GET, as a browser's, with a cursor in the header. */
export function subscribe(
  context: Context,
  query: string,
  variables: Variables,
  eventSource?: { readonly lastEventId: string },
): Promise<SseStream> {
  if (eventSource === undefined)
    return context.openPath(STREAM, { body: JSON.stringify({ query, variables }) });
  const parameters = new URLSearchParams({ query, variables: JSON.stringify(variables) });
  return context.openPath(`${STREAM}?${parameters}`, eventSource);
}

/** What came of the one root field. */
export function itemsOf({ parsed }: SseStream): readonly Variables[] {
  return parsed.events
    .filter(({ type }) => type === "next")
    .flatMap(({ data }) => Object.values((parseJson(data) as Result)?.data ?? {}))
    .filter((item) => item !== null);
}
