/** The HTTP server on Deno. */
import { openWebStream } from "../../adapters/event-stream-web.ts";
import { type RunningWebServer, startWebServer, type WebServerOptions } from "../web-server.ts";
import { listen } from "./listen.ts";
import { createWebSockets } from "./web-sockets.ts";

/** As `startWebServer`. */
export function startServer(options: WebServerOptions): Promise<RunningWebServer> {
  const { settings, logger } = options;
  return startWebServer(options, {
    openEventStream: openWebStream,
    openWebSocket: createWebSockets({ heartbeatMs: settings.HEARTBEAT_MS }).open,
    listen: (fetch) =>
      listen({
        host: settings.HOST,
        port: settings.PORT,
        fetch: (request) => fetch(request, {}),
        logger,
      }),
  });
}
