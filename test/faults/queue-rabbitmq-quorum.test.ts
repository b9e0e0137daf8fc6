/** Faults of the RabbitMQ source on a quorum queue. */
import { missing } from "../support/servers.ts";
import { describeQueueFaults } from "./lib/queue-faults.ts";
import { POISONED_IDS } from "./lib/queue-poisons.ts";
import { startRabbitMqQueues } from "./lib/rabbitmq-queues.ts";

describeQueueFaults({
  name: "RabbitMQ, quorum queue",
  skip: missing("rabbitmq-server"),
  ...{ perSecond: 500, restarts: 2, maxMessageBytes: 1_300_000 },
  poisons: POISONED_IDS,
  start: () => startRabbitMqQueues("quorum"),
});
