/** `GET /stream/dashboard` and `GET /ws/dashboard`: counters by event type, as Server-Sent Events and over WebSocket. */
import { type Context, Hono } from "hono";
import type { EndReason, SnapshotSink } from "../ports/counters.ts";
import type { Membership } from "../ports/hub.ts";
import { CLOSE_CODES, type OpenWebSocket, type WebSocketSink } from "../ports/web-socket.ts";
import { authenticate } from "./access.ts";
import { queryOf } from "./query.ts";
import { REFUSALS, refuseByStatus } from "./refusal.ts";
import { readScope } from "./scope.ts";
import { type SnapshotStreamDeps, snapshotStream } from "./snapshot-stream.ts";
import { refuseUpgrade, requireOrigin } from "./web-socket.ts";

export interface DashboardDeps extends SnapshotStreamDeps {
  readonly openWebSocket: OpenWebSocket;
}

/** How each end is said in a close frame. */
const CLOSES = {
  expired: [CLOSE_CODES.expired, "the token has expired"],
  renewed: [CLOSE_CODES.goingAway, "the connection is old, connect again"],
  draining: [CLOSE_CODES.goingAway, "this instance is about to stop, connect again"],
  // Nobody reads it: a full one is cut.
  idle: [CLOSE_CODES.goingAway, "nothing could be sent for too long"],
} as const satisfies Record<EndReason, readonly [number, string]>;

export function dashboardRoutes(deps: DashboardDeps): Hono {
  const app = new Hono();
  app.all("/stream/dashboard", snapshotStream(deps, { kind: "dashboard", event: "dashboard" }));
  app.all("/ws/dashboard", (c) => openDashboard(c, deps));
  return app;
}

async function openDashboard(c: Context, deps: DashboardDeps): Promise<Response> {
  const { settings, authenticator, counters, openWebSocket } = deps;
  const unfit = refuseUpgrade(c);
  if (unfit !== undefined) return unfit;
  const query = queryOf(c);
  const principal = await authenticate(authenticator, c.req.raw, query);
  requireOrigin(c, settings.CORS_ORIGINS);
  const scope = readScope(principal, query);
  const reason = settings.STREAMING_ENABLED ? counters.refusal(scope) : "disabled";
  if (reason !== undefined) return refuseByStatus(c, REFUSALS[reason]);

  let isGone = false;
  let membership: Membership | undefined;
  const { sink, response } = openWebSocket({ raw: c.req.raw, env: c.env }, () => {
    isGone = true;
    membership?.leave();
  });
  const joined = counters.watch({
    scope,
    kind: "dashboard",
    sink: snapshotSink(sink),
    expiresAtMs: principal.expiresAtMs,
  });
  // Nothing has happened since it was asked whether it would let the client in.
  if (typeof joined === "string") sink.close(CLOSE_CODES.goingAway, REFUSALS[joined].message);
  else {
    membership = joined;
    // The handshake may have failed.
    if (isGone) joined.leave();
  }
  return response;
}

function snapshotSink(sink: WebSocketSink): SnapshotSink {
  const own: SnapshotSink = {
    send: (snapshot) => sink.send(snapshot),
    // The runtime's own pings do that.
    heartbeat: () => true,
    onDrain() {},
    end(reason) {
      const [code, text] = CLOSES[reason];
      sink.close(code, text);
    },
  };
  sink.onDrain = () => own.onDrain();
  return own;
}
