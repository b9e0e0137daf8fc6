/** The gateway: connections to Redis, the HTTP server, and how both end. */
import { once } from "node:events";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { backoffMs, sleep } from "../../functions/core/backoff.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { authority } from "../../functions/runtimes/node/host.ts";
import { listen } from "../../functions/runtimes/node/listen.ts";
import { createRedisRestApp } from "./app.ts";
import { openExecutor } from "./executor.ts";
import { createMonitor } from "./monitor.ts";
import { createSseStreams } from "./sse.ts";
import { openSubscriptions } from "./subscriptions.ts";
import { createReadAccess } from "./tokens.ts";

/**
 * Streams open at once, one a company and edge instance that has clients: each costs some 22 KiB, and 10,000 silent ones 5 % of a core.
 * Whoever comes after them polls (functions/core/redis-rest-subscriptions.ts).
 */
const MAX_STREAMS = 10_000;
/** Connections besides those of streams; each may hold one body. */
const MAX_OTHER_CONNECTIONS = 1_000;
/** Milliseconds for the headers of a request, and for the whole of it, to arrive. */
const HEADERS_MS = 10_000;
const REQUEST_MS = 30_000;
/** Milliseconds an idle connection is kept: longer than proxies keep theirs (60 s), so that the proxy closes first. */
const KEEP_ALIVE_MS = 75_000;
/** Milliseconds after which a connection that takes none of its answer is closed; a stream is never silent for so long. */
const STALLED_MS = 60_000;
/** Milliseconds `close` gives requests that are under way. */
const CLOSE_MS = 1_000;
/** Milliseconds between two looks for such that have ended. */
const SWEEP_MS = 20;
/** Milliseconds between two looks whether Redis is up, at most. */
const MAX_WAIT_MS = 1_000;

export interface RedisRestOptions {
  /** `redis://` or `rediss://`; what its user may not do, no token may. */
  readonly redisUrl: string;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Who has it may do everything the gateway lets through. */
  readonly token: string;
  /** Who has it may read and subscribe. */
  readonly readonlyToken?: string | undefined;
  readonly logger: Logger;
  /** Subscriptions and monitors open at once; one more is answered 429. Default 10,000. */
  readonly maxStreams?: number;
}

export interface RedisRest extends AsyncDisposable {
  /** As reached from this machine, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Resolves with true when Redis has answered, with false when the signal aborted first. @throws MillraceError `invalid-settings` when it does not let us in. */
  whenUp(signal: AbortSignal): Promise<boolean>;
  /** Ends the streams, gives requests about a second, and closes. Any number of times. */
  close(): Promise<void>;
}

/**
 * Resolves when it is listening; Redis need not be up: until it is, requests get 503.
 * @throws MillraceError `unavailable` when the port is taken, `invalid-settings` when the URL is none of Redis.
 */
export async function startRedisRest(options: RedisRestOptions): Promise<RedisRest> {
  const { redisUrl, host, logger, maxStreams = MAX_STREAMS } = options;
  await using stack = new AsyncDisposableStack();
  const streams = stack.use(
    createSseStreams(maxStreams, () =>
      logger.warn({}, "Cut a subscriber that does not read what it is sent"),
    ),
  );
  const executor = stack.use(openExecutor(redisUrl, logger));
  const subscriptions = stack.use(openSubscriptions(redisUrl, streams, logger));
  const monitor = stack.use(createMonitor(redisUrl, streams, logger));
  let isStopping = false;
  const app = createRedisRestApp({
    ...{ executor, subscriptions, monitor, logger },
    readAccess: createReadAccess(options.token, options.readonlyToken),
    isStopping: () => isStopping,
  });
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      headersTimeout: HEADERS_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
  }) as Server;
  server.timeout = STALLED_MS;
  server.maxConnections = maxStreams + MAX_OTHER_CONNECTIONS;
  server.on("drop", () => logger.warn({}, "Refused a connection: there are too many"));
  const port = await listen(server, host, options.port, "REDIS_REST_PORT");
  const url = `http://${authority(host, port)}`;
  logger.info({ url }, "Redis is served over REST");
  const connections = stack.move();

  const end = async () => {
    isStopping = true;
    const closed = once(server, "close");
    server.close();
    streams.endAll();
    // A connection whose answer has just ended waits for the next request.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    const cut = setTimeout(() => server.closeAllConnections(), CLOSE_MS);
    await closed;
    clearInterval(sweep);
    clearTimeout(cut);
    await connections.disposeAsync();
  };
  let ended: Promise<void> | undefined;
  const close = () => {
    ended ??= end();
    return ended;
  };
  return {
    ...{ url, port, close },
    async whenUp(signal) {
      for (let attempt = 0; !signal.aborted; attempt++) {
        try {
          await Promise.all([executor.ping(), subscriptions.ping()]);
          return true;
        } catch (error) {
          if (!(error instanceof MillraceError && error.retryable)) throw error;
        }
        await sleep(backoffMs(attempt, { maxMs: MAX_WAIT_MS }), signal);
      }
      return false;
    },
    [Symbol.asyncDispose]: close,
  };
}
