/** `GET /sse` and `GET /api/metrics`: the feed of the IBM MQ use cases, once a second or when asked. */
import { Hono } from "hono";
import type { Live } from "../ports/live.ts";
import { NO_STORE } from "./answer.ts";
import { type LiveAnswerDeps, liveAnswer } from "./live-answer.ts";
import { queryOf } from "./query.ts";
import { readScope, readSnapshots } from "./scope.ts";

export interface MqDeps extends LiveAnswerDeps {
  readonly live: Pick<Live, "open" | "poll">;
}

export function mqRoutes(deps: MqDeps): Hono {
  const { gate, live } = deps;
  const app = new Hono();
  app.all("/sse", liveAnswer(deps, readSnapshots(gate, "feed")).sse);
  // No stream: what a client falls back to where streams are switched off or do not get through.
  app.get("/api/metrics", async (c) => {
    const { principal } = await gate.admit(c.req.raw, "cookie");
    const { text } = await live.poll(readScope(gate, principal, queryOf(c)));
    return c.body(text, 200, { "content-type": "application/json", ...NO_STORE });
  });
  return app;
}
