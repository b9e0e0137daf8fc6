/**
 * Operations: what a route says of itself, beside its handler. A route file exports a literal of its operations; each is mounted under its
 * `path`, its parameters are read by the schema in `query` (see query.ts) and its body by that in `body` (see json-body.ts), so what is
 * documented is what is checked. openapi.ts lists them all, and openapi-document.ts makes the document of them.
 *
 *     export const HISTORY = {
 *       method: "get",
 *       path: "/stream/history",
 *       id: "readHistory",
 *       tag: "Streams",
 *       access: "cookie",
 *       summary: "Events as pages",
 *       query: z.object({ companyId: COMPANY, limit: count(500).default(100) }),
 *       answers: { 200: { description: "A page", json: PAGE } },
 *       problems: [400, 401, 403, 503],
 *     } as const satisfies Operation;
 *
 *     app.get(HISTORY.path, (c) => { const { companyId, limit } = readQuery(HISTORY.query, queryOf(c)); … });
 *
 * Whoever adds one adds it to the list in openapi.ts; a test finds routes without, and answers that are not as they say.
 */
import type * as z from "zod";

/** In the order of the document. */
export const TAGS = {
  Streams: "Events of one company, replayed and live, and as pages.",
  Counters: "How many events of each type there are, live and when asked.",
  GPUs: "GPUs and their readings, by time.",
  Services: "What the operator's own services say of themselves.",
  GraphQL: "Tickets, chat and events over GraphQL.",
  Access: "Tickets for clients that can set no header, and what the role ops decides.",
  Operation: "Probes, numbers of the process, and this document.",
} as const;

/**
 * How a caller says who it is. `open`: nobody is asked; `bearer`: a JWT in the header; `cookie`: or in the cookie; `ticket`: or behind a ticket in
 * the URL; `metrics`: `cookie`, or AUTH_TOKEN in the header.
 */
export type Access = "open" | "bearer" | "cookie" | "ticket" | "metrics";

/** Statuses with a body `{error, message}`. 500 goes without saying, and 403 for a foreign host (see loopback-only.ts). */
export type Problem = 400 | 401 | 403 | 404 | 426 | 429 | 503;

/** What an answer may carry; with neither `json` nor `text` it has no body. */
export interface Answer {
  /** In Markdown. */
  readonly description: string;
  readonly json?: z.ZodType;
  /** Content types of `json`; default `application/json`. */
  readonly jsonTypes?: readonly string[];
  /** Anything but JSON: its content type, and what it looks like, by name. */
  readonly text?: { readonly type: string; readonly examples: Readonly<Record<string, string>> };
  /** Headers, and what they say. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Operation {
  readonly method: "get" | "post" | "put";
  /** As Hono writes it, `:id` for a parameter. */
  readonly path: string;
  /** The document's `operationId`. */
  readonly id: string;
  readonly tag: keyof typeof TAGS;
  readonly access: Access;
  readonly summary: string;
  /** In Markdown. */
  readonly description?: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  /** Of JSON. */
  readonly body?: z.ZodType;
  readonly answers: Readonly<Record<number, Answer>>;
  readonly problems?: readonly Problem[];
}

/** A body of server-sent events, by what each example shows. */
export function eventStream(examples: Readonly<Record<string, string>>): Answer {
  return {
    description: "A stream, for as long as the client stays",
    text: { type: "text/event-stream", examples },
  };
}

export const UPGRADED: Answer = {
  description: "A WebSocket (RFC 6455)",
  headers: { Upgrade: "`websocket`", "Sec-WebSocket-Accept": "As the handshake has it" },
};
