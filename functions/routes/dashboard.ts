/** `GET /stream/dashboard` and `GET /ws/dashboard`: counters by event type, as Server-Sent Events and over WebSocket. */
import { Hono } from "hono";
import { type LiveAnswerDeps, liveAnswer } from "./live-answer.ts";
import { readSnapshots } from "./scope.ts";

export function dashboardRoutes(deps: LiveAnswerDeps): Hono {
  const dashboard = liveAnswer(deps, readSnapshots(deps.gate, "dashboard"));
  const app = new Hono();
  app.all("/stream/dashboard", dashboard.sse);
  app.all("/ws/dashboard", dashboard.webSocket);
  return app;
}
