/** `GET /api/services/status/stream` and `GET /api/services/logs/stream`: the operator's own services, for the role `ops`. */
import { Hono } from "hono";
import * as z from "zod";
import { MillraceError } from "../core/errors.ts";
import { type CompanyId, LOGS_COMPANY, OPERATIONS_COMPANY } from "../core/ids.ts";
import { LOG_LEVELS } from "../core/log-line.ts";
import { mayRead, type Principal } from "../core/principal.ts";
import type { Gate } from "../ports/gate.ts";
import { type LiveAnswerDeps, liveAnswer } from "./live-answer.ts";
import type { Operation } from "./operation.ts";
import { CURSOR, choice, readHeaders, readQuery } from "./query.ts";

const SERVICE = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, "expected 1-64 characters of A-Z a-z 0-9 . _ -")
  .meta({ description: "Only lines of this service", examples: ["balance-sync"] });

/** As of `/stream/updates`. */
const LAST_EVENT_ID = z.object({
  "Last-Event-ID": CURSOR.optional().meta({ description: "Resume after this cursor" }),
});

export const STREAM_SERVICE_STATUS = {
  ...{ method: "get", path: "/api/services/status/stream", id: "streamServiceStatus" },
  ...{ tag: "Services", access: "ticket", summary: "How each service is, live" },
  description:
    "For the role `ops`. First the event `snapshot` with all services, then `service_status` with one whenever it changes. A service silent for three of its intervals is `stopped`, with `silent: true`. No resuming: every connection begins with a snapshot.",
  answers: {
    200: {
      description: "Server-Sent Events",
      text: {
        type: "text/event-stream",
        examples: {
          snapshot:
            'event: snapshot\ndata: {"services":[{"name":"balance-sync","state":"running","silent":false,"queueSize":12,"processed":480,"progress":{"done":30,"total":42},"interval":5,"lastRun":"2026-01-31T12:00:00Z","lastSeen":"2026-01-31T12:00:03.250Z"}],"sms":null,"timestamp":"2026-01-31T12:00:04.000Z"}\n\n',
          change:
            'event: service_status\ndata: {"name":"balance-sync","state":"stopped","silent":true,"queueSize":12,"processed":480,"progress":null,"interval":5,"lastRun":"2026-01-31T12:00:00Z","lastSeen":"2026-01-31T12:00:03.250Z"}\n\n',
        },
      },
    },
  },
  problems: [400, 401, 403, 429, 503],
} as const satisfies Operation;

export const STREAM_LOG_LINES = {
  ...{ method: "get", path: "/api/services/logs/stream", id: "streamLogLines" },
  ...{ tag: "Services", access: "ticket", summary: "What services log, live" },
  description:
    "For the role `ops`. The newest 200 lines, or those after a cursor, then live. A client that is too slow is moved on to what is new, and told so by an event `gap` of reason `dropped`.",
  query: z.object({
    service: SERVICE.optional(),
    level: choice(...LOG_LEVELS)
      .default("debug")
      .meta({ description: "The least: `warn` gives warn and error" }),
    lastEventId: CURSOR.optional().meta({
      description: "Resume after this cursor. The header Last-Event-ID wins",
    }),
  }),
  headers: LAST_EVENT_ID,
  answers: {
    200: {
      description: "Server-Sent Events",
      text: {
        type: "text/event-stream",
        examples: {
          line: 'event: log_line\nid: p3x9.1770000000000-0\ndata: {"ts":"2026-01-31T12:00:00Z","level":"warn","service":"balance-sync","message":"Slow answer of the bank"}\n\n',
        },
      },
    },
  },
  problems: [400, 401, 403, 429, 503],
} as const satisfies Operation;

export function servicesRoutes(deps: LiveAnswerDeps): Hono {
  const { gate } = deps;
  const status = liveAnswer(deps, (_query, principal) => {
    const { streaming, maxConnections } = permitOps(gate, principal, OPERATIONS_COMPANY);
    return streaming ? { kind: "status", maxConnections } : "disabled";
  });
  const lines = liveAnswer(deps, (query, principal, c) => {
    const { service, level, lastEventId } = readQuery(STREAM_LOG_LINES.query, query);
    const { "Last-Event-ID": after = lastEventId } = readHeaders(LAST_EVENT_ID, c.req.raw.headers);
    const { streaming, maxConnections } = permitOps(gate, principal, LOGS_COMPANY);
    return streaming ? { kind: "lines", service, level, after, maxConnections } : "disabled";
  });

  const app = new Hono();
  app.all(STREAM_SERVICE_STATUS.path, status.sse);
  app.all(STREAM_LOG_LINES.path, lines.sse);
  return app;
}

/** @throws MillraceError `forbidden`. */
function permitOps(gate: Gate, principal: Principal, company: CompanyId) {
  if (!mayRead(principal, company)) {
    throw new MillraceError(
      "forbidden",
      "Only the role ops sees the operator's services: ask with a token of that role",
    );
  }
  return gate.permit(principal, company);
}
