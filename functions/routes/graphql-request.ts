/** What a request for GraphQL says of itself, before and beside its document. */
import type { Context } from "hono";
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";
import { GRAPHQL_URL } from "../graphql/request.ts";
import { NO_STORE } from "./answer.ts";
import { readBody } from "./json-body.ts";

/** Bytes: the largest text of a message, escaped, and its document around it. */
const MAX_BODY_BYTES = 64 * 1024;

/** What yoga is shown: nothing of who asks. */
export function requestOf(c: Context, body: string | undefined): Request {
  const headers = new Headers();
  const accept = c.req.header("accept");
  if (accept !== undefined) headers.set("accept", accept);
  // As it was found to be (see sendsJson): yoga knows it in lower case alone.
  if (body !== undefined) headers.set("content-type", "application/json");
  const { search } = new URL(c.req.url);
  return new Request(GRAPHQL_URL + search, { method: c.req.method, headers, body: body ?? null });
}

/** Whether the client reads an event stream and nothing else that there is. */
export function prefersStream(c: Context): boolean {
  const accept = c.req.header("accept")?.toLowerCase() ?? "";
  return accept.includes("text/event-stream") && !/application\/|\*\/\*/.test(accept);
}

export function unsupported(c: Context): Response {
  const type = quote(c.req.header("content-type") ?? "");
  const message = `Cannot read the body: content-type ${type}, expected application/json`;
  return c.json({ error: "Unsupported Media Type", message }, 415, NO_STORE);
}

export function notAccepted(c: Context): Response {
  const accept = quote(c.req.header("accept") ?? "");
  const message = `Cannot answer in ${accept}: expected application/json, application/graphql-response+json or text/event-stream`;
  return c.json({ error: "Not Acceptable", message }, 406, NO_STORE);
}

/** As text that is JSON: yoga would tell what its parser says of it, which is another text on every runtime. @throws MillraceError `invalid-input`. */
export async function readJsonText(c: Context): Promise<string> {
  const text = await readBody(c, MAX_BODY_BYTES);
  if (parse(text) !== undefined) return text;
  throw new MillraceError("invalid-input", "Cannot read the body: not JSON, expected a JSON object");
}

/** Or null, which says as much. */
export function isJsonObject(text: string): boolean {
  const value = parse(text);
  return typeof value === "object" && !Array.isArray(value);
}

/** Undefined: it is not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
