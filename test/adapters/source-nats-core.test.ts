import { connect } from "@nats-io/transport-node";
import { createNatsCoreSource } from "../../bridge/sources/nats-core.ts";
import { describeBrokerSource } from "../contracts/broker-source.ts";
import { missing, startNats } from "../support/servers.ts";

describeBrokerSource({
  name: "NATS core subscriptions",
  acknowledges: false,
  // A server that is not read from drops the connection, and the client what it cannot hold.
  hasBackPressure: false,
  skip: missing("nats-server"),
  async create(decode) {
    const server = await startNats();
    return {
      open: ({ connected }) =>
        createNatsCoreSource({
          name: "nats",
          url: server.url,
          subjects: ["metrics.*", "journey.*"],
          queue: undefined,
          maxPending: 10_000,
          decode,
          events: { connected, dropped() {} },
        }),
      async publish(bodies) {
        const connection = await connect({ servers: server.url });
        for (const body of bodies) connection.publish("metrics.calculated", body);
        await connection.drain();
      },
      kill: () => server.kill(),
      restart: () => server.restart(),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
});
