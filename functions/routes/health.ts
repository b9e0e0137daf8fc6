/** Probes and metrics: `/stream/health`, `/healthz`, `/ready`, `/metrics`. They ask nobody's name, so they name no company. */
import { Hono } from "hono";
import { describeError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Settings } from "../core/settings.ts";
import type { EventLog } from "../ports/event-log.ts";
import { NO_STORE, problem } from "./answer.ts";
import { addConnections, type ConnectionsDeps, sum } from "./connections.ts";
import { within } from "./within.ts";

/** What the probes need. */
export interface HealthDeps extends ConnectionsDeps {
  readonly settings: Pick<Settings, "STREAMING_ENABLED">;
  readonly log: Pick<EventLog, "ping">;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  readonly logger: Logger;
}

/** Milliseconds a probe waits for the log: orchestrators give up on a probe after a few seconds and learn less from that. */
const PROBE_MS = 2_000;

export function healthRoutes(deps: HealthDeps): Hono {
  const { settings, log, hub, registry, instance, metrics, logger } = deps;

  /** Undefined: it does not. Where is for the operator's log, not for whoever asks. */
  async function askLog<T>(question: Promise<T>): Promise<T | undefined> {
    try {
      return await within(PROBE_MS, "reach the event log", question);
    } catch (error) {
      logger.warn({ reason: describeError(error) }, "Health probe: the event log does not answer");
      return undefined;
    }
  }

  const app = new Hono();
  app.get("/stream/health", async (c) => {
    const answer = await askLog(Promise.all([log.ping(), registry.connectionsByCompany(instance)]));
    const counts = addConnections(hub, answer?.[1] ?? {});
    const enabled = settings.STREAMING_ENABLED;
    const status = answer === undefined ? "degraded" : enabled ? "ok" : "disabled";
    return c.json(
      {
        status,
        streaming: { enabled, activeConnections: sum(counts), activeCompanies: counts.size },
        timestamp: new Date().toISOString(),
      },
      status === "degraded" ? 503 : 200,
      NO_STORE,
    );
  });

  app.get("/healthz", (c) => c.json({ status: "ok" }, 200, NO_STORE));

  app.get("/ready", async (c) => {
    if (hub.stats().isDraining) return problem(c, 503, "This instance is about to stop");
    const answer = await askLog(log.ping().then(() => true));
    return answer === undefined
      ? problem(c, 503, "The event log does not answer")
      : c.json({ status: "ready" }, 200, NO_STORE);
  });

  app.get("/metrics", async (c) => {
    const { contentType, body } = await metrics();
    return c.body(body, 200, { "content-type": contentType, ...NO_STORE });
  });
  return app;
}
