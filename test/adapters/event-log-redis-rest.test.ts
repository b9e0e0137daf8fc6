import { createClient } from "redis";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import { connectRedisRest } from "../../functions/adapters/redis-connection-rest.ts";
import { describeEventLog } from "../contracts/event-log.ts";
import { silent as logger } from "../support/logger.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { missing, startRedis } from "../support/servers.ts";

describeEventLog({
  name: "Redis over REST",
  skip: missing("redis-server"),
  restarts: true,
  async create(options) {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    const { url, token } = stack.use(await startRedisRest(server.url));
    /** Runs on a connection of its own: the store's is for the adapter. */
    const admin = async <T>(
      body: (client: ReturnType<typeof createClient>) => Promise<T>,
      database = 0,
    ): Promise<T> => {
      const client = createClient({ url: server.url, database, RESP: 2 });
      client.on("error", () => {});
      await client.connect();
      try {
        return await body(client as never);
      } finally {
        client.destroy();
      }
    };
    const copyAll = (from: number, to: number) =>
      admin(async (client) => {
        for (const key of await client.keys("*")) {
          await client.sendCommand(["COPY", key, key, "DB", String(to), "REPLACE"]);
        }
      }, from);
    return {
      async open() {
        const redis = stack.use(connectRedisRest({ url, token, logger }));
        return stack.use(createRedisLog({ redis, ...options, timeZone: "Asia/Karachi", logger }));
      },
      wipe: () => server.restart({ wipe: true }),
      restart: () => server.restart(),
      async snapshot() {
        await copyAll(0, 1);
        return async () => {
          await admin((client) => client.flushDb());
          await copyAll(1, 0);
        };
      },
      held: () => admin(async (client) => (await client.pubSubChannels()).length),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
