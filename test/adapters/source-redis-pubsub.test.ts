import { createClient } from "redis";
import { createRedisPubSubSource } from "../../bridge/sources/redis-pubsub.ts";
import { describeBrokerSource } from "../contracts/broker-source.ts";
import { missing, startRedis } from "../support/servers.ts";

describeBrokerSource({
  name: "Redis channels",
  acknowledges: false,
  // A subscriber that does not read is cut off, and drops what it cannot hold.
  hasBackPressure: false,
  skip: missing("redis-server"),
  async create(decode) {
    const server = await startRedis();
    return {
      open: ({ connected }) =>
        createRedisPubSubSource({
          name: "redis",
          url: server.url,
          channels: ["service:all", "metrics.*"],
          maxPending: 10_000,
          maxLinesPerSecond: 100,
          decode,
          events: { connected, dropped() {} },
        }),
      async publish(bodies) {
        const client = await createClient({ url: server.url }).connect();
        await Promise.all(bodies.map((body) => client.publish("metrics.calculated", body)));
        await client.close();
      },
      kill: () => server.kill(),
      restart: () => server.restart(),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
});
