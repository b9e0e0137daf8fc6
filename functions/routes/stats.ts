/** `GET /stream/stats`: open streams and kept events, by company. */
import { Hono } from "hono";
import * as z from "zod";
import type { CompanyId } from "../core/ids.ts";
import { isOps, type Principal } from "../core/principal.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { Gate } from "../ports/gate.ts";
import { NO_STORE } from "./answer.ts";
import { addConnections, type ConnectionsDeps, type Counts, sum } from "./connections.ts";
import type { Operation } from "./operation.ts";

/** What the stats need. */
export interface StatsDeps extends ConnectionsDeps {
  readonly log: Pick<EventLog, "stats">;
  readonly gate: Gate;
}

const COUNT = z.int().min(0);

export const STATS = {
  method: "get",
  path: "/stream/stats",
  id: "readStats",
  tag: "Streams",
  access: "cookie",
  summary: "Open streams and kept events, over all instances",
  description: "Of the caller's companies alone, the totals too; the role `ops` sees every company.",
  answers: {
    200: {
      description: "Now",
      json: z.object({
        connections: z.object({
          totalConnections: COUNT,
          activeCompanies: COUNT,
          connectionsByCompany: z.record(z.string(), COUNT).meta({ examples: [{ acme: 3 }] }),
        }),
        replayCache: z.object({
          companies: COUNT,
          totalEvents: COUNT,
          eventsByCompany: z.record(z.string(), COUNT).meta({ examples: [{ acme: 1000 }] }),
        }),
        timestamp: z.iso.datetime(),
      }),
    },
  },
  problems: [400, 401, 503],
} as const satisfies Operation;

export function statsRoutes({ live, registry, instance, log, gate }: StatsDeps): Hono {
  const app = new Hono();
  app.get(STATS.path, async (c) => {
    const { principal } = await gate.admit(c.req.raw, "cookie");
    const [others, kept] = await Promise.all([registry.connectionsByCompany(instance), log.stats()]);
    const visible = (counts: Counts) => visibleTo(gate, principal, counts);
    const connections = visible(addConnections(live, others));
    const events = visible(new Map(Object.entries(kept.eventsByCompany) as [CompanyId, number][]));
    return c.json(
      {
        connections: {
          totalConnections: sum(connections),
          activeCompanies: connections.size,
          connectionsByCompany: Object.fromEntries(connections),
        },
        replayCache: {
          companies: events.size,
          totalEvents: sum(events),
          eventsByCompany: Object.fromEntries(events),
        },
        timestamp: new Date().toISOString(),
      },
      200,
      NO_STORE,
    );
  });
  return app;
}

/** `ops` sees every company, others their own: the totals too are of those alone, or one company could watch another's. */
function visibleTo(gate: Gate, principal: Principal, counts: Counts): Counts {
  if (isOps(principal)) return counts;
  return new Map([...counts].filter(([company]) => gate.mayRead(principal, company)));
}
