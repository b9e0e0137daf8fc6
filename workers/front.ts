/** The front of Millrace in a Worker: it parses, lets in and refuses, and hands what stays open to a Durable Object. */
import { createGate } from "../functions/access/gate.ts";
import { createPolledRules } from "../functions/access/rules-polled.ts";
import { createJwtAuthenticator } from "../functions/adapters/authenticator-jwt.ts";
import { createApp } from "../functions/app.ts";
import type { Asset } from "../functions/routes/pages.ts";
import { type OpenTelemetry, openEdgeStore, readBindings } from "./environment.ts";
import { openWorkerStream } from "./event-stream.ts";
import { createDurableObjectsLive, type DurableObjectsLiveOptions } from "./live-durable-objects.ts";
import { createConsoleLogger } from "./logger.ts";
import { createWorkerMetrics } from "./metrics.ts";
import { createRooms } from "./rooms.ts";

export interface FrontOptions extends Pick<DurableObjectsLiveOptions, "shardConnections"> {
  /** Default: there is none, and whoever asks for readings is told. */
  readonly openTelemetry?: OpenTelemetry;
}

/**
 * One an isolate: its requests share what is data, and each opens for itself whatever it waits for, since workerd ends that with the request.
 * @throws MillraceError `invalid-settings`.
 */
export function createFront(
  env: Env,
  pages: ReadonlyMap<string, Asset>,
  { shardConnections, openTelemetry }: FrontOptions = {},
): ReturnType<typeof createApp> {
  const settings = readBindings(env);
  const logger = createConsoleLogger({ level: settings.LOG_LEVEL });
  const store = openEdgeStore(settings, logger, openTelemetry);
  const authenticator = createJwtAuthenticator({
    secret: settings.JWT_SECRET,
    jwksUrl: settings.JWKS_URL,
    issuer: settings.JWT_ISSUER,
    audience: settings.JWT_AUDIENCE,
  });
  return createApp({
    settings,
    ...store,
    live: createDurableObjectsLive({
      hubs: env.COMPANY_HUB,
      maxConnectionsPerCompany: settings.MAX_CONNECTIONS_PER_COMPANY,
      rooms: createRooms(),
      ...(shardConnections === undefined ? {} : { shardConnections }),
    }),
    // It reports nothing: its Durable Objects do.
    instance: "",
    gate: createGate({
      authenticator,
      copy: createPolledRules({ rules: store.rules }),
      tickets: store.tickets,
    }),
    openEventStream: openWorkerStream,
    metrics: createWorkerMetrics(store),
    pages,
    logger,
  });
}
