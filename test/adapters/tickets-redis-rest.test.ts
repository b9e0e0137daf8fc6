import { connectRedisRest } from "../../functions/adapters/redis-connection-rest.ts";
import { createRedisTickets } from "../../functions/adapters/tickets-redis.ts";
import { describeTickets } from "../contracts/tickets.ts";
import { silent as logger } from "../support/logger.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { missing, startRedis } from "../support/servers.ts";

describeTickets({
  name: "Redis over REST",
  skip: missing("redis-server"),
  async create() {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    const { url, token } = stack.use(await startRedisRest(server.url));
    const connect = async () => stack.use(connectRedisRest({ url, token, logger }));
    const redis = await connect();
    return {
      open: async () => createRedisTickets({ redis: await connect() }),
      held: async () => Number(await redis.command(["DBSIZE"])),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
