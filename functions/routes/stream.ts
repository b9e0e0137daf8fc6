/** `GET /stream/updates`: one company's events as Server-Sent Events. */
import { type Context, Hono } from "hono";
import { describeError, MillraceError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Settings } from "../core/settings.ts";
import type { Authenticator, Principal } from "../ports/authenticator.ts";
import type { EventStream, OpenEventStream } from "../ports/event-stream.ts";
import type { Hub, Membership, Sink } from "../ports/hub.ts";
import { authenticate, requireCompany } from "./access.ts";
import { methodNotAllowed } from "./answer.ts";
import { corsHeaders } from "./cors.ts";
import { queryOf, readChoice, readCompany, readCursor, readOnce, readTypes } from "./query.ts";
import { acceptsEventStream, REFUSALS, type Refused, refuseByStatus, writeRefusal } from "./refusal.ts";

/** What a stream needs. */
export interface StreamDeps {
  readonly settings: Pick<Settings, "STREAMING_ENABLED" | "CORS_ORIGINS">;
  readonly hub: Pick<Hub, "join" | "refusal">;
  readonly authenticator: Authenticator;
  readonly openEventStream: OpenEventStream;
  readonly logger: Logger;
}

/** No cache keeps any of it, no proxy changes it, and nginx hands every byte on at once (`X-Accel-Buffering`, ngx_http_proxy_module). */
const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "private, no-cache, no-store, no-transform",
  "x-accel-buffering": "no",
};

export function streamRoutes({ settings, hub, authenticator, openEventStream, logger }: StreamDeps): Hono {
  const open = (c: Context, onGone: () => void): EventStream =>
    openEventStream(
      { raw: c.req.raw, env: c.env },
      { ...HEADERS, ...corsHeaders(settings.CORS_ORIGINS, c.req.header("origin")) },
      onGone,
    );

  const refuse = (c: Context, refused: Refused): Response => {
    if (!acceptsEventStream(c.req.header("accept"))) return refuseByStatus(c, refused);
    const { sink, response } = open(c, () => {});
    writeRefusal(sink, refused);
    return response;
  };

  const app = new Hono();
  // Of all methods: Hono answers HEAD by running GET, and here that would open a stream nobody reads.
  app.all("/stream/updates", async (c) => {
    if (c.req.method !== "GET") return methodNotAllowed(c, "GET");
    const query = queryOf(c);
    let principal: Principal;
    try {
      principal = await authenticate(authenticator, c.req.raw, query);
    } catch (error) {
      // It will pass, so a browser must be able to come back from it.
      if (!(error instanceof MillraceError && error.retryable)) throw error;
      logger.warn({ reason: describeError(error) }, "Cannot check a token");
      return refuse(c, REFUSALS.unverifiable);
    }
    const company = readCompany(query);
    const request = {
      company,
      types: readTypes(query),
      format: readChoice(query, "format", ["data", "cloudevents"]),
      overflow: readChoice(query, "overflow", ["catch-up", "drop-oldest"]),
      after: readLastEventId(c, query),
      expiresAtMs: principal.expiresAtMs,
    };
    requireCompany(principal, company);
    const reason = settings.STREAMING_ENABLED ? hub.refusal(company) : "disabled";
    if (reason !== undefined) return refuse(c, REFUSALS[reason]);

    let isGone = false;
    let membership: Membership | undefined;
    const begun = Promise.withResolvers<void>();
    const { sink, response } = open(c, () => {
      isGone = true;
      membership?.leave();
      begun.resolve();
    });
    onFirstWrite(sink, begun.resolve);
    const joined = hub.join({ ...request, sink });
    if (typeof joined === "string") writeRefusal(sink, REFUSALS[joined]);
    else {
      membership = joined;
      // The client may have been gone before there was anything to leave.
      if (isGone) joined.leave();
    }
    // A client takes the headers for a promise that what is published from here on comes. The hub writes when it can keep it.
    await begun.promise;
    return response;
  });
  return app;
}

/** Calls back once, and is out of the way from then on. */
function onFirstWrite(sink: Sink, callback: () => void): void {
  const { write } = sink;
  sink.write = (bytes) => {
    sink.write = write;
    callback();
    return write.call(sink, bytes);
  };
}

/** The header wins: a browser that reconnects by itself repeats the stale query. Both are checked. */
function readLastEventId(c: Context, query: URLSearchParams) {
  const fromQuery = readCursor("lastEventId", readOnce(query, "lastEventId"));
  return readCursor("Last-Event-ID", c.req.header("last-event-id")) ?? fromQuery;
}
