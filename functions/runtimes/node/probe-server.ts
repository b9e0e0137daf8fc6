/** The HTTP side of a process that serves nothing else, such as the bridge: `/healthz`, `/ready`, `/metrics`. */
import { once } from "node:events";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { createProbesApp } from "../../app.ts";
import type { Logger } from "../../core/logger.ts";
import type { DeadLetters } from "../../ports/dead-letters.ts";
import type { EventLog } from "../../ports/event-log.ts";
import { authority } from "./host.ts";
import { listen } from "./listen.ts";
import { createMetrics, type SourceSample } from "./metrics.ts";
import type { StoreCalls } from "./store-calls.ts";

/** Milliseconds for a request to arrive: who probes sends one at once. */
const REQUEST_MS = 10_000;

export interface ProbeServerOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Name of the setting that says the port. */
  readonly portSetting: string;
  readonly log: Pick<EventLog, "ping">;
  readonly deadLetters: Pick<DeadLetters, "count">;
  readonly calls: Readonly<StoreCalls>;
  /** Those that are on. */
  readonly sources: () => readonly SourceSample[];
  /** Whether the process is about to stop: then it is not ready. */
  readonly isStopping: () => boolean;
  readonly logger: Logger;
}

export interface ProbeServer extends AsyncDisposable {
  /** As reached from this machine, without a slash at the end. */
  readonly url: string;
}

/** Resolves when it is listening. Disposing it cuts what is under way. @throws MillraceError `unavailable` when the port is taken. */
export async function startProbeServer(options: ProbeServerOptions): Promise<ProbeServer> {
  const { host, port: wanted, portSetting, sources, deadLetters, calls, logger } = options;
  const app = createProbesApp({ ...options, metrics: createMetrics({ sources, deadLetters, calls }) });
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS },
  }) as Server;
  const port = await listen(server, host, wanted, portSetting);
  const url = `http://${authority(host, port)}`;
  logger.info({ url }, "Probes and metrics are served");
  return {
    url,
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
