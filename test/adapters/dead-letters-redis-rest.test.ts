import { createRedisDeadLetters } from "../../functions/adapters/dead-letters-redis.ts";
import { connectRedisRest } from "../../functions/adapters/redis-connection-rest.ts";
import { describeDeadLetters } from "../contracts/dead-letters.ts";
import { silent as logger } from "../support/logger.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { missing, startRedis } from "../support/servers.ts";

describeDeadLetters({
  name: "Redis over REST",
  skip: missing("redis-server"),
  async create({ maxLetters, maxBytes }) {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    const { url, token } = stack.use(await startRedisRest(server.url));
    return {
      async open() {
        const redis = stack.use(connectRedisRest({ url, token, logger }));
        return createRedisDeadLetters({ redis, maxLetters, maxBytes });
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
