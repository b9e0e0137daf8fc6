import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { createNatsJetStreamSource } from "../../bridge/sources/nats-jetstream.ts";
import { describeBrokerSource } from "../contracts/broker-source.ts";
import { silent } from "../support/logger.ts";
import { missing, startNats } from "../support/servers.ts";

describeBrokerSource({
  name: "NATS JetStream",
  acknowledges: true,
  hasBackPressure: true,
  skip: missing("nats-server"),
  async create(decode) {
    const server = await startNats();
    const withConnection = async <T>(use: (connection: NatsConnection) => Promise<T>): Promise<T> => {
      const connection = await connect({ servers: server.url });
      try {
        return await use(connection);
      } finally {
        await connection.close();
      }
    };
    await withConnection(async (connection) => {
      const { streams } = await jetstreamManager(connection);
      await streams.add({ name: "METRICS", subjects: ["metrics.*"] });
    });
    return {
      open: ({ prefetch, connected }) =>
        createNatsJetStreamSource({
          name: "nats",
          url: server.url,
          stream: "METRICS",
          durable: "millrace",
          subjects: ["metrics.*"],
          deliver: "all",
          ackWaitMs: 1000,
          maxAckPending: 1000,
          prefetch,
          decode,
          events: { connected, dropped() {} },
          logger: silent,
        }),
      publish: (bodies) =>
        withConnection(async (connection) => {
          const js = jetstream(connection);
          // All at once keeps their order: they are one connection's.
          await Promise.all(bodies.map((body) => js.publish("metrics.calculated", body)));
        }),
      kill: () => server.kill(),
      restart: () => server.restart(),
      holdsBack: (prefetch) =>
        withConnection(async (connection) => {
          const { consumers } = await jetstreamManager(connection);
          const { num_ack_pending, num_pending } = await consumers.info("METRICS", "millrace");
          return num_ack_pending === prefetch && num_pending > 0;
        }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
});
