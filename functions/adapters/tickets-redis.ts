/** Tickets in Redis: a key each, which is gone when its time is over or it was taken. */
import type { RedisConnection } from "../ports/redis-connection.ts";
import type { Tickets } from "../ports/tickets.ts";

/** The braces keep the form of every other key; a ticket is of no company until it is opened. */
const keyOf = (id: string) => `millrace:ticket:{${id}}`;

export function createRedisTickets({ redis }: { redis: RedisConnection }): Tickets {
  return {
    async put(id, sealed, ttlMs) {
      await redis.command(["SET", keyOf(id), sealed, "PX", String(ttlMs)]);
    },
    async take(id) {
      // One command, so that of two who ask at once one gets it.
      const sealed = await redis.command(["GETDEL", keyOf(id)]);
      return sealed === null ? undefined : String(sealed);
    },
  };
}
