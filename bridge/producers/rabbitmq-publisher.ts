/** Messages to a RabbitMQ exchange, by the publisher every service may use: each one confirmed by the broker. */
import { Registry } from "prom-client";
import type { Logger } from "../../functions/core/logger.ts";
import { createPublisher } from "../publisher/publisher.ts";
import { createInFlight } from "./in-flight.ts";
import type { Target } from "./target.ts";

/** Connects with the first message; `send` throws what `publish` of a confirming publisher is rejected with. */
export function openRabbitMqPublisher(amqpUrl: string, logger: Logger): Target {
  const publisher = createPublisher({
    ...{ amqpUrl, appId: "millrace-produce", reliability: "confirm", logger },
    // Nobody scrapes a command that ends.
    registry: new Registry(),
  });
  const inFlight = createInFlight();
  return {
    send: async ({ id, subject, time, body }) =>
      inFlight.add(publisher.publish(subject, body, { messageId: id, timestamp: time })),
    async close() {
      try {
        await inFlight.settle();
      } finally {
        await publisher.close();
      }
    },
  };
}
