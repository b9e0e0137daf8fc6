/** `/stream/health`, and the probes of this process. */
import { Hono } from "hono";
import * as z from "zod";
import type { Settings } from "../core/settings.ts";
import { NO_STORE } from "./answer.ts";
import { askLog } from "./ask-log.ts";
import { addConnections, type ConnectionsDeps, sum } from "./connections.ts";
import type { Operation } from "./operation.ts";
import { type ProbesDeps, probesRoutes } from "./probes.ts";

/** What the probes need. */
export interface HealthDeps extends ConnectionsDeps, Omit<ProbesDeps, "isStopping"> {
  readonly settings: Pick<Settings, "STREAMING_ENABLED">;
}

const HEALTH = z
  .object({
    status: z.enum(["ok", "degraded", "disabled"]),
    streaming: z.object({
      enabled: z.boolean(),
      activeConnections: z.int().min(0),
      activeCompanies: z.int().min(0),
    }),
    timestamp: z.iso.datetime(),
  })
  .meta({ id: "StreamHealth" });

export const STREAM_HEALTH = {
  method: "get",
  path: "/stream/health",
  id: "readStreamHealth",
  tag: "Streams",
  access: "open",
  summary: "Whether streams are served",
  answers: {
    200: { description: "They are, or were switched off", json: HEALTH },
    503: { description: "`degraded`: the log does not answer", json: HEALTH },
  },
} as const satisfies Operation;

export function healthRoutes(deps: HealthDeps): Hono {
  const { settings, log, live, registry, instance, logger } = deps;
  const app = new Hono();
  app.get(STREAM_HEALTH.path, async (c) => {
    const answer = await askLog(Promise.all([log.ping(), registry.connectionsByCompany(instance)]), logger);
    const counts = addConnections(live, answer?.[1] ?? {});
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
  app.route("/", probesRoutes({ ...deps, isStopping: () => live.stats().isDraining }));
  return app;
}
