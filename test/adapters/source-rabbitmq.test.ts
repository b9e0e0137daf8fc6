import { afterAll, beforeAll, describe } from "vitest";
import { createRabbitMqSource } from "../../bridge/sources/rabbitmq.ts";
import { describeBrokerSource } from "../contracts/broker-source.ts";
import { publishConfirmed, queueDepth, type RabbitMq, startRabbitMq } from "../support/rabbitmq.ts";
import { accepts, missing } from "../support/servers.ts";

describe("RabbitMQ", () => {
  const skip = missing("rabbitmq-server");
  let server: RabbitMq;
  let queues = 0;
  beforeAll(async () => {
    if (!skip) server = await startRabbitMq();
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
  });

  for (const queueType of ["quorum", "classic"] as const) {
    describeBrokerSource({
      name: `RabbitMQ, ${queueType} queue`,
      acknowledges: true,
      hasBackPressure: true,
      skip,
      async create(decode) {
        // A test before this one may have killed it.
        if (!(await accepts(server.port))) await server.restart();
        const exchange = `events.${++queues}`;
        const queue = `${exchange}.metrics`;
        let published = 0;
        let isDeclared = false;
        return {
          open: ({ prefetch, connected }) =>
            createRabbitMqSource({
              name: "rabbitmq",
              url: server.url,
              tls: undefined,
              heartbeatSeconds: 15,
              exchange,
              queue,
              bindings: ["#"],
              queueType,
              deadLetterExchange: "events.dlx",
              declare: true,
              prefetch,
              decode,
              events: {
                connected() {
                  isDeclared = true;
                  connected();
                },
                dropped() {},
              },
            }),
          async publish(bodies) {
            // RabbitMQ has no id of its own: its publishers give one.
            const messages = bodies.map((body, i) => ({
              routingKey: "order.created",
              body,
              options: { messageId: `m-${published + i}` },
            }));
            published += bodies.length;
            await publishConfirmed(server.url, exchange, messages);
          },
          async kill() {
            if (isDeclared && queueType === "quorum") await server.keeps(queue);
            await server.kill();
          },
          restart: () => server.restart(),
          // What is published and not in the queue is with the source.
          async holdsBack(prefetch) {
            const { ready } = await queueDepth(server.url, queue);
            return ready > 0 && published - ready === prefetch;
          },
          // The next test has a queue of its own, on the same broker.
          async [Symbol.asyncDispose]() {},
        };
      },
    });
  }
});
