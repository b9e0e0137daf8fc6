/** `GET /stream/stats`: open streams and kept events, by company. */
import { Hono } from "hono";
import type { CompanyId } from "../core/ids.ts";
import { isOps, type Principal } from "../core/principal.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { Gate } from "../ports/gate.ts";
import { NO_STORE } from "./answer.ts";
import { addConnections, type ConnectionsDeps, type Counts, sum } from "./connections.ts";

/** What the stats need. */
export interface StatsDeps extends ConnectionsDeps {
  readonly log: Pick<EventLog, "stats">;
  readonly gate: Gate;
}

export function statsRoutes({ live, registry, instance, log, gate }: StatsDeps): Hono {
  const app = new Hono();
  app.get("/stream/stats", async (c) => {
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
