/**
 * A RabbitMQ queue, bound to a topic exchange, with manual acks. At least once: what was not acked is delivered again, at its old place in
 * the queue, at once after a `nack` and as soon as the broker has noticed the end of a bridge that was killed.
 *
 * One bridge on the queue keeps its order; bridges that share it share its messages and no order. The broker gives no more than `prefetch`
 * messages that are not acked, so that is also what a stopped log holds here. It waits for an ack no longer than its consumer timeout (30
 * minutes by default): then it takes the messages back, and they come again on the next connection.
 *
 * When the broker cancels the consumer (the queue was deleted, or lost its node) what was taken is handed out before the error, since the
 * broker may have it no more; `run` connects again and declares the queue again.
 *
 * An ack is sent and not waited for: one that is lost with the connection costs a redelivery, which the log knows to be a duplicate.
 */
import { randomUUID } from "node:crypto";
import type { Channel, ConsumeMessage, Message } from "amqplib";
import { sleep } from "../../functions/core/backoff.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Batch, BrokerSource, Decode, Decoded } from "../../functions/ports/broker-source.ts";
import { batchMessages, createIntake, type Taken } from "../intake.ts";
import {
  type AmqpConnection,
  type AmqpTls,
  channelClosed,
  closeAmqp,
  connectAmqp,
  withChannel,
} from "../rabbitmq-connection.ts";
import { amqpError } from "../rabbitmq-errors.ts";
import { rawAmqpMessage } from "../rabbitmq-message.ts";
import { checkQueue, openTopology, type TopologyOptions } from "../rabbitmq-topology.ts";
import type { SourceEvents } from "../source-monitor.ts";

/** Milliseconds the broker may take to answer that it delivers no more, or how many messages wait. */
const ANSWER_MS = 1000;
/** Milliseconds from the connection to the first message that could come. A queue without a leader answers nothing at all. */
const OPEN_MS = 30_000;

export interface RabbitMqOptions extends TopologyOptions {
  readonly name: string;
  /** With the credentials. */
  readonly url: string;
  readonly tls: AmqpTls | undefined;
  readonly heartbeatSeconds: number;
  /** Messages taken and not acked, at most. */
  readonly prefetch: number;
  /** Default 30,000. */
  readonly openMs?: number;
  readonly decode: Decode;
  readonly events: SourceEvents;
}

interface Delivery {
  readonly tag: number;
  readonly decoded: Decoded;
}

export function createRabbitMqSource(options: RabbitMqOptions): BrokerSource {
  const { name, url, tls, heartbeatSeconds, queue, prefetch, decode, events } = options;
  const { openMs = OPEN_MS } = options;
  const what = `Cannot read from RabbitMQ queue "${queue}"`;
  let current: AmqpConnection | undefined;

  return {
    name,
    acknowledges: true,
    async *deliveries(signal) {
      const clientName = `millrace ${name}`;
      const connection = await connectAmqp({ url, clientName, tls, heartbeatSeconds }, signal);
      if (!connection) return;
      const intake = createIntake<Delivery>({ maxBatchMessages: batchMessages(prefetch) });
      const consumerTag = `millrace-${name}-${randomUUID()}`;
      const aborted = Promise.withResolvers<void>();
      const onAbort = () => aborted.resolve();
      signal.addEventListener("abort", onAbort, { once: true });
      let channel: Channel | undefined;

      const failed = (cause: unknown) => {
        // Without the channel what is in the line cannot be acked: it comes again.
        intake.clear();
        intake.end(amqpError(what, cause));
      };
      const onMessage = (message: ConsumeMessage | null) => {
        if (message) {
          const decoded = decode(rawAmqpMessage(message));
          intake.push({ tag: message.fields.deliveryTag, decoded }, message.content.byteLength);
        } else {
          const was = "the broker cancelled the consumer, expected the queue to stay";
          intake.end(new MillraceError("unavailable", `${what}: ${was}`));
        }
      };
      const consume = async () => {
        await openTopology(connection, options);
        channel = await connection.model.createChannel();
        channelClosed(channel).then((cause) => cause && failed(cause));
        await channel.prefetch(prefetch);
        await channel.consume(queue, onMessage, { consumerTag });
        return channel;
      };

      try {
        void connection.closed.then((cause) => failed(cause ?? new Error("the connection was closed")));
        const consumed = await within(openMs, consume(), signal);
        if (signal.aborted) return;
        if (!consumed) {
          const was = `no answer within ${openMs} ms, expected one`;
          throw new MillraceError("unavailable", `${what}: ${was} (rabbitmqctl list_queues name state)`);
        }
        current = connection;
        events.connected();
        // What has been taken is handed out: given back, it would come again as redelivered, and for nothing.
        void aborted.promise.then(async () => {
          await within(ANSWER_MS, consumed.cancel(consumerTag)).catch(() => {});
          intake.end();
        });
        const unsettled = new Set<Batch>();
        for (let taken = await intake.take(); taken; taken = await intake.take()) {
          yield batchOf(taken, consumed, unsettled);
        }
      } catch (cause) {
        throw amqpError(what, cause);
      } finally {
        current = undefined;
        signal.removeEventListener("abort", onAbort);
        await closeAmqp(connection, channel);
      }
    },

    async lag() {
      if (!current) return undefined;
      // On a channel of its own: a queue that is gone would close the consumer's.
      const asked = withChannel(current, (channel) => checkQueue(channel, queue));
      const answer = await within(ANSWER_MS, asked).catch(() => undefined);
      return answer?.messageCount;
    },
  };
}

/** @param unsettled Those handed out, in their order. */
function batchOf({ items, release }: Taken<Delivery>, channel: Channel, unsettled: Set<Batch>): Batch {
  const settle = (how: (message: Message, allUpTo: boolean) => void) => {
    const [oldest] = unsettled;
    if (!unsettled.delete(batch)) return Promise.resolve();
    release();
    // One frame for all of them, unless it would settle an earlier batch too.
    const settled = oldest === batch ? items.slice(-1) : items;
    try {
      for (const { tag } of settled) how({ fields: { deliveryTag: tag } } as Message, oldest === batch);
    } catch {
      // The channel is gone, and the broker delivers them again.
    }
    return Promise.resolve();
  };
  const batch: Batch = {
    deliveries: items.map(({ decoded }) => decoded),
    ack: () => settle((message, allUpTo) => channel.ack(message, allUpTo)),
    nack: () => settle((message, allUpTo) => channel.nack(message, allUpTo, true)),
  };
  unsettled.add(batch);
  return batch;
}

/** Undefined when it takes longer, or the signal aborts. */
async function within<T>(ms: number, promise: Promise<T>, signal?: AbortSignal): Promise<T | undefined> {
  const done = new AbortController();
  const late = sleep(ms, signal ? AbortSignal.any([signal, done.signal]) : done.signal);
  try {
    return (await Promise.race([promise, late])) ?? undefined;
  } finally {
    done.abort();
  }
}
