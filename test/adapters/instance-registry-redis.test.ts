import { createRedisInstanceRegistry } from "../../functions/adapters/instance-registry-redis.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { describeInstanceRegistry } from "../contracts/instance-registry.ts";
import { missing, startRedis } from "../support/servers.ts";

const logger = { debug() {}, info() {}, warn() {}, error() {} };

describeInstanceRegistry({
  name: "Redis",
  skip: missing("redis-server"),
  async create({ leaseMs, lostMs }) {
    const stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    const connect = async () => stack.use(await connectRedis(server.url, logger));
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
