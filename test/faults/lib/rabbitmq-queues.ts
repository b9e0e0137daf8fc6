/** Queues of a real RabbitMQ, each with an exchange of its own. */
import { type ChannelModel, type ConfirmChannel, connect } from "amqplib";
import { closeAmqp, connectAmqp } from "../../../bridge/rabbitmq-connection.ts";
import { openTopology } from "../../../bridge/rabbitmq-topology.ts";
import { publishConfirmed, startRabbitMq } from "../../support/rabbitmq.ts";
import { idOf, type Message, type Producer } from "./load.ts";
import type { QueueBroker, TestQueue } from "./queue-broker.ts";

const ROUTING_KEY = "orders.created";

export async function startRabbitMqQueues(queueType: "quorum" | "classic"): Promise<QueueBroker> {
  const rabbit = await startRabbitMq();
  const quorumQueues: string[] = [];
  // What a quorum queue tells of itself is as old as its tick, of five seconds by default.
  const quicken = () => rabbit.ctl("eval", "application:set_env(rabbit, quorum_tick_interval, 250).");
  if (queueType === "quorum") await quicken();

  const open = async (name: string): Promise<TestQueue> => {
    const exchange = `${name}.events`;
    const queue = `${name}.metrics`;
    const config = { exchange, queue, queueType, deadLetterExchange: `${name}.dlx`, bindings: ["#"] };
    const connection = await connectAmqp(
      { url: rabbit.url, clientName: "test" },
      new AbortController().signal,
    );
    await openTopology(connection!, { ...config, declare: true });
    await closeAmqp(connection!);
    if (queueType === "quorum") quorumQueues.push(queue);
    return {
      name,
      source: ({ port = rabbit.port, prefetch = 1000, type } = {}) => ({
        ...{ name, kind: "rabbitmq", url: `amqp://guest:guest@127.0.0.1:${port}/%2f` },
        ...config,
        prefetch,
        ...(type === undefined ? {} : { type: { value: type } }),
      }),
      producer: () => openConfirming(rabbit.url, exchange),
      publish: (messages) =>
        publishConfirmed(
          rabbit.url,
          exchange,
          messages.map(({ body, headers = {}, id }) => ({
            ...{ routingKey: ROUTING_KEY, body },
            options: { headers, ...(id === undefined ? {} : { messageId: id }) },
          })),
        ),
      async held() {
        const columns = ["name", "messages_ready", "messages_unacknowledged"];
        const lines = (await rabbit.ctl("--no-table-headers", "list_queues", ...columns)).split("\n");
        const [, ready, unacked] = lines.map((line) => line.split("\t")).find(([of]) => of === queue)!;
        return { ready: Number(ready), unacked: Number(unacked) };
      },
      idOf,
      forgotten: async () => {},
    };
  };

  return {
    port: rabbit.port,
    env: {},
    open,
    async restart() {
      for (const queue of quorumQueues) await rabbit.keeps(queue);
      await rabbit.restart();
    },
    [Symbol.asyncDispose]: () => rabbit[Symbol.asyncDispose](),
  };
}

/** With publisher confirms (rabbitmq.com, Consumer Acknowledgements and Publisher Confirms), persistent. */
function openConfirming(url: string, exchange: string): Producer {
  let model: ChannelModel | undefined;
  let channel: ConfirmChannel | undefined;
  let isClosed = false;
  const close = async () => {
    const lost = model;
    model = undefined;
    channel = undefined;
    await lost?.close().catch(() => {});
  };
  const openChannel = async () => {
    model = await connect(url);
    // An error nobody listens for would end the process; what was not confirmed says the same.
    model.on("error", () => {});
    channel = await model.createConfirmChannel();
    channel.on("error", () => {});
    return channel;
  };
  const publish = (to: ConfirmChannel, { id, body }: Message) =>
    new Promise<void>((resolve, reject) => {
      const options = { persistent: true, messageId: id };
      to.publish(exchange, ROUTING_KEY, Buffer.from(body), options, (refusal) =>
        refusal ? reject(refusal) : resolve(),
      );
    });
  return {
    async send(messages) {
      for (let left = messages; left.length > 0 && !isClosed; ) {
        try {
          const to = channel ?? (await openChannel());
          const results = await Promise.allSettled(left.map((message) => publish(to, message)));
          const failed = results.findIndex(({ status }) => status === "rejected");
          left = failed < 0 ? [] : left.slice(failed);
          if (failed >= 0) throw (results[failed] as PromiseRejectedResult).reason;
        } catch {
          await close();
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      }
    },
    [Symbol.asyncDispose]() {
      isClosed = true;
      return close();
    },
  };
}
