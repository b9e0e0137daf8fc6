/** `GET /stream/dashboard` and `GET /ws/dashboard`: counters by event type, as Server-Sent Events and over WebSocket. */
import { Hono } from "hono";
import { type LiveAnswerDeps, liveAnswer } from "./live-answer.ts";
import { eventStream, type Operation, UPGRADED } from "./operation.ts";
import { readSnapshots, SCOPE } from "./scope.ts";

const SNAPSHOT = `{"companyId":"acme","timeZone":"Asia/Karachi","time":"2026-11-21T08:56:50.644Z","counters":{"audit.txn":{"total":41,"today":14,"minutes":[0,0,14]}}}`;

const WHAT = `A snapshot at once, then when something changed, at most once a second. \`companyId\` is null over all companies; \`minutes\` are the last 60,
oldest first.`;

export const DASHBOARD = {
  method: "get",
  path: "/stream/dashboard",
  id: "streamDashboard",
  tag: "Counters",
  access: "ticket",
  summary: "How many events of each type there are",
  description: WHAT,
  query: SCOPE,
  answers: { 200: eventStream({ snapshot: `retry: 3000\n\nevent: dashboard\ndata: ${SNAPSHOT}\n\n` }) },
  problems: [400, 401, 429, 503],
} as const satisfies Operation;

export const DASHBOARD_SOCKET = {
  method: "get",
  path: "/ws/dashboard",
  id: "socketDashboard",
  tag: "Counters",
  access: "ticket",
  summary: "The same over WebSocket, one JSON message a snapshot",
  description: `${WHAT}\n\n    ${SNAPSHOT}`,
  query: SCOPE,
  answers: { 101: UPGRADED },
  problems: [400, 401, 426, 429, 503],
} as const satisfies Operation;

export function dashboardRoutes(deps: LiveAnswerDeps): Hono {
  const dashboard = liveAnswer(deps, readSnapshots(deps.gate, "dashboard"));
  const app = new Hono();
  app.all(DASHBOARD.path, dashboard.sse);
  app.all(DASHBOARD_SOCKET.path, dashboard.webSocket);
  return app;
}
