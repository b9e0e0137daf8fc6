/** The REST gateway for tests: in this process, or as a process of its own that can be killed. */
import { fileURLToPath } from "node:url";
import { createClient } from "redis";
import { type RedisRest, startRedisRest as startGateway } from "../../bridge/redis-rest/gateway.ts";
import { silent } from "./logger.ts";
import { freePort, type RunningProcess, start } from "./process.ts";
import { waitFor } from "./wait.ts";

const CLI = fileURLToPath(new URL("../../bin/millrace.ts", import.meta.url));

/** Tokens of every gateway of the tests. */
export const REST_TOKEN = "read-and-write-token-of-the-tests-0123456789";
export const REST_READONLY_TOKEN = "read-only-token-of-the-tests-0123456789";

export interface TestRedisRest extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly token: string;
  readonly readonlyToken: string;
  /** As its operator does: the streams end. */
  stop(): Promise<void>;
  /** Starts it again on the same port, after `stop` or `kill`. */
  restart(): Promise<void>;
}

export interface RedisRestProcess extends TestRedisRest {
  /** kill -9. */
  kill(): Promise<void>;
  process(): RunningProcess;
}

/** A gateway in this process, in front of the Redis; resolves when Redis has answered. */
export async function startRedisRest(redisUrl: string): Promise<TestRedisRest> {
  const port = await freePort();
  let gateway: RedisRest | undefined;
  const stop = async () => {
    const own = gateway;
    gateway = undefined;
    await own?.close();
  };
  const up = async () => {
    gateway = await startGateway({
      ...{ redisUrl, host: "127.0.0.1", port },
      ...{ token: REST_TOKEN, readonlyToken: REST_READONLY_TOKEN, logger: silent },
    });
    await gateway.whenUp(AbortSignal.timeout(15_000));
  };
  await up();
  return {
    ...{ url: `http://127.0.0.1:${port}`, port },
    ...{ token: REST_TOKEN, readonlyToken: REST_READONLY_TOKEN },
    stop,
    async restart() {
      await stop();
      await up();
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** `millrace redis-rest` as a process; resolves when it is ready. */
export async function startRedisRestProcess(redisUrl: string): Promise<RedisRestProcess> {
  const port = await freePort();
  let current: RunningProcess;
  const up = async () => {
    current = start(process.execPath, [CLI, "redis-rest"], {
      env: {
        ...{ REDIS_URL: redisUrl, HOST: "127.0.0.1", REDIS_REST_PORT: String(port), LOG_LEVEL: "info" },
        ...{ UPSTASH_REDIS_REST_TOKEN: REST_TOKEN, UPSTASH_REDIS_REST_READONLY_TOKEN: REST_READONLY_TOKEN },
      },
    });
    await waitFor("the gateway", () => {
      if (current.child.exitCode !== null) throw new Error(current.output());
      return current.output().includes("millrace ready ");
    });
  };
  await up();
  return {
    ...{ url: `http://127.0.0.1:${port}`, port },
    ...{ token: REST_TOKEN, readonlyToken: REST_READONLY_TOKEN },
    process: () => current,
    stop: () => current.stop(),
    kill: () => current.stop("SIGKILL"),
    async restart() {
      await current.stop("SIGKILL");
      await up();
    },
    [Symbol.asyncDispose]: () => current.stop("SIGKILL"),
  };
}

/** How often a server was called, by command, PING included (`INFO commandstats`). */
export async function redisCalls(url: string): Promise<ReadonlyMap<string, number>> {
  const client = createClient({ url });
  await client.connect();
  const text = await client.info("commandstats");
  client.destroy();
  const counts = text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm);
  return new Map(Array.from(counts, ([, name, calls]) => [name!, Number(calls)]));
}

/** Calls between two looks, without those that looking takes. */
export function callsSince(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): Record<string, number> {
  const more = Array.from(after, ([name, calls]) => [name, calls - (before.get(name) ?? 0)] as const);
  return Object.fromEntries(
    more.filter(([name, calls]) => calls > 0 && !/^(info|hello|client\||auth|select|quit)/.test(name)),
  );
}
