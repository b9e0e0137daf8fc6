/** `GET /stream/updates` and `GET /ws/updates`: the events of one company, replayed and live, as Server-Sent Events and over WebSocket. */
import { Hono } from "hono";
import * as z from "zod";
import { type LiveAnswerDeps, liveAnswer } from "./live-answer.ts";
import { eventStream, type Operation, UPGRADED } from "./operation.ts";
import { COMPANY, CURSOR, choice, readHeaders, readQuery, TYPES } from "./query.ts";

const QUERY = z.object({
  companyId: COMPANY.meta({ description: "One of the companies of the caller's token" }),
  types: TYPES.optional(),
  format: choice("data", "cloudevents").default("data").meta({
    description: "`cloudevents`: the whole event as the data of its frame",
  }),
  overflow: choice("catch-up", "drop-oldest").default("catch-up").meta({
    description: "What happens to a client that is too slow",
  }),
  lastEventId: CURSOR.optional().meta({
    description: "Resume after this cursor. The header Last-Event-ID wins",
  }),
});

/** A browser that reconnects by itself repeats the URL with the stale cursor, so this one wins. Both are checked. */
const HEADERS = z.object({
  "Last-Event-ID": CURSOR.optional().meta({ description: "Resume after this cursor" }),
});

export const UPDATES = {
  method: "get",
  path: "/stream/updates",
  id: "streamUpdates",
  tag: "Streams",
  access: "ticket",
  summary: "Events of one company, replayed and live",
  description: `Server-Sent Events (WHATWG HTML, section 9.2). \`data:\` is the event's data as it came, always with \`companyId\`; \`id:\` is the
cursor, which a frame may have alone. What cannot be replayed is said by an event \`gap\`; an event \`reauthenticate\` asks for
\`POST /stream/renew\`; comments keep a quiet stream open.`,
  query: QUERY,
  headers: HEADERS,
  answers: {
    200: eventStream({
      events: `retry: 3000

event: metric_updated
id: x1pq0c7wz2fa.1763700000000-0
data: {"companyId":"acme","metricName":"integration_score","value":0.85}

:heartbeat

`,
      gap: `event: gap
id: x1pq0c7wz2fa.1763700000000-41
data: {"reason":"expired","requested":"x1pq0c7wz2fa.1763600000000-7","resumedAt":"x1pq0c7wz2fa.1763700000000-42"}

`,
      refusal: `retry: 4127

event: busy
data: {"reason":"busy","message":"Too many streams of this company are open, try again later"}

`,
    }),
  },
  problems: [400, 401, 429, 503],
} as const satisfies Operation;

export const UPDATES_SOCKET = {
  method: "get",
  path: "/ws/updates",
  id: "socketUpdates",
  tag: "Streams",
  access: "ticket",
  summary: "The same over WebSocket",
  description: `Each message is one frame as a JSON object:

    {"retry":3000}
    {"event":"metric_updated","id":"x1pq0c7wz2fa.1763700000000-0","data":{"companyId":"acme","value":0.85}}
    {"id":"x1pq0c7wz2fa.1763700000000-1"}
    {}

The last is the heartbeat.`,
  query: QUERY,
  headers: HEADERS,
  answers: { 101: UPGRADED },
  problems: [400, 401, 426, 429, 503],
} as const satisfies Operation;

export function streamRoutes(deps: LiveAnswerDeps): Hono {
  const updates = liveAnswer(deps, (query, principal, c) => {
    const { companyId: company, types, format, overflow, lastEventId } = readQuery(QUERY, query);
    const { "Last-Event-ID": after = lastEventId } = readHeaders(HEADERS, c.req.raw.headers);
    const { streaming, maxConnections } = deps.gate.permit(principal, company);
    if (!streaming) return "disabled";
    return {
      ...{ kind: "updates", company, types: types && [...types], format, overflow, after },
      maxConnections,
    } as const;
  });

  const app = new Hono();
  app.all(UPDATES.path, updates.sse);
  app.all(UPDATES_SOCKET.path, updates.webSocket);
  return app;
}
