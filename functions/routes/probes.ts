/** What every process with an HTTP side answers: `/healthz`, `/ready`, `/metrics`. They ask nobody's name, so they name no company. */
import { Hono } from "hono";
import type { Logger } from "../core/logger.ts";
import type { EventLog } from "../ports/event-log.ts";
import { NO_STORE, problem } from "./answer.ts";
import { askLog } from "./ask-log.ts";

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

export function probesRoutes({ log, metrics, sources, isStopping, logger }: ProbesDeps): Hono {
  const app = new Hono();
  app.get("/healthz", (c) => c.json({ status: "ok" }, 200, NO_STORE));

  app.get("/ready", async (c) => {
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

  app.get("/metrics", async (c) => {
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
