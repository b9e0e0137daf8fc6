/** A log that tests write to as a bridge would, and the tokens of its readers. */
import { SignJWT } from "jose";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { silent } from "./logger.ts";

export const JWT_SECRET = "a secret of the tests, of 32 characters or more";

/** A token of JWT_SECRET that lives an hour. */
export function mintToken(claims: Record<string, unknown>): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256" })
    .setSubject("tests")
    .setIssuedAt()
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(JWT_SECRET));
}

/** The log on a Redis. */
export async function openRedisLog(url: string): Promise<{ log: EventLog } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await connectRedis(url, silent));
  const log = stack.use(createRedisLog({ redis, retentionMs: 3_600_000, timeZone: "UTC", logger: silent }));
  const owned = stack.move();
  return { log, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
