/** The store of the settings: the event log and what goes with it on one back end, readings of GPUs on another. */
import { createRedisAccessRules } from "../../adapters/access-rules-redis.ts";
import { createRedisDeadLetters } from "../../adapters/dead-letters-redis.ts";
import { createRedisLog } from "../../adapters/event-log-redis.ts";
import { createRedisInstanceRegistry } from "../../adapters/instance-registry-redis.ts";
import { connectRedisRest } from "../../adapters/redis-connection-rest.ts";
import { createRedisTickets } from "../../adapters/tickets-redis.ts";
import { backoffMs, sleep } from "../../core/backoff.ts";
import { MillraceError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { Settings } from "../../core/settings.ts";
import type { AccessRules } from "../../ports/access-rules.ts";
import type { DeadLetters } from "../../ports/dead-letters.ts";
import type { EventLog } from "../../ports/event-log.ts";
import type { InstanceRegistry } from "../../ports/instance-registry.ts";
import type { RedisConnection } from "../../ports/redis-connection.ts";
import type { TelemetryStore } from "../../ports/telemetry-store.ts";
import type { Tickets } from "../../ports/tickets.ts";
import { createSqliteAccessRules } from "./access-rules-sqlite.ts";
import { createSqliteDeadLetters } from "./dead-letters-sqlite.ts";
import { createSqliteLog } from "./event-log-sqlite.ts";
import { createSqliteInstanceRegistry } from "./instance-registry-sqlite.ts";
import { connectRedis } from "./redis-resp.ts";
import { openSqliteDatabase } from "./sqlite-database.ts";
import { countDatabaseCalls, countRedisCalls, createStoreCalls, type StoreCalls } from "./store-calls.ts";
import { createSqliteTelemetry } from "./telemetry-store-sqlite.ts";
import { createSqliteTickets } from "./tickets-sqlite.ts";

/** Milliseconds between two looks for a store that is not up, at most. */
const MAX_WAIT_MS = 2_000;

/** Disposing it ends open tails and closes the back end. */
export interface Store extends AsyncDisposable {
  readonly log: EventLog;
  readonly deadLetters: DeadLetters;
  readonly registry: InstanceRegistry;
  readonly rules: AccessRules;
  readonly tickets: Tickets;
  readonly telemetry: TelemetryStore;
  /** Of what is behind all but the telemetry. */
  readonly calls: Readonly<StoreCalls>;
}

export interface StoreOptions {
  readonly settings: Pick<
    Settings,
    | "REDIS_URL"
    | "DATA_DIR"
    | "REPLAY_RETENTION_MS"
    | "TODAY_TIMEZONE"
    | "MONGODB_URI"
    | "MONGODB_DATABASE"
    | "MONGO_COLLECTION"
  > &
    Partial<Pick<Settings, "UPSTASH_REDIS_REST_URL" | "UPSTASH_REDIS_REST_TOKEN">>;
  readonly logger: Logger;
}

/**
 * On Redis when REDIS_URL is set, else on Redis over REST when UPSTASH_REDIS_REST_URL is, else on the embedded store in DATA_DIR. Redis
 * need not be up: see `whenUp`. Readings on MongoDB when MONGODB_URI is set, else in a file of their own in DATA_DIR; neither is touched
 * before it is asked.
 * @throws MillraceError `invalid-settings` when DATA_DIR or a URL cannot be used.
 */
export async function openStore({ settings, logger }: StoreOptions): Promise<Store> {
  await using stack = new AsyncDisposableStack();
  const options = {
    retentionMs: settings.REPLAY_RETENTION_MS,
    timeZone: settings.TODAY_TIMEZONE,
    logger,
  };
  const telemetry = stack.use(await openTelemetry(settings));
  const calls = createStoreCalls();
  const parts = await (async () => {
    const connection = await openRedis(settings, logger);
    if (connection !== undefined) {
      const redis = stack.use(countRedisCalls(connection, calls));
      return {
        log: stack.use(createRedisLog({ redis, ...options })),
        deadLetters: createRedisDeadLetters({ redis }),
        registry: createRedisInstanceRegistry({ redis }),
        rules: createRedisAccessRules({ redis }),
        tickets: createRedisTickets({ redis }),
      };
    }
    const file = stack.use(openSqliteDatabase({ folder: settings.DATA_DIR, logger }));
    const database = countDatabaseCalls(file, calls);
    return {
      log: stack.use(createSqliteLog({ database, ...options })),
      deadLetters: createSqliteDeadLetters({ database }),
      registry: createSqliteInstanceRegistry({ database }),
      rules: createSqliteAccessRules({ database }),
      tickets: createSqliteTickets({ database }),
    };
  })();
  const owned = stack.move();
  return { ...parts, telemetry, calls, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

/** Both are opened when they are first asked. */
async function openTelemetry(settings: StoreOptions["settings"]): Promise<TelemetryStore> {
  const { MONGODB_URI, DATA_DIR } = settings;
  if (MONGODB_URI === undefined) return createSqliteTelemetry({ folder: DATA_DIR });
  // Who has none is spared the driver: some 100 ms and 30 MiB.
  const { openMongoTelemetry } = await import("./open-mongodb.ts");
  return openMongoTelemetry({ settings: { ...settings, MONGODB_URI } });
}

async function openRedis(
  { REDIS_URL, UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token }: StoreOptions["settings"],
  logger: Logger,
): Promise<RedisConnection | undefined> {
  if (REDIS_URL !== undefined) return connectRedis(REDIS_URL, logger);
  return url === undefined || token === undefined ? undefined : connectRedisRest({ url, token, logger });
}

/**
 * Waits for a store that is not up yet: servers start in any order. Resolves with false when the signal aborted first.
 * @throws MillraceError where waiting cannot help, such as refused credentials.
 */
export async function whenUp({ log }: Pick<Store, "log">, signal: AbortSignal): Promise<boolean> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      await log.ping();
      return true;
    } catch (error) {
      if (!(error instanceof MillraceError && error.retryable)) throw error;
    }
    await sleep(backoffMs(attempt, { maxMs: MAX_WAIT_MS }), signal);
  }
  return false;
}
