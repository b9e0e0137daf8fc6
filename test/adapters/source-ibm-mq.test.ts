import { createIbmMqSource } from "../../bridge/sources/ibm-mq.ts";
import { missingMq, STREAM_QUEUE, startMqPeer } from "../bridge/ibm-mq-peer.ts";
import { describeBrokerSource } from "../contracts/broker-source.ts";
import { silent } from "../support/logger.ts";

describeBrokerSource({
  name: "IBM MQ",
  acknowledges: true,
  hasBackPressure: true,
  skip: missingMq(),
  async create(decode) {
    const peer = await startMqPeer();
    return {
      open: ({ prefetch, connected }) =>
        createIbmMqSource({
          ...peer.options,
          name: "audit.txn",
          queue: STREAM_QUEUE,
          batchMessages: prefetch,
          decode,
          events: { connected, dropped() {} },
          logger: silent,
        }),
      publish: (bodies) => peer.put(bodies),
      kill: () => peer.kill(),
      restart: () => peer.restart(),
      holdsBack: async (prefetch) => (await peer.depth()) === 500 - prefetch,
      [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose](),
    };
  },
});
