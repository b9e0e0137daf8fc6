/** Millrace at the edge, whole and real: Redis, the REST gateway in front of it, and workerd. */
import { SignJWT } from "jose";
import { createRedisLog } from "../../../functions/adapters/event-log-redis.ts";
import { parseEvent } from "../../../functions/core/event.ts";
import type { EventLog } from "../../../functions/ports/event-log.ts";
import type { RedisConnection } from "../../../functions/ports/redis-connection.ts";
import { connectRedis } from "../../../functions/runtimes/node/redis-resp.ts";
import { silent } from "../../support/logger.ts";
import { startRedisRest, type TestRedisRest } from "../../support/redis-rest.ts";
import { startRedis, type TestServer } from "../../support/servers.ts";
import { startWorkerd, type Workerd } from "../../support/workerd.ts";

export const JWT_SECRET = "a secret of the tests, long enough for HS256";

/** The entry that can evict, and that puts 2 connections into a Durable Object. */
export const TEST_ENTRY = "test/workers/lib/entry.js";

export interface Stage extends AsyncDisposable {
  readonly url: string;
  readonly workerd: Workerd;
  readonly rest: TestRedisRest;
  readonly server: TestServer;
  /** Past the gateway, so that it counts in nothing. */
  readonly redis: RedisConnection;
  readonly log: EventLog;
  /** Appends so many events of the company, numbered on from the last; resolves with their numbers. */
  publish(company: string, count?: number): Promise<number[]>;
}

export async function startStage({
  vars = {},
  entry,
}: {
  readonly vars?: Readonly<Record<string, string>>;
  readonly entry?: string;
} = {}): Promise<Stage> {
  const stack = new AsyncDisposableStack();
  try {
    const server = stack.use(await startRedis());
    const rest = stack.use(await startRedisRest(server.url));
    const redis = stack.use(await connectRedis(server.url, silent));
    const log = stack.use(
      createRedisLog({ redis, retentionMs: 86_400_000, timeZone: "UTC", logger: silent }),
    );
    const workerd = stack.use(
      await startWorkerd({
        vars: {
          UPSTASH_REDIS_REST_URL: rest.url,
          UPSTASH_REDIS_REST_TOKEN: rest.token,
          JWT_SECRET,
          HEARTBEAT_MS: "1000",
          LOG_LEVEL: "info",
          ...vars,
        },
        ...(entry ? { entry } : {}),
      }),
    );
    const numbers = new Map<string, number>();
    return {
      ...{ url: workerd.url, workerd, rest, server, redis, log },
      async publish(companyId, count = 1) {
        const last = numbers.get(companyId) ?? 0;
        const own = Array.from({ length: count }, (_, at) => last + at + 1);
        numbers.set(companyId, last + count);
        await log.append(
          own.map((n) =>
            parseEvent({
              companyId,
              source: "/workers",
              id: `${companyId}-${n}`,
              type: n % 2 === 0 ? "even" : "odd",
              dataText: JSON.stringify({ companyId, n }),
            }),
          ),
        );
        return own;
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

export function tokenOf(claims: Record<string, unknown>, lifetime = "1h"): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256" })
    .setSubject("reader")
    .setIssuedAt()
    .setExpirationTime(lifetime)
    .sign(new TextEncoder().encode(JWT_SECRET));
}
