/** Which pages of other origins may read the answers (Fetch, CORS protocol): those named, with credentials, and nobody else. */
import type { MiddlewareHandler } from "hono";

/** Seconds a browser keeps the answer to a preflight: Chromium's most. */
const PREFLIGHT_SECONDS = 7200;

/**
 * What an answer carries for the origin that asked: the origin itself, never `*`, which with credentials would be every page.
 * Where some origins are let in, every answer depends on the origin and says so, or a cache would mix them up.
 */
export function corsHeaders(
  origins: readonly string[],
  origin: string | undefined,
): Readonly<Record<string, string>> {
  if (origins.length === 0) return {};
  if (origin === undefined || !origins.includes(origin)) return { vary: "Origin" };
  return {
    vary: "Origin",
    "access-control-allow-origin": origin,
    "access-control-allow-credentials": "true",
    // The cursor and `retry:` are in the stream itself; this is what a refusal says in its head.
    "access-control-expose-headers": "Retry-After",
  };
}

/** Answers preflights and sets the headers of everything but streams, whose headers are gone before this gets to see them. */
export function cors(origins: readonly string[]): MiddlewareHandler {
  return async (c, next) => {
    const headers = corsHeaders(origins, c.req.header("origin"));
    const isPreflight =
      c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined;
    if (isPreflight && "access-control-allow-origin" in headers) {
      return c.body(null, 204, {
        ...headers,
        "access-control-allow-methods": "GET, POST, PUT",
        "access-control-allow-headers": "Authorization, Content-Type, Last-Event-ID",
        "access-control-max-age": String(PREFLIGHT_SECONDS),
      });
    }
    for (const [name, value] of Object.entries(headers)) c.header(name, value);
    await next();
  };
}
