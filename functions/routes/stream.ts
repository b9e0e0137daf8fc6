/** `GET /stream/updates`: one company's events as Server-Sent Events. */
import { type Context, Hono } from "hono";
import type { Settings } from "../core/settings.ts";
import type { Hub, Membership, Sink } from "../ports/hub.ts";
import { requireCompany } from "./access.ts";
import { methodNotAllowed } from "./answer.ts";
import { queryOf, readChoice, readCompany, readCursor, readOnce, readTypes } from "./query.ts";
import { REFUSALS, writeRefusal } from "./refusal.ts";
import { createSseAnswer, type SseAnswerDeps } from "./sse-answer.ts";

/** What a stream needs. */
export interface StreamDeps extends SseAnswerDeps {
  readonly settings: Pick<Settings, "STREAMING_ENABLED" | "CORS_ORIGINS">;
  readonly hub: Pick<Hub, "join" | "refusal">;
}

export function streamRoutes(deps: StreamDeps): Hono {
  const { settings, hub } = deps;
  const { open, refuse, admit } = createSseAnswer(deps);

  const app = new Hono();
  // Of all methods: Hono answers HEAD by running GET, and here that would open a stream nobody reads.
  app.all("/stream/updates", async (c) => {
    if (c.req.method !== "GET") return methodNotAllowed(c, "GET");
    const query = queryOf(c);
    const admission = await admit(c, query);
    if ("refused" in admission) return admission.refused;
    const { principal } = admission;
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
