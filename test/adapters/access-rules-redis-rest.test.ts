import { createRedisAccessRules } from "../../functions/adapters/access-rules-redis.ts";
import { connectRedisRest } from "../../functions/adapters/redis-connection-rest.ts";
import { describeAccessRules } from "../contracts/access-rules.ts";
import { silent as logger } from "../support/logger.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { missing, startRedis } from "../support/servers.ts";

describeAccessRules({
  name: "Redis over REST",
  skip: missing("redis-server"),
  async create({ maxRules }) {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    const { url, token } = stack.use(await startRedisRest(server.url));
    const connect = async () => stack.use(connectRedisRest({ url, token, logger }));
    return {
      open: async () => createRedisAccessRules({ redis: await connect(), maxRules }),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
