/** `GET /api/pipeline`: the sources of all bridges, the log and the connections at a glance, for the role `ops`. */
import { Hono } from "hono";
import * as z from "zod";
import { MillraceError } from "../core/errors.ts";
import type { CompanyId } from "../core/ids.ts";
import { LOG_SIZE_MS, type Pipeline, sourcesOf } from "../core/pipeline.ts";
import { isOps } from "../core/principal.ts";
import { createRecent } from "../core/recent.ts";
import { isEmbedded, type Settings } from "../core/settings.ts";
import type { EventLog, LogStats } from "../ports/event-log.ts";
import type { Gate } from "../ports/gate.ts";
import type { InstanceRegistry } from "../ports/instance-registry.ts";
import { NO_STORE } from "./answer.ts";
import { addConnections, type ConnectionsDeps, sum } from "./connections.ts";
import type { Operation } from "./operation.ts";
import { within } from "./within.ts";

/** What it needs. */
export interface PipelineDeps extends Pick<ConnectionsDeps, "live" | "instance"> {
  readonly settings: Pick<Settings, "REDIS_URL" | "UPSTASH_REDIS_REST_URL">;
  readonly registry: Pick<InstanceRegistry, "survey">;
  readonly log: Pick<EventLog, "stats">;
  readonly gate: Gate;
}

/** Milliseconds an answer is given to whoever asks. */
const ANSWER_MS = 1_000;
/** Milliseconds the store may take: a page that waits longer shows nothing, and it is to say that the store is away. */
const STORE_MS = 3_000;

const COUNT = z.int().min(0);

const SOURCE = z.object({
  instance: z.string().meta({ description: "Which bridge" }),
  name: z.string(),
  kind: z.string(),
  state: z.enum(["starting", "up", "down", "stopped", "lost"]).meta({
    description: "`lost`: its bridge went silent without good-bye; it is told of for ten minutes",
  }),
  reason: z.string().optional().meta({ description: "Why it brings nothing; absent where it does" }),
  rate: z.number().min(0).meta({ description: "Events a second new in the log, over the last 10 s" }),
  appended: COUNT.meta({ description: "Events new in the log since its bridge began" }),
  redelivered: COUNT.meta({ description: "Events the log had already" }),
  deadLetters: COUNT.meta({ description: "Messages put into the dead letters" }),
  lag: COUNT.nullable().meta({
    description: "Messages the broker holds for it; null: it keeps none, or cannot tell now",
  }),
  lastEventAt: z.iso.datetime().nullable(),
  reportedAt: z.iso.datetime().meta({ description: "When its bridge was last heard of" }),
});

export const PIPELINE = {
  method: "get",
  path: "/api/pipeline",
  id: "readPipeline",
  tag: "Operation",
  access: "cookie",
  summary: "Every source, the log and the connections at a glance",
  description:
    "For the role `ops`: of all bridges and instances. At most a second old, and the size of the log five; asking more often costs the store nothing.",
  answers: {
    200: {
      description: "Now",
      json: z
        .object({
          sources: z.array(SOURCE),
          log: z.object({
            store: z.enum(["redis", "embedded"]),
            companies: COUNT,
            events: COUNT,
            rate: z.number().min(0),
            up: z.boolean(),
          }),
          connections: z.object({ total: COUNT, activeCompanies: COUNT, instances: COUNT }),
          timestamp: z.iso.datetime(),
        })
        .meta({ id: "Pipeline" }),
    },
  },
  problems: [400, 401, 403, 503],
} as const satisfies Operation;

export function pipelineRoutes({ settings, live, registry, instance, log, gate }: PipelineDeps): Hono {
  // Data alone is shared between requests, no promise: workerd would not settle another request's.
  const answers = createRecent<Pipeline>(ANSWER_MS);
  const sizes = createRecent<LogStats>(LOG_SIZE_MS);

  const sizeOfLog = async () => {
    const known = sizes.get("");
    if (known !== undefined) return known;
    const at = sizes.now();
    const size = await log.stats();
    sizes.set("", size, at);
    return size;
  };

  const look = async (): Promise<Pipeline> => {
    const [survey, { companies, totalEvents }] = await within(
      STORE_MS,
      "read the state of the pipeline",
      Promise.all([registry.survey(instance), sizeOfLog()]),
    );
    const nowMs = Date.now();
    const sources = sourcesOf(survey.bridges, nowMs);
    const connections = addConnections(live, survey.connectionsByCompany);
    const own = Object.values<number>(live.stats().connectionsByCompany as Record<CompanyId, number>);
    const isHolding = own.some((count) => count > 0);
    return {
      sources,
      log: {
        store: isEmbedded(settings) ? "embedded" : "redis",
        companies,
        events: totalEvents,
        rate: Math.round(10 * sources.reduce((total, { rate }) => total + rate, 0)) / 10,
        up: true,
      },
      connections: {
        total: sum(connections),
        activeCompanies: connections.size,
        instances: survey.instances + (isHolding ? 1 : 0),
      },
      timestamp: new Date(nowMs).toISOString(),
    };
  };

  const app = new Hono();
  app.get(PIPELINE.path, async (c) => {
    const { principal } = await gate.admit(c.req.raw, "cookie");
    if (!isOps(principal)) {
      throw new MillraceError(
        "forbidden",
        "Only the role ops sees the pipeline: ask with a token of that role",
      );
    }
    let answer = answers.get("");
    if (answer === undefined) {
      const at = answers.now();
      answer = await look();
      answers.set("", answer, at);
    }
    return c.json(answer, 200, NO_STORE);
  });
  return app;
}
