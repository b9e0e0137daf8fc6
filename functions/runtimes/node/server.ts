/** The HTTP server on Node: listens, tells the other instances of its connections, and drains before it closes. */
import { once } from "node:events";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import type { Logger } from "../../core/logger.ts";
import type { Settings } from "../../core/settings.ts";
import type { Asset } from "../../routes/pages.ts";
import { createService } from "../../service.ts";
import { deflate } from "../zlib.ts";
import { openSocketStream } from "./event-stream-socket.ts";
import { authority } from "./host.ts";
import { listen } from "./listen.ts";
import { createMetrics, type MetricsOptions } from "./metrics.ts";
import { openAuthenticator } from "./open-authenticator.ts";
import type { Store } from "./open-store.ts";
import { createWebSockets } from "./web-sockets.ts";

/** Bytes of request headers; more is answered 431. Node's own default, held here so that no flag of the process changes it. */
const MAX_HEADER_BYTES = 16 * 1024;
/** Milliseconds for the headers of a request, and for the whole of it, to arrive. They say nothing about how long an answer may take. */
const HEADERS_MS = 20_000;
const REQUEST_MS = 60_000;
/** Milliseconds an idle connection is kept for the next request: longer than proxies keep theirs (60 s), so that the proxy closes first. */
const KEEP_ALIVE_MS = 75_000;
/** Milliseconds after the drain in which answers that are under way may be finished. */
const CLOSE_MS = 1_000;

export interface ServerOptions {
  /** AUTH_MODE unset is jwt. */
  readonly settings: Settings;
  /** Stays the caller's: dispose it after the server. */
  readonly store: Store;
  /** From web/build.ts; empty: no pages. */
  readonly pages: ReadonlyMap<string, Asset>;
  readonly logger: Logger;
  /** Further parts of this process for /metrics. */
  readonly sources?: MetricsOptions["sources"];
}

export interface RunningServer extends AsyncDisposable {
  /** As reached from this machine, without a slash at the end. */
  readonly url: string;
  readonly port: number;
  /** Sends the clients away over DRAIN_MS, then closes. Any number of times. */
  close(): Promise<void>;
}

/**
 * Resolves when it is listening.
 * @throws MillraceError `invalid-settings` when the settings do not say who may read, `unavailable` when PORT cannot be listened on.
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { settings, store, pages, logger, sources } = options;
  const webSockets = createWebSockets({ heartbeatMs: settings.HEARTBEAT_MS, logger });
  const service = createService({
    settings,
    store,
    authenticator: openAuthenticator(settings),
    openEventStream: openSocketStream,
    openWebSocket: webSockets.open,
    deflate,
    // After every socket that has something to read was read.
    scheduleTurn: (run) => void setImmediate(run),
    createMetrics: (parts) =>
      createMetrics({
        ...parts,
        ...store,
        retentionMs: settings.REPLAY_RETENTION_MS,
        ...(sources ? { sources } : {}),
      }),
    sources,
    pages,
    logger,
  });
  const server = createAdaptorServer({
    fetch: service.fetch,
    serverOptions: {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_MS,
      connectionsCheckingInterval: HEADERS_MS / 4,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      shouldUpgradeCallback: webSockets.isWanted,
    },
  }) as Server;
  webSockets.attach(server, service.fetch);
  const port = await listen(server, settings.HOST, settings.PORT, "PORT").catch(async (error: unknown) => {
    await service.stop();
    throw error;
  });
  const url = `http://${authority(settings.HOST, port)}`;
  logger.info({ url, instance: service.instance }, "HTTP server is listening");

  const end = async () => {
    await service.drain();
    const closed = once(server, "close");
    server.close();
    // Streams are gone with the drain; what is left then is requests without an end.
    const cut = setTimeout(() => {
      server.closeAllConnections();
      void webSockets[Symbol.asyncDispose]();
    }, CLOSE_MS);
    await Promise.all([closed, service.stop()]);
    clearTimeout(cut);
  };
  let ended: Promise<void> | undefined;
  const close = () => {
    ended ??= end();
    return ended;
  };
  return { url, port, close, [Symbol.asyncDispose]: close };
}
