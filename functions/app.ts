/** The only composition of HTTP: mounts the routes and turns every error into an answer. */
import { type Context, Hono } from "hono";
import { describeError, MillraceError } from "./core/errors.ts";
import { quote } from "./core/ids.ts";
import type { Logger } from "./core/logger.ts";
import { type RefusalReason, refusalOfError } from "./core/refusal-counts.ts";
import type { Settings } from "./core/settings.ts";
import type { AccessRules } from "./ports/access-rules.ts";
import type { EventLog } from "./ports/event-log.ts";
import type { OpenEventStream } from "./ports/event-stream.ts";
import type { Gate } from "./ports/gate.ts";
import type { InstanceRegistry } from "./ports/instance-registry.ts";
import type { Live } from "./ports/live.ts";
import type { TelemetryStore } from "./ports/telemetry-store.ts";
import type { Tickets } from "./ports/tickets.ts";
import { adminRoutes } from "./routes/admin.ts";
import { methodNotAllowed, problem } from "./routes/answer.ts";
import { cors } from "./routes/cors.ts";
import { dashboardRoutes } from "./routes/dashboard.ts";
import { gpusRoutes } from "./routes/gpus.ts";
import { graphqlRoutes } from "./routes/graphql.ts";
import { healthRoutes } from "./routes/health.ts";
import { historyRoutes } from "./routes/history.ts";
import { loopbackOnly } from "./routes/loopback-only.ts";
import { mqRoutes } from "./routes/mq.ts";
import { openapiRoutes } from "./routes/openapi.ts";
import { type Asset, pagesRoutes } from "./routes/pages.ts";
import { pipelineRoutes } from "./routes/pipeline.ts";
import { type ProbesDeps, probesRoutes } from "./routes/probes.ts";
import { renewRoutes } from "./routes/renew.ts";
import { servicesRoutes } from "./routes/services.ts";
import { statsRoutes } from "./routes/stats.ts";
import { streamRoutes } from "./routes/stream.ts";
import { ticketsRoutes } from "./routes/tickets.ts";

/** Everything stays the caller's to close. */
export interface AppDeps {
  readonly settings: Pick<
    Settings,
    | "STREAMING_ENABLED"
    | "CORS_ORIGINS"
    | "AUTH_MODE"
    | "AUTH_TOKEN"
    | "DEFAULT_PAGE_SIZE"
    | "HEARTBEAT_MS"
    | "IDLE_TIMEOUT_MS"
    | "REDIS_URL"
    | "UPSTASH_REDIS_REST_URL"
  >;
  readonly log: EventLog;
  readonly live: Live;
  readonly registry: InstanceRegistry;
  /** A random id of this process, under which it reports to the registry. */
  readonly instance: string;
  readonly gate: Gate;
  readonly rules: AccessRules;
  readonly tickets: Tickets;
  readonly telemetry: TelemetryStore;
  readonly openEventStream: OpenEventStream;
  /** The text of `/metrics`. */
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
  /** The sources of a bridge in this process, as of now. */
  readonly sources?: ProbesDeps["sources"];
  /** The live pages, by URL path. */
  readonly pages: ReadonlyMap<string, Asset>;
  /** Called of each request that is refused. */
  readonly onRefused?: ((reason: RefusalReason) => void) | undefined;
  readonly logger: Logger;
}

/** Seconds after which a store that is away may be back. */
const RETRY_SECONDS = 5;
/** Milliseconds until the same reason is worth another line: who asks of a store that is away may be many. */
const SAME_REASON_MS = 10_000;
/** Reasons of which is known when they were said. */
const KNOWN_REASONS = 100;

/** The HTTP side of Millrace, on any runtime: its `fetch(request, env)` answers every request and never rejects. */
export function createApp(deps: AppDeps): Hono {
  const { settings, logger, pages } = deps;
  const app = emptyApp(logger, deps.onRefused);
  if (settings.AUTH_MODE === "none") app.use(loopbackOnly());
  if (settings.CORS_ORIGINS.length > 0) app.use(cors(settings.CORS_ORIGINS));
  app.route("/", streamRoutes(deps));
  app.route("/", ticketsRoutes(deps));
  app.route("/", renewRoutes(deps));
  app.route("/", historyRoutes(deps));
  app.route("/", mqRoutes(deps));
  app.route("/", dashboardRoutes(deps));
  app.route("/", servicesRoutes(deps));
  app.route("/", gpusRoutes(deps));
  app.route("/", graphqlRoutes(deps));
  app.route("/", statsRoutes(deps));
  app.route("/", pipelineRoutes(deps));
  app.route("/", healthRoutes(deps));
  app.route("/", adminRoutes(deps));
  app.route("/", openapiRoutes());
  app.route("/", pagesRoutes(pages));
  refuseOtherMethods(app);
  return app;
}

/** The HTTP side of a process that serves nothing but its own probes. */
export function createProbesApp(deps: ProbesDeps): Hono {
  const app = emptyApp(deps.logger);
  app.route("/", probesRoutes(deps));
  refuseOtherMethods(app);
  return app;
}

/** One that finds nothing, and answers every error. */
function emptyApp(logger: Logger, onRefused: AppDeps["onRefused"] = () => {}): Hono {
  const app = new Hono();
  const warn = warnRarely(logger);
  app.onError((error, c) => {
    onRefused(refusalOfError(error));
    return answerError(error, c, logger, warn);
  });
  app.notFound((c) => problem(c, 404, `Cannot find ${quote(c.req.path)}: there is no such route`));
  app.use(async (_c, next) => {
    try {
      await next();
    } catch (thrown) {
      // Hono hands on only errors; runtimes throw other things too, and undefined.
      throw thrown instanceof Error ? thrown : new Error(describeError(thrown));
    }
  });
  return app;
}

/** A line for each reason once in a while; in between it is for who debugs. */
function warnRarely(logger: Logger): Logger["warn"] {
  const saidAtMs = new Map<string, number>();
  return (fields: { readonly reason?: string }, message: string) => {
    const { reason = "" } = fields;
    const isNew = performance.now() - (saidAtMs.get(reason) ?? Number.NEGATIVE_INFINITY) > SAME_REASON_MS;
    if (!isNew) return logger.debug(fields, message);
    if (saidAtMs.size >= KNOWN_REASONS) saidAtMs.clear();
    saidAtMs.set(reason, performance.now());
    logger.warn(fields, message);
  };
}

function answerError(error: Error, c: Context, logger: Logger, warn: Logger["warn"]): Response {
  if (error instanceof MillraceError && error.status < 500) {
    const headers: Record<string, string> =
      error.code === "unauthorized" ? { "www-authenticate": "Bearer" } : {};
    return problem(c, error.status as 400 | 401 | 403, error.message, headers);
  }
  // The path alone: a query may hold what must not be logged. And the client is not told where our stores are.
  const fields = { reason: describeError(error), method: c.req.method, path: c.req.path };
  if (error instanceof MillraceError && error.retryable) {
    warn(fields, "Cannot answer a request now");
    return problem(c, 503, "Something this answer needs cannot be reached at the moment, try again later", {
      "retry-after": String(RETRY_SECONDS),
    });
  }
  logger.error({ ...fields, stack: error.stack }, "Cannot answer a request");
  return c.json({ error: "Internal" }, 500);
}

/** A known path asked by another method is 405 with Allow, not 404 (RFC 9110 section 15.5.6). */
function refuseOtherMethods(app: Hono): void {
  const methodsByPath = new Map<string, Set<string>>();
  for (const { method, path } of app.routes) {
    if (method === "ALL") continue;
    const methods = methodsByPath.get(path) ?? new Set();
    methodsByPath.set(path, methods.add(method));
    if (method === "GET") methods.add("HEAD");
  }
  for (const [path, methods] of methodsByPath) {
    app.all(path, (c) => methodNotAllowed(c, [...methods].join(", ")));
  }
}
