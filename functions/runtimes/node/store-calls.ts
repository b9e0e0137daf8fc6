/** Calls of the store behind the log: how long they take and how many fail, whatever is asked. */
import { createHistogram, type Histogram } from "../../core/histogram.ts";
import type { RedisConnection } from "../../ports/redis-connection.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

/** Since the start. */
export interface StoreCalls {
  /** No answer in time, no connection, or an answer that is an error. */
  failures: number;
  /** Seconds a call took, those that failed too; a pipeline is one. */
  readonly seconds: Histogram;
}

export function createStoreCalls(): StoreCalls {
  return { failures: 0, seconds: createHistogram() };
}

/** The same connection, counted. Disposing it disposes that. */
export function countRedisCalls(redis: RedisConnection, calls: StoreCalls): RedisConnection {
  const count = async <T>(call: Promise<T>): Promise<T> => {
    const startMs = performance.now();
    try {
      return await call;
    } catch (error) {
      calls.failures++;
      throw error;
    } finally {
      calls.seconds.observe((performance.now() - startMs) / 1000);
    }
  };
  // Called at once: what is called in the same turn is pipelined.
  return {
    command: (args) => count(redis.command(args)),
    pipeline: (commands) => count(redis.pipeline(commands)),
    script: (lua, keys, args) => count(redis.script(lua, keys, args)),
    subscribe: (channel, handler) => redis.subscribe(channel, handler),
    [Symbol.asyncDispose]: () => redis[Symbol.asyncDispose](),
  };
}

/** The same database, counted; it stays the caller's to dispose. */
export function countDatabaseCalls(database: SqliteDatabase, calls: StoreCalls): SqliteDatabase {
  const counted =
    (run: SqliteDatabase["read"]): SqliteDatabase["read"] =>
    (what, body) => {
      const startMs = performance.now();
      try {
        return run(what, body);
      } catch (error) {
        calls.failures++;
        throw error;
      } finally {
        calls.seconds.observe((performance.now() - startMs) / 1000);
      }
    };
  return { ...database, read: counted(database.read), write: counted(database.write) };
}
