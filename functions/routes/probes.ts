/** What every process with an HTTP side answers: `/healthz`, `/ready`, `/metrics`. They ask nobody's name, so they name no company. */
import { Hono } from "hono";
import * as z from "zod";
import type { Logger } from "../core/logger.ts";
import type { EventLog } from "../ports/event-log.ts";
import { NO_STORE, problem } from "./answer.ts";
import { askLog } from "./ask-log.ts";
import type { Operation } from "./operation.ts";

/** A source of a bridge in this process, as of now. */
export interface SourceStatus {
  readonly name: string;
  readonly kind: string;
  /** `starting` until the first connection; `stopped` when the bridge was closed. */
  readonly state: "starting" | "up" | "down" | "stopped";
  /** Why it is down, or why its messages cannot be stored; undefined while all is well. Holds no secret. */
  readonly lastError: string | undefined;
}

export interface ProbesDeps {
  readonly log: Pick<EventLog, "ping">;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  /** Those that are on; absent: no bridge runs in this process. */
  readonly sources?: (() => readonly SourceStatus[]) | undefined;
  /** Whether this process is about to stop. */
  readonly isStopping: () => boolean;
  readonly logger: Logger;
}

const SOURCES = z
  .array(
    z.object({
      name: z.string(),
      kind: z.string(),
      state: z.enum(["starting", "up", "down", "stopped"]),
      reason: z.string().optional().meta({ description: "Why it brings nothing; absent where it does" }),
    }),
  )
  .optional()
  .meta({ description: "Of a bridge in this process" });

export const HEALTHZ = {
  method: "get",
  path: "/healthz",
  id: "readAlive",
  tag: "Operation",
  access: "open",
  summary: "Whether the process is alive",
  answers: { 200: { description: "It is", json: z.object({ status: z.literal("ok") }) } },
} as const satisfies Operation;

export const READY = {
  method: "get",
  path: "/ready",
  id: "readReady",
  tag: "Operation",
  access: "open",
  summary: "Whether the process may be sent requests",
  answers: {
    200: {
      description: "The log answers, the process is not about to stop, every source brings its messages",
      json: z.object({ status: z.literal("ready"), sources: SOURCES }),
    },
    503: {
      description: "Not now",
      json: z.object({ error: z.string(), message: z.string(), sources: SOURCES }),
    },
  },
} as const satisfies Operation;

export const METRICS = {
  method: "get",
  path: "/metrics",
  id: "readMetrics",
  tag: "Operation",
  access: "open",
  summary: "Numbers of the process, for Prometheus",
  answers: {
    200: {
      description: "Text of Prometheus",
      text: { type: "text/plain", examples: { gauge: "millrace_connections 3\n" } },
    },
  },
} as const satisfies Operation;

export function probesRoutes({ log, metrics, sources, isStopping, logger }: ProbesDeps): Hono {
  const app = new Hono();
  app.get(HEALTHZ.path, (c) => c.json({ status: "ok" }, 200, NO_STORE));

  app.get(READY.path, async (c) => {
    const more = sources && { sources: sources().map(reportOf) };
    const notReady = (message: string) => problem(c, 503, message, {}, more);
    if (isStopping()) return notReady("This instance is about to stop");
    const answer = await askLog(
      log.ping().then(() => true),
      logger,
    );
    if (answer === undefined) return notReady("The event log does not answer");
    const waiting = more?.sources.filter(({ reason }) => reason !== undefined) ?? [];
    if (waiting.length > 0) {
      return notReady(`Not every source brings its messages: ${waiting.map(({ name }) => name).join(", ")}`);
    }
    return c.json({ status: "ready", ...more }, 200, NO_STORE);
  });

  app.get(METRICS.path, async (c) => {
    const { contentType, body } = await metrics();
    return c.body(body, 200, { "content-type": contentType, ...NO_STORE });
  });
  return app;
}

/** `reason`: why it brings nothing into the log; absent when it does. */
function reportOf({ name, kind, state, lastError }: SourceStatus) {
  const reason = lastError ?? (state === "up" ? undefined : UNSAID[state]);
  return { name, kind, state, ...(reason === undefined ? {} : { reason }) };
}

const UNSAID = {
  starting: "it has not been connected since the start",
  down: "it is not connected",
  stopped: "it was closed",
};
