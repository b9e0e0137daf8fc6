import { createRedisTickets } from "../../functions/adapters/tickets-redis.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { describeTickets } from "../contracts/tickets.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis } from "../support/servers.ts";

describeTickets({
  name: "Redis",
  skip: missing("redis-server"),
  async create() {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    const connect = async () => stack.use(await connectRedis(server.url, silent));
    const redis = await connect();
    return {
      open: async () => createRedisTickets({ redis: await connect() }),
      held: async () => Number(await redis.command(["DBSIZE"])),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
