/** Faults of the RabbitMQ source on a classic queue. */
import { missing } from "../support/servers.ts";
import { describeQueueFaults } from "./lib/queue-faults.ts";
import { startRabbitMqQueues } from "./lib/rabbitmq-queues.ts";

describeQueueFaults({
  name: "RabbitMQ, classic queue",
  skip: missing("rabbitmq-server"),
  isBrief: true,
  ...{ perSecond: 500, restarts: 2, maxMessageBytes: 1_300_000 },
  start: () => startRabbitMqQueues("classic"),
});
