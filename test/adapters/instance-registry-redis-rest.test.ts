import { createRedisInstanceRegistry } from "../../functions/adapters/instance-registry-redis.ts";
import { connectRedisRest } from "../../functions/adapters/redis-connection-rest.ts";
import { describeInstanceRegistry } from "../contracts/instance-registry.ts";
import { silent as logger } from "../support/logger.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { missing, startRedis } from "../support/servers.ts";

describeInstanceRegistry({
  name: "Redis over REST",
  skip: missing("redis-server"),
  async create({ leaseMs, lostMs }) {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    const { url, token } = stack.use(await startRedisRest(server.url));
    const connect = async () => stack.use(connectRedisRest({ url, token, logger }));
    const redis = await connect();
    return {
      open: async () => createRedisInstanceRegistry({ redis: await connect(), leaseMs, lostMs }),
      async held() {
        const hashes = ["millrace:instances", "millrace:bridges"];
        const lengths = await redis.pipeline(hashes.map((hash) => ["HLEN", hash]));
        return lengths.reduce<number>((sum, length) => sum + Number(length), 0);
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
