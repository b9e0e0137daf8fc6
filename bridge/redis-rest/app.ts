/** The HTTP side: Upstash's REST API (upstash.com/docs/redis/features/restapi), and the probes. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { type Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { ErrorReply } from "redis";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { parseCommand, parseCommands, parsePath, splitTarget } from "./command.ts";
import type { Executor } from "./executor.ts";
import type { Monitor } from "./monitor.ts";
import { type Encoding, type Outcome, toJson } from "./reply.ts";
import type { Subscriptions } from "./subscriptions.ts";
import type { Access, ReadAccess } from "./tokens.ts";

/** Bytes of a request's body: Upstash's own limit of a request on its paid plans. */
const MAX_BODY_BYTES = 10 * 1024 * 1024;
/** Bytes of all bodies that are under way: what clients with a token can make the process hold. */
const MAX_BODIES_BYTES = 256 * 1024 * 1024;
const METHODS = ["GET", "HEAD", "POST", "PUT"];
const STREAMS = ["subscribe", "psubscribe", "monitor"];

export interface RedisRestDeps {
  readonly executor: Executor;
  readonly subscriptions: Subscriptions;
  readonly monitor: Monitor;
  readonly readAccess: ReadAccess;
  /** Whether the process is about to stop: then it is not ready. */
  readonly isStopping: () => boolean;
  readonly logger: Logger;
}

type Env = {
  Bindings: { incoming: IncomingMessage; outgoing: ServerResponse };
  Variables: { access: Access };
};
type AppContext = Context<Env>;
type Status = 200 | 400 | 401 | 404 | 405 | 413 | 429 | 500 | 503;

export function createRedisRestApp(deps: RedisRestDeps): Hono<Env> {
  const { executor, subscriptions, readAccess, isStopping, logger } = deps;
  const app = new Hono<Env>();
  app.onError((error, c) => answerError(error, c, logger));

  app.get("/healthz", (c) => answer(c, { status: "ok" }));
  app.get("/ready", async (c) => {
    if (isStopping()) return answer(c, { error: "This instance is about to stop" }, 503);
    try {
      await Promise.all([executor.ping(), subscriptions.ping()]);
    } catch {
      return answer(c, { error: "Redis does not answer" }, 503);
    }
    return answer(c, { status: "ready" });
  });

  // Before the body is read: who may not come in costs nothing.
  app.use(async (c, next) => {
    if (!METHODS.includes(c.req.method)) {
      c.header("allow", METHODS.join(", "));
      return answer(
        c,
        { error: `ERR Method ${c.req.method} is not allowed: expected ${METHODS.join(", ")}` },
        405,
      );
    }
    const target = targetOf(c);
    const at = target.indexOf("?");
    if (at >= 0 && /[?&]_token=/.test(target.slice(at))) {
      const why = "URLs are logged on their way, expected the header Authorization: Bearer <token>";
      return answer(c, { error: `ERR Cannot take a token from the URL: ${why}` }, 400);
    }
    const access = readAccess(c.req.header("authorization"));
    if (access === undefined) {
      c.header("www-authenticate", "Bearer");
      return answer(c, { error: "WRONGPASS invalid or missing auth token" }, 401);
    }
    c.set("access", access);
    return next();
  });
  let bodiesBytes = 0;
  app.use(async (c, next) => {
    const isChunked = c.req.header("transfer-encoding") !== undefined;
    const announced = isChunked ? MAX_BODY_BYTES : Number(c.req.header("content-length") ?? 0);
    const bytes = Math.min(announced, MAX_BODY_BYTES);
    if (bodiesBytes + bytes > MAX_BODIES_BYTES) {
      c.header("connection", "close");
      return answer(c, { error: "ERR too many bytes of requests are under way, try again later" }, 503);
    }
    bodiesBytes += bytes;
    try {
      await next();
    } finally {
      bodiesBytes -= bytes;
    }
    return undefined;
  });

  app.use(
    bodyLimit({
      maxSize: MAX_BODY_BYTES,
      onError: (c) => {
        // What is still to come is not read.
        c.header("connection", "close");
        return answer(c, { error: `ERR max request size exceeded. Limit: ${MAX_BODY_BYTES} bytes` }, 413);
      },
    }),
  );

  app.all("*", async (c) => {
    const target = targetOf(c);
    const { segments, path } = splitTarget(target);
    const [name = "", argument, ...more] = segments.map((segment) => segment.toString());
    const route = name.toLowerCase();
    if (STREAMS.includes(route)) return openStream(c, route, argument, more, deps);
    const encoding = readEncoding(c);
    const body = new Uint8Array(await c.req.arrayBuffer());
    const access = c.get("access");
    if (path === "/pipeline") {
      const outcomes = await executor.pipeline(parseCommands(body), access);
      return answer(c, toAnswers(outcomes, encoding));
    }
    if (path === "/multi-exec") {
      const outcomes = await executor.transaction(parseCommands(body), access);
      if (typeof outcomes === "string") return answer(c, { error: outcomes }, 400);
      return answer(c, toAnswers(outcomes, encoding));
    }
    const command = path === "/" || path === "" ? parseCommand(body) : parsePath(target, body);
    const [outcome] = await executor.pipeline([command], access);
    return answer(c, toJson(outcome!, encoding), outcome!.error === undefined ? 200 : 400);
  });
  return app;
}

/** @throws MillraceError; a reply error as it is. */
async function openStream(
  c: AppContext,
  route: string,
  name: string | undefined,
  more: readonly string[],
  { subscriptions, monitor, isStopping }: RedisRestDeps,
): Promise<Response> {
  const { outgoing } = c.env;
  if (c.req.method === "HEAD") {
    c.header("allow", "GET, POST, PUT");
    return answer(c, { error: "ERR Method HEAD is not allowed: expected GET, POST or PUT" }, 405);
  }
  // HTTP/1.1 pipelining: it would hold a place, and nobody would read it until what is before it has ended.
  if (outgoing.socket === null) {
    const expected = "expected a connection on which nothing else is under way";
    return answer(c, { error: `ERR Cannot ${route} behind another answer: ${expected}` }, 400);
  }
  if (isStopping()) return answer(c, { error: "ERR this instance is about to stop, try again" }, 503);
  let isOpen: boolean;
  if (route === "monitor") {
    if (c.get("access") !== "write") {
      const error =
        "NOPERM this user has no permissions to run the 'monitor' command: the token is the read-only one";
      return answer(c, { error }, 400);
    }
    isOpen = await monitor.open(outgoing);
  } else {
    if (name === undefined || name === "" || more.length > 0) {
      const expected = `expected /${route}/<name>, with %2F for a slash in the name`;
      return answer(c, { error: `ERR Cannot ${route}: one name a stream, ${expected}` }, 400);
    }
    isOpen = await subscriptions.open(route as "subscribe" | "psubscribe", name, outgoing);
  }
  if (isOpen) return RESPONSE_ALREADY_SENT;
  return answer(c, { error: "ERR max number of subscriptions reached, try again later" }, 429);
}

function readEncoding(c: AppContext): Encoding {
  const format = c.req.header("upstash-response-format") ?? "json";
  if (format.toLowerCase() !== "json") {
    throw new MillraceError(
      "invalid-input",
      "ERR Cannot answer in this Upstash-Response-Format: expected json",
    );
  }
  const encoding = c.req.header("upstash-encoding")?.toLowerCase();
  if (encoding === undefined || encoding === "base64") return encoding ?? "text";
  throw new MillraceError("invalid-input", "ERR Cannot answer in this Upstash-Encoding: expected base64");
}

function toAnswers(outcomes: readonly Outcome[], encoding: Encoding): object[] {
  return outcomes.map((outcome) => toJson(outcome, encoding));
}

/** As the request line has it. */
function targetOf(c: AppContext): string {
  return c.env.incoming.url ?? "/";
}

function answer(c: Context, body: object, status: Status = 200): Response {
  return c.json(body, status, { "cache-control": "no-store" });
}

function answerError(error: unknown, c: AppContext, logger: Logger): Response {
  const { incoming } = c.env;
  // The client went away while it was sending: nobody reads this, and nothing is wrong here.
  if (incoming.destroyed && !incoming.complete)
    return answer(c, { error: "ERR the request has no end" }, 400);
  if (error instanceof MillraceError) {
    if (error.code === "invalid-input") return answer(c, { error: error.message }, 400);
    // Not where our Redis is: that is the operator's to know.
    logger.warn({ reason: error.message }, "Cannot answer a request now");
    const unknown = "what was sent to it may or may not have been done";
    return answer(c, { error: `ERR Redis cannot be reached at the moment: ${unknown}` }, 503);
  }
  if (error instanceof ErrorReply) return answer(c, { error: error.message }, 400);
  logger.error({ reason: describeError(error) }, "Cannot answer a request");
  return answer(c, { error: "ERR internal error" }, 500);
}
