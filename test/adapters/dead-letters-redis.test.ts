import { createRedisDeadLetters } from "../../functions/adapters/dead-letters-redis.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { describeDeadLetters } from "../contracts/dead-letters.ts";
import { missing, startRedis } from "../support/servers.ts";

const logger = { debug() {}, info() {}, warn() {}, error() {} };

describeDeadLetters({
  name: "Redis",
  skip: missing("redis-server"),
  async create({ maxLetters, maxBytes }) {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    return {
      async open() {
        const redis = stack.use(await connectRedis(server.url, logger));
        return createRedisDeadLetters({ redis, maxLetters, maxBytes });
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
