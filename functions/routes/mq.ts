/** `GET /sse` and `GET /api/metrics`: the feed of the IBM MQ use cases, once a second or when asked. */
import { Hono } from "hono";
import * as z from "zod";
import type { Live } from "../ports/live.ts";
import { NO_STORE } from "./answer.ts";
import { type LiveAnswerDeps, liveAnswer } from "./live-answer.ts";
import { eventStream, type Operation } from "./operation.ts";
import { queryOf } from "./query.ts";
import { readScope, readSnapshots, SCOPE } from "./scope.ts";

export interface MqDeps extends LiveAnswerDeps {
  readonly live: Pick<Live, "open" | "poll">;
}

const USE_CASE = z
  .object({
    total: z.int().min(0).meta({ description: "All-time" }),
    rate: z.number().min(0).meta({ description: "Events a second, over the last ten whole seconds" }),
    recent: z
      .array(z.looseObject({ companyId: z.string() }))
      .meta({ description: "The last ten payloads as they are stored, oldest first" }),
  })
  .meta({
    id: "UseCase",
    examples: [{ total: 41, rate: 1.6, recent: [{ companyId: "acme", txn_id: "T-1" }] }],
  });

const FEED_OBJECT = z
  .object({ AUDIT_TXN: USE_CASE, PROMO_FEED: USE_CASE, CENTRAL_SYNC: USE_CASE })
  .meta({ id: "Feed" });

export const FEED = {
  method: "get",
  path: "/sse",
  id: "streamFeed",
  tag: "Counters",
  access: "ticket",
  summary: "The IBM MQ use cases, once a second",
  description: "Unnamed events without a cursor, of the form that `/api/metrics` answers.",
  query: SCOPE,
  answers: {
    200: eventStream({
      feed: `retry: 3000

data: {"AUDIT_TXN":{"total":41,"rate":1.6,"recent":[{"companyId":"acme","txn_id":"T-1"}]},"PROMO_FEED":{"total":0,"rate":0,"recent":[]},"CENTRAL_SYNC":{"total":0,"rate":0,"recent":[]}}

`,
    }),
  },
  problems: [400, 401, 429, 503],
} as const satisfies Operation;

export const FEED_ONCE = {
  method: "get",
  path: "/api/metrics",
  id: "readFeed",
  tag: "Counters",
  access: "cookie",
  summary: "The same when asked",
  description: "For polling where streams do not get through. At most a second old.",
  query: SCOPE,
  answers: { 200: { description: "The feed", json: FEED_OBJECT } },
  problems: [400, 401, 403, 503],
} as const satisfies Operation;

export function mqRoutes(deps: MqDeps): Hono {
  const { gate, live } = deps;
  const app = new Hono();
  app.all(FEED.path, liveAnswer(deps, readSnapshots(gate, "feed")).sse);
  // No stream: what a client falls back to where streams are switched off or do not get through.
  app.get(FEED_ONCE.path, async (c) => {
    const { principal } = await gate.admit(c.req.raw, "cookie");
    const { text } = await live.poll(readScope(gate, principal, queryOf(c)));
    return c.body(text, 200, { "content-type": "application/json", ...NO_STORE });
  });
  return app;
}
