import { createRedisAccessRules } from "../../functions/adapters/access-rules-redis.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { describeAccessRules } from "../contracts/access-rules.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis } from "../support/servers.ts";

describeAccessRules({
  name: "Redis",
  skip: missing("redis-server"),
  async create({ maxRules }) {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    const connect = async () => stack.use(await connectRedis(server.url, silent));
    return {
      open: async () => createRedisAccessRules({ redis: await connect(), maxRules }),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
