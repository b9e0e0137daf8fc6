/** The HTTP server on Bun. */
import { type RunningWebServer, startWebServer, type WebServerOptions } from "../web-server.ts";
import { listen, openEventStream } from "./listen.ts";
import { createWebSockets } from "./web-sockets.ts";

/** As `startWebServer`. */
export function startServer(options: WebServerOptions): Promise<RunningWebServer> {
  const { settings, logger } = options;
  const webSockets = createWebSockets({ heartbeatMs: settings.HEARTBEAT_MS });
  return startWebServer(options, {
    openEventStream,
    openWebSocket: webSockets.open,
    listen: (fetch) => listen({ host: settings.HOST, port: settings.PORT, fetch, webSockets, logger }),
  });
}
