/** Answers that are no page and no stream: JSON errors in the one shape `{error, message}`. */
import type { Context } from "hono";

/** Of the status (RFC 9110 section 15). */
export const PHRASES = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  426: "Upgrade Required",
  429: "Too Many Requests",
  503: "Service Unavailable",
} as const;

type ProblemStatus = keyof typeof PHRASES;

/** Live numbers: neither a browser nor a proxy may keep them. */
export const NO_STORE = { "cache-control": "no-store" } as const;

/** `error` is the reason phrase of the status (RFC 9110 section 15), `message` says what is wrong, `more` in members of its own. */
export function problem(
  c: Context,
  status: ProblemStatus,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  more: object = {},
): Response {
  return c.json({ error: PHRASES[status], message, ...more }, status, { ...NO_STORE, ...headers });
}

/** `allow`: the methods that would do, as the header says them (RFC 9110 section 10.2.1). */
export function methodNotAllowed(c: Context, allow: string): Response {
  return problem(c, 405, `Cannot ${c.req.method} ${c.req.path}: expected ${allow}`, { allow });
}
