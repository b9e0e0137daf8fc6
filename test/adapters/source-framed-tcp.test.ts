import { startBroker } from "../../bridge/broker/broker.ts";
import { connectProducer } from "../../bridge/broker/client.ts";
import { createFramedTcpSource } from "../../bridge/sources/framed-tcp.ts";
import type { Decode } from "../../functions/ports/broker-source.ts";
import { type BrokerHarness, describeBrokerSource } from "../contracts/broker-source.ts";
import { startProxy } from "../faults/lib/proxy.ts";
import { silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";

const host = "127.0.0.1";

const start = (deliveryMode: "broadcast" | "queue", tcpPort: number) =>
  startBroker({
    ...{ host, tcpPort, httpPort: 0, deliveryMode, maxConsumers: 10 },
    ...{ bufferMessages: 10_000, logger: silent },
  });

const openSource =
  (decode: Decode, acks: boolean, port: () => number): BrokerHarness["open"] =>
  ({ prefetch, connected }) =>
    createFramedTcpSource({
      name: "framed-tcp",
      address: `${host}:${port()}`,
      prefetch,
      acks,
      decode,
      events: { connected, dropped() {} },
    });

const publishTo =
  (port: () => number): BrokerHarness["publish"] =>
  async (bodies) => {
    const producer = await connectProducer({ host, port: port() });
    for (const body of bodies) await producer.send(new TextEncoder().encode(body));
    await producer.close();
  };

describeBrokerSource({
  name: "framed TCP",
  acknowledges: false,
  hasBackPressure: true,
  async create(decode) {
    const tcpPort = await freePort();
    let broker = await start("broadcast", tcpPort);
    return {
      open: openSource(decode, false, () => tcpPort),
      publish: publishTo(() => tcpPort),
      kill: () => broker.close(),
      async restart() {
        broker = await start("broadcast", tcpPort);
      },
      holdsBack: async () => broker.stats().buffered > 0,
      [Symbol.asyncDispose]: () => broker.close(),
    };
  },
});

describeBrokerSource({
  name: "framed TCP with acks",
  acknowledges: true,
  hasBackPressure: true,
  lastResortId: "content",
  async create(decode) {
    // It keeps its messages in memory, so it is the way to it that is lost and comes back.
    const broker = await start("queue", 0);
    const open = () => startProxy(broker.tcpPort, "up");
    let proxy = await open();
    let port = proxy.port;
    return {
      open: openSource(decode, true, () => port),
      publish: publishTo(() => broker.tcpPort),
      async kill() {
        await proxy[Symbol.asyncDispose]();
      },
      async restart() {
        proxy = await open();
        port = proxy.port;
      },
      holdsBack: async () => broker.stats().buffered > 0,
      async [Symbol.asyncDispose]() {
        await proxy[Symbol.asyncDispose]();
        await broker.close();
      },
    };
  },
});
