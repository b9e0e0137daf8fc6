/** The HTTP server of a runtime whose handlers answer a Request with a Response: the service behind it, and how it ends. */
import type { Logger } from "../core/logger.ts";
import type { Settings } from "../core/settings.ts";
import type { OpenEventStream } from "../ports/event-stream.ts";
import type { OpenWebSocket } from "../ports/web-socket.ts";
import type { Asset } from "../routes/pages.ts";
import { createService, type Service } from "../service.ts";
import { authority } from "./node/host.ts";
import { createMetrics } from "./node/metrics.ts";
import { openAuthenticator } from "./node/open-authenticator.ts";
import type { Store } from "./node/open-store.ts";
import { deflate } from "./zlib.ts";

export interface WebServerOptions {
  /** AUTH_MODE unset is jwt. */
  readonly settings: Settings;
  /** Stays the caller's: dispose it after the server. */
  readonly store: Store;
  /** From web/build.ts; empty: no pages. */
  readonly pages: ReadonlyMap<string, Asset>;
  readonly logger: Logger;
}

/** What the runtime brings. */
export interface WebRuntime {
  readonly openEventStream: OpenEventStream;
  readonly openWebSocket: OpenWebSocket;
  /** Listens on HOST and PORT. Disposing it lets answers finish for a moment. @throws MillraceError `unavailable`. */
  listen(fetch: Service["fetch"]): AsyncDisposable & { readonly port: number };
}

export interface RunningWebServer extends AsyncDisposable {
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
export async function startWebServer(
  options: WebServerOptions,
  runtime: WebRuntime,
): Promise<RunningWebServer> {
  const { settings, store, pages, logger } = options;
  const service = createService({
    settings,
    store,
    authenticator: openAuthenticator(settings),
    openEventStream: runtime.openEventStream,
    openWebSocket: runtime.openWebSocket,
    deflate,
    // After every socket that has something to read was read.
    scheduleTurn: (run) => void setImmediate(run),
    createMetrics: (parts) =>
      createMetrics({ ...parts, ...store, retentionMs: settings.REPLAY_RETENTION_MS }),
    pages,
    logger,
  });
  await using stack = new AsyncDisposableStack();
  stack.defer(() => service.stop());
  const listening = stack.use(runtime.listen(service.fetch));
  const url = `http://${authority(settings.HOST, listening.port)}`;
  logger.info({ url, instance: service.instance }, "HTTP server is listening");

  const parts = stack.move();
  const end = async () => {
    await service.drain();
    await parts.disposeAsync();
  };
  let ended: Promise<void> | undefined;
  const close = () => {
    ended ??= end();
    return ended;
  };
  return { url, port: listening.port, close, [Symbol.asyncDispose]: close };
}
