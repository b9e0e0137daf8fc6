/** `GET /sse` and `GET /api/metrics`: the feed of the IBM MQ use cases, once a second or when asked. */
import { Hono } from "hono";
import type { Counters } from "../ports/counters.ts";
import { authenticate } from "./access.ts";
import { NO_STORE } from "./answer.ts";
import { queryOf } from "./query.ts";
import { readScope } from "./scope.ts";
import { type SnapshotStreamDeps, snapshotStream } from "./snapshot-stream.ts";

export interface MqDeps extends SnapshotStreamDeps {
  readonly counters: Pick<Counters, "watch" | "refusal" | "poll">;
}

export function mqRoutes(deps: MqDeps): Hono {
  const { counters, authenticator } = deps;
  const app = new Hono();
  // Unnamed, so that `onmessage` hears it: it is all the stream has.
  app.all("/sse", snapshotStream(deps, { kind: "feed" }));
  // No stream: what a client falls back to where streams are switched off or do not get through.
  app.get("/api/metrics", async (c) => {
    const query = queryOf(c);
    const principal = await authenticate(authenticator, c.req.raw, query);
    const { text } = await counters.poll(readScope(principal, query));
    return c.body(text, 200, { "content-type": "application/json", ...NO_STORE });
  });
  return app;
}
