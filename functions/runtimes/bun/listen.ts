/** Listening on Bun: what its HTTP server leaves to us. */
import { openWebStream } from "../../adapters/event-stream-web.ts";
import { describeError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { OpenEventStream } from "../../ports/event-stream.ts";
import { cannotListen } from "../cannot-listen.ts";
import { listenHost } from "../node/host.ts";
import { refuseRequest } from "../web-requests.ts";
import { type BunServer, bun } from "./bun.ts";
import type { BunEnv, WebSockets } from "./web-sockets.ts";

/** Seconds an idle connection is kept for the next request: longer than proxies keep theirs (60 s), so that the proxy closes first. */
const KEEP_ALIVE_SECONDS = 76;
/** Bytes of a request's body: nothing that is asked for comes near it. */
const MAX_BODY_BYTES = 1024 * 1024;
/** Milliseconds in which answers that are under way may be finished. */
const CLOSE_MS = 1_000;

/** A web stream that may be quiet: Bun would cut it as it cuts any idle connection. */
export const openEventStream: OpenEventStream = (request, headers, onGone) => {
  (request.env as BunEnv).server.timeout(request.raw, 0);
  return openWebStream(request, headers, onGone);
};

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly fetch: (request: Request, env: BunEnv) => Response | Promise<Response>;
  readonly webSockets: Pick<WebSockets, "handlers">;
  readonly logger: Logger;
}

export interface Listening extends AsyncDisposable {
  readonly port: number;
}

/** Disposing it lets answers finish for a second, and cuts the rest. @throws MillraceError `unavailable`. */
export function listen({ host, port, fetch, webSockets, logger }: ListenOptions): Listening {
  let server: BunServer;
  try {
    server = bun.serve({
      hostname: listenHost(host),
      port,
      idleTimeout: KEEP_ALIVE_SECONDS,
      maxRequestBodySize: MAX_BODY_BYTES,
      async fetch(request, server) {
        const env: BunEnv = { server, isUpgraded: false };
        const response = refuseRequest(request) ?? (await fetch(request, env));
        return env.isUpgraded ? undefined : response;
      },
      error(error) {
        logger.error({ reason: describeError(error) }, "Cannot answer a request");
        return Response.json({ error: "Internal" }, { status: 500 });
      },
      websocket: webSockets.handlers,
    });
  } catch (cause) {
    throw cannotListen(host, port, "PORT", cause);
  }
  return {
    port: server.port,
    async [Symbol.asyncDispose]() {
      const timer = setTimeout(() => void server.stop(true), CLOSE_MS);
      await server.stop();
      clearTimeout(timer);
    },
  };
}
