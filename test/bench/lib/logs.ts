/** The event logs as the bench uses them: quiet, with the settings' defaults. */
import { createRedisLog } from "../../../functions/adapters/event-log-redis.ts";
import type { EventLog } from "../../../functions/ports/event-log.ts";
import { createSqliteLog } from "../../../functions/runtimes/node/event-log-sqlite.ts";
import { connectRedis } from "../../../functions/runtimes/node/redis-resp.ts";
import { openSqliteDatabase } from "../../../functions/runtimes/node/sqlite-database.ts";

const logger = { debug() {}, info() {}, warn() {}, error() {} };
const options = { retentionMs: 86_400_000, timeZone: "Asia/Karachi", logger };

export interface OpenLog extends AsyncDisposable {
  readonly log: EventLog;
}

export async function openRedisLog(url: string): Promise<OpenLog> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await connectRedis(url, logger));
  const log = stack.use(createRedisLog({ redis, ...options }));
  const owned = stack.move();
  return { log, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

export async function openSqliteLog(folder: string): Promise<OpenLog> {
  await using stack = new AsyncDisposableStack();
  const database = stack.use(openSqliteDatabase({ folder, logger }));
  const log = stack.use(createSqliteLog({ database, ...options }));
  const owned = stack.move();
  return { log, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
