/**
 * Exchange, queue and bindings of a RabbitMQ source: declared, or with `declare: false` only looked for.
 *
 * The exchange is a topic exchange. What RabbitMQ itself gives up on (a delivery limit, a time to live, a limit of length) goes through the
 * dead-letter exchange, a direct one, under the queue's name into `<queue>.dead`, so that several queues can share the exchange. A limit of
 * deliveries or of length is a policy's, not an argument's: an operator changes a policy while the queue is in use.
 *
 * A binding that bridge.yaml no longer names stays: AMQP cannot list them.
 */
import type { Channel } from "amqplib";
import { type AmqpConnection, withChannel } from "./rabbitmq-connection.ts";
import { amqpError } from "./rabbitmq-errors.ts";

export interface TopologyOptions {
  readonly exchange: string;
  readonly queue: string;
  /** Of the exchange to the queue: topic patterns, `*` for one word, `#` for any number. */
  readonly bindings: readonly string[];
  /** A quorum queue outlives the loss of a node; a classic one is lighter, and lives on one. */
  readonly queueType: "quorum" | "classic";
  readonly deadLetterExchange: string;
  /** False: the queue must be there, as it is; the user needs no more than the right to read it. */
  readonly declare: boolean;
}

/**
 * Any number of times: what is there as it should be stays as it is.
 * @throws MillraceError `invalid-settings` when something is missing or is there with other settings, naming them; `forbidden` when the
 * user may not; `unavailable` when the connection is lost.
 */
export async function openTopology(connection: AmqpConnection, options: TopologyOptions): Promise<void> {
  const { exchange, queue, bindings, queueType, deadLetterExchange, declare } = options;
  // Apart from the consumer's: whatever is refused closes its channel.
  await withChannel(connection, async (channel) => {
    if (!declare) return await checkQueue(channel, queue);
    const dead = `${queue}.dead`;
    await declaring(`Cannot declare exchange "${deadLetterExchange}"`, () =>
      channel.assertExchange(deadLetterExchange, "direct"),
    );
    await declaring(`Cannot declare queue "${dead}"`, () =>
      channel.assertQueue(dead, { arguments: { "x-queue-type": queueType } }),
    );
    await declaring(`Cannot bind queue "${dead}" to exchange "${deadLetterExchange}"`, () =>
      channel.bindQueue(dead, deadLetterExchange, queue),
    );
    await declaring(`Cannot declare exchange "${exchange}"`, () => channel.assertExchange(exchange, "topic"));
    await declareQueue(channel, options);
    for (const pattern of bindings) {
      await declaring(`Cannot bind queue "${queue}" to exchange "${exchange}" by "${pattern}"`, () =>
        channel.bindQueue(queue, exchange, pattern),
      );
    }
  });
}

/** Its messages and consumers; declares nothing. @throws as `openTopology`. */
export async function checkQueue(channel: Channel, queue: string) {
  try {
    return await channel.checkQueue(queue);
  } catch (cause) {
    throw amqpError(`Cannot find queue "${queue}"`, cause);
  }
}

/** The queue alone. @throws as `openTopology`. */
export async function declareQueue(
  channel: Channel,
  { queue, queueType, deadLetterExchange }: TopologyOptions,
): Promise<void> {
  await declaring(`Cannot declare queue "${queue}"`, () =>
    channel.assertQueue(queue, {
      deadLetterExchange,
      deadLetterRoutingKey: queue,
      arguments: { "x-queue-type": queueType },
    }),
  );
}

/** One of those that `declare: false` leaves out. */
async function declaring(what: string, ask: () => Promise<unknown>): Promise<void> {
  try {
    await ask();
  } catch (cause) {
    throw amqpError(what, cause, "declare: false in bridge.yaml where it is there already");
  }
}
