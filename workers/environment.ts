/** What a Worker and its Durable Objects are made of: settings from the bindings, and the store over REST. */
import { createRedisAccessRules } from "../functions/adapters/access-rules-redis.ts";
import { createRedisLog } from "../functions/adapters/event-log-redis.ts";
import { createRedisInstanceRegistry } from "../functions/adapters/instance-registry-redis.ts";
import { connectRedisRest } from "../functions/adapters/redis-connection-rest.ts";
import { createRedisTickets } from "../functions/adapters/tickets-redis.ts";
import { MillraceError } from "../functions/core/errors.ts";
import type { Logger } from "../functions/core/logger.ts";
import { readSettings, type Settings } from "../functions/core/settings.ts";
import type { TelemetryStore } from "../functions/ports/telemetry-store.ts";
import type { ServiceStore } from "../functions/service.ts";
import { noTelemetry } from "./no-telemetry.ts";

/** From vars and secrets alike. @throws MillraceError `invalid-settings`. */
export function readBindings(env: Env): Settings {
  const texts = Object.entries(env).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  // A Worker is reached by everyone, whatever HOST says: without authentication it does not start.
  return readSettings({ ...Object.fromEntries(texts), HOST: "0.0.0.0" });
}

/** Disposing it ends its subscriptions. */
export interface EdgeStore extends ServiceStore, AsyncDisposable {}

/** Opens nothing before it is asked. */
export type OpenTelemetry = (settings: Settings) => TelemetryStore;

/** Sends nothing before it is asked. @throws MillraceError `invalid-settings` when the settings name no store. */
export function openEdgeStore(
  settings: Settings,
  logger: Logger,
  openTelemetry: OpenTelemetry = noTelemetry,
): EdgeStore {
  const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token } = settings;
  if (url === undefined || token === undefined) {
    throw new MillraceError(
      "invalid-settings",
      "Cannot open the event log: UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN are not both set, expected the secrets that wrangler.toml names",
    );
  }
  const redis = connectRedisRest({ url, token, logger });
  const log = createRedisLog({
    redis,
    retentionMs: settings.REPLAY_RETENTION_MS,
    timeZone: settings.TODAY_TIMEZONE,
    logger,
  });
  return {
    log,
    registry: createRedisInstanceRegistry({ redis }),
    rules: createRedisAccessRules({ redis }),
    tickets: createRedisTickets({ redis }),
    telemetry: openTelemetry(settings),
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}
