/** `GET /stream/updates` and `GET /ws/updates`: the events of one company, replayed and live, as Server-Sent Events and over WebSocket. */
import { type Context, Hono } from "hono";
import { type LiveAnswerDeps, liveAnswer } from "./live-answer.ts";
import { readChoice, readCompany, readCursor, readOnce, readTypes } from "./query.ts";

export function streamRoutes(deps: LiveAnswerDeps): Hono {
  const updates = liveAnswer(deps, (query, principal, c) => {
    const company = readCompany(query);
    const types = readTypes(query);
    const wanted = {
      kind: "updates" as const,
      company,
      types: types && [...types],
      format: readChoice(query, "format", ["data", "cloudevents"]),
      overflow: readChoice(query, "overflow", ["catch-up", "drop-oldest"]),
      after: readLastEventId(c, query),
    };
    const { streaming, maxConnections } = deps.gate.permit(principal, company);
    return streaming ? { ...wanted, maxConnections } : "disabled";
  });

  const app = new Hono();
  app.all("/stream/updates", updates.sse);
  app.all("/ws/updates", updates.webSocket);
  return app;
}

/** The header wins: a browser that reconnects by itself repeats the stale query. Both are checked. */
function readLastEventId(c: Context, query: URLSearchParams) {
  const fromQuery = readCursor("lastEventId", readOnce(query, "lastEventId"));
  return readCursor("Last-Event-ID", c.req.header("last-event-id")) ?? fromQuery;
}
