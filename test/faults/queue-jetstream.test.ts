/** Faults of the JetStream source. */
import { type JsMsg, jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { it } from "vitest";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { upTo } from "./lib/compare.ts";
import { startJetStreamQueues } from "./lib/jetstream-queues.ts";
import { message } from "./lib/load.ts";
import { expectLogged, openLog } from "./lib/log.ts";
import type { QueueBroker } from "./lib/queue-broker.ts";
import { describeQueueFaults } from "./lib/queue-faults.ts";
import type { QueueFixture } from "./lib/queue-fixture.ts";
import { POISONED_IDS } from "./lib/queue-poisons.ts";

describeQueueFaults({
  name: "JetStream",
  skip: missing("nats-server"),
  // The server's max_payload of 1 MiB counts the headers too.
  ...{ perSecond: 500, restarts: 3, maxMessageBytes: 1024 * 1024 - 200 },
  poisons: POISONED_IDS,
  start: startJetStreamQueues,
  more: addTests,
});

function addTests(fixture: QueueFixture<QueueBroker>): void {
  it("a bridge that died after it had renewed the first of its messages: they come again in the order of the stream", async () => {
    const { broker, redis, run } = fixture;
    const queue = await broker.open("renewed");
    // Makes the consumer.
    await using bridge = await run(queue);
    await bridge.kill();
    await using producer = queue.producer();
    await producer.send(upTo(20).map((n) => message(queue.name, n)));
    // As the bridge does, when the others were on their way while it sent its renewals.
    const dead = await connect({ servers: `127.0.0.1:${broker.port}`, reconnect: false });
    const consumer = await jetstream(dead).consumers.get(queue.name, "millrace");
    const taken: JsMsg[] = [];
    for await (const one of await consumer.fetch({ max_messages: 20 })) taken.push(one);
    // Later than the server's clock for the others by more than it is inexact.
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const first of taken.slice(0, 5)) first.working();
    await dead.flush();
    await dead.close();
    bridge.start();
    await using log = await openLog(redis.url, queue.name);
    await expectLogged(log, upTo(20), queue);
    await waitFor("every ack", async () => (await queue.held()).unacked === 0);
  });
}
