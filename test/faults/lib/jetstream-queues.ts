/** Streams of a real nats-server, each with one durable consumer. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, headers, type NatsConnection, nanos } from "@nats-io/transport-node";
import { startNats } from "../../support/servers.ts";
import { waitFor } from "../../support/wait.ts";
import { idOf, openJetStream } from "./load.ts";
import type { QueueBroker, TestQueue } from "./queue-broker.ts";

const DURABLE = "millrace";

export async function startJetStreamQueues(): Promise<QueueBroker> {
  const nats = await startNats();
  const use = async <T>(body: (connection: NatsConnection) => Promise<T>): Promise<T> => {
    const connection = await connect({ servers: nats.url, reconnect: false });
    try {
      return await body(connection);
    } finally {
      await connection.close();
    }
  };

  const open = async (name: string): Promise<TestQueue> => {
    const subject = `${name}.calculated`;
    await use(async (connection) => {
      const { streams } = await jetstreamManager(connection);
      // The shortest there is: what a producer sends again is the log's to know, not the stream's.
      await streams.add({ name, subjects: [subject], duplicate_window: nanos(100) });
    });
    return {
      name,
      source: ({ port = nats.port, prefetch = 1000, type, ackWaitMs = 1000 } = {}) => ({
        ...{ name, kind: "nats", url: `nats://127.0.0.1:${port}` },
        jetstream: { stream: name, durable: DURABLE, ackWaitMs, prefetch },
        ...(type === undefined ? {} : { type: { value: type } }),
      }),
      producer: () => openJetStream(nats.url, subject),
      publish: (messages) =>
        use(async (connection) => {
          const js = jetstream(connection);
          for (const { body, headers: fields = {}, id } of messages) {
            const own = headers();
            for (const [key, value] of Object.entries(fields)) own.set(key, value);
            await js.publish(subject, body, { headers: own, ...(id === undefined ? {} : { msgID: id }) });
          }
        }),
      held: () =>
        use(async (connection) => {
          const { consumers } = await jetstreamManager(connection);
          const { num_pending, num_ack_pending } = await consumers.info(name, DURABLE);
          return { ready: num_pending, unacked: num_ack_pending };
        }),
      idOf,
      forgotten: () =>
        use(async (connection) => {
          const js = jetstream(connection);
          // Both are of no company: two dead letters.
          const isTaken = async () => !(await js.publish(subject, "{}", { msgID: "probe" })).duplicate;
          await isTaken();
          await waitFor("the stream to have forgotten", isTaken);
        }),
    };
  };

  return {
    port: nats.port,
    env: {},
    open,
    restart: () => nats.restart(),
    [Symbol.asyncDispose]: () => nats[Symbol.asyncDispose](),
  };
}
