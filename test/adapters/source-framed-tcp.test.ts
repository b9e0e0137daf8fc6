import { startBroker } from "../../bridge/broker/broker.ts";
import { connectProducer } from "../../bridge/broker/client.ts";
import { createFramedTcpSource } from "../../bridge/sources/framed-tcp.ts";
import { describeBrokerSource } from "../contracts/broker-source.ts";
import { silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";

describeBrokerSource({
  name: "framed TCP",
  acknowledges: false,
  hasBackPressure: true,
  async create(decode) {
    const host = "127.0.0.1";
    const tcpPort = await freePort();
    const start = () =>
      startBroker({
        ...{ host, tcpPort, httpPort: 0, deliveryMode: "broadcast", maxConsumers: 10 },
        ...{ bufferMessages: 10_000, logger: silent },
      });
    let broker = await start();
    return {
      open: ({ prefetch, connected }) =>
        createFramedTcpSource({
          name: "framed-tcp",
          address: `${host}:${tcpPort}`,
          prefetch,
          decode,
          events: { connected, dropped() {} },
        }),
      async publish(bodies) {
        const producer = await connectProducer({ host, port: tcpPort });
        for (const body of bodies) await producer.send(new TextEncoder().encode(body));
        await producer.close();
      },
      kill: () => broker.close(),
      async restart() {
        broker = await start();
      },
      holdsBack: async () => broker.stats().buffered > 0,
      [Symbol.asyncDispose]: () => broker.close(),
    };
  },
});
