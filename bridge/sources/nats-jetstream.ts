/**
 * A durable pull consumer of a JetStream stream, with explicit acks. At least once: what was not acked is delivered again, to this
 * bridge or another one on the same durable, at once after a `nack` and after the ack wait when a bridge was killed. While messages are
 * held their ack wait is renewed, so a slow store causes no redelivery.
 *
 * One bridge on the durable keeps the order of the stream. So when a bridge connects while messages are unacked, it lets their ack wait
 * pass before it takes any: they would come again behind what was published since. Bridges that share a durable share no order.
 *
 * An ack is sent and not waited for: one that is lost with the connection costs a redelivery, which the log knows to be a duplicate.
 *
 * The stream must exist. The consumer is made when it is missing and used as it is when it exists, so that an operator's settings stand.
 */
import { type Consumer, type ConsumerMessages, type JsMsg, jetstream } from "@nats-io/jetstream";
import { millis, type NatsConnection, nanos } from "@nats-io/transport-node";
import { sleep } from "../../functions/core/backoff.ts";
import type { Logger } from "../../functions/core/logger.ts";
import type { BrokerSource, Decode, Decoded, RawMessage } from "../../functions/ports/broker-source.ts";
import { batchMessages, createIntake } from "../intake.ts";
import { closeNats, connectNats, type NatsServer, natsError, rawNatsMessage } from "../nats-connection.ts";
import { type ConsumerOptions, openConsumer } from "../nats-consumer.ts";
import { oldestPending } from "../nats-oldest.ts";
import type { SourceEvents } from "../source-monitor.ts";

/** Milliseconds a request for messages stands. The server sends heartbeats within it, so a dead one is noticed. */
const FETCH_MS = 30_000;
/** Milliseconds waited for what was unacked: at once there, unless another bridge holds it. The client takes no less. */
const FETCH_AGAIN_MS = 1000;
/** Milliseconds the server may be late in noticing that an ack wait has passed. */
const LATE_MS = 100;
/** Milliseconds of an ack wait that are let pass for the sake of order: longer, and being late is worse than being out of order. */
const MAX_LAPSE_MS = 30_000;

export interface NatsJetStreamOptions extends ConsumerOptions, NatsServer {
  readonly name: string;
  /** Messages asked for and not acked, at most. */
  readonly prefetch: number;
  readonly decode: Decode;
  readonly events: SourceEvents;
  readonly logger: Logger;
}

interface Message {
  readonly message: JsMsg;
  readonly decoded: Decoded;
}

export function createNatsJetStreamSource(options: NatsJetStreamOptions): BrokerSource {
  const { name, stream, prefetch, decode, events, logger } = options;
  /** On the connection there is. */
  let connected: { readonly consumer: Consumer; readonly connection: NatsConnection } | undefined;
  return {
    name,
    acknowledges: true,
    lag: async () => (await connected?.consumer.info().catch(() => undefined))?.num_pending,
    oldestHeld: async () =>
      connected && (await oldestPending(connected.connection, options).catch(() => undefined)),
    async *deliveries(signal) {
      const connection = await connectNats(options, `millrace ${name}`, signal);
      if (!connection) return;
      const what = `Cannot read from JetStream stream "${stream}"`;
      const unsettled = new Set<JsMsg>();
      let requested: ConsumerMessages | undefined;
      let wanted = Promise.withResolvers<void>();
      const intake = createIntake<Message>({
        maxBatchMessages: batchMessages(prefetch),
        onRelease: () => wanted.resolve(),
      });

      const push = (message: JsMsg) =>
        intake.push({ message, decoded: decode(toRaw(stream, message)) }, message.data.byteLength);

      /** Those whose ack wait has passed. The server gives them in the order in which it passed, which renewals have changed. */
      const fetchAgain = async (consumer: Consumer, messages: number) => {
        requested = await consumer.fetch({
          max_messages: Math.min(messages, prefetch),
          expires: FETCH_AGAIN_MS,
        });
        if (signal.aborted) requested.stop();
        const again: JsMsg[] = [];
        for await (const message of requested) {
          unsettled.add(message);
          again.push(message);
        }
        if (connection.isClosed()) return;
        for (const message of again.sort((one, other) => one.seq - other.seq)) push(message);
      };
      const fetchAll = async (consumer: Consumer, unacked: number) => {
        if (unacked > 0) await fetchAgain(consumer, unacked);
        while (!signal.aborted && !connection.isClosed()) {
          const room = prefetch - intake.held.messages;
          if (room < prefetch / 8) {
            wanted = Promise.withResolvers();
            await wanted.promise;
            continue;
          }
          requested = await consumer.fetch({ max_messages: room, expires: FETCH_MS });
          if (signal.aborted) requested.stop();
          for await (const message of requested) {
            unsettled.add(message);
            push(message);
          }
        }
      };
      // What has been taken is handed out: given back, it would come again behind what was published since.
      const onAbort = () => {
        requested?.stop();
        wanted.resolve();
      };
      signal.addEventListener("abort", onAbort, { once: true });
      let renewal: ReturnType<typeof setInterval> | undefined;
      try {
        const info = await openConsumer(connection, options, logger);
        const consumer = await jetstream(connection).consumers.get(stream, info.name);
        connected = { consumer, connection };
        events.connected();
        const ackWaitMs = millis(info.config.ack_wait ?? nanos(options.ackWaitMs));
        renewal = setInterval(() => {
          for (const message of unsettled) message.working();
        }, ackWaitMs / 3);
        const failed = (cause: unknown) => {
          // Without the connection what is in the line cannot be acked: it comes again.
          intake.clear();
          intake.end(natsError(what, cause));
        };
        void connection.closed().then((cause) => failed(cause ?? new Error("the connection was closed")));
        if (info.num_ack_pending > 0) {
          logger.info({ stream, messages: info.num_ack_pending, ackWaitMs }, "Waiting for unacked messages");
          await Promise.race([
            sleep(Math.min(ackWaitMs + LATE_MS, MAX_LAPSE_MS), signal),
            connection.closed(),
          ]);
        }
        fetchAll(consumer, info.num_ack_pending).then(() => {
          if (signal.aborted) intake.end();
        }, failed);

        for (let taken = await intake.take(); taken; taken = await intake.take()) {
          const { items, release } = taken;
          const settle = (how: "ack" | "nak") => {
            for (const { message } of items) {
              if (unsettled.delete(message)) message[how]();
            }
            release();
            return Promise.resolve();
          };
          yield {
            deliveries: items.map(({ decoded }) => decoded),
            ack: () => settle("ack"),
            nack: () => settle("nak"),
          };
        }
      } catch (cause) {
        throw natsError(what, cause);
      } finally {
        connected = undefined;
        clearInterval(renewal);
        signal.removeEventListener("abort", onAbort);
        requested?.stop();
        wanted.resolve();
        for (const message of unsettled) message.nak();
        await closeNats(connection);
      }
    },
  };
}

/**
 * Redelivery keeps a message's sequence and the time it was stored. The time is in the id because sequences start again when a stream
 * is deleted and made anew, and its first messages are not the old ones.
 */
function toRaw(stream: string, message: JsMsg): RawMessage {
  const { streamSequence, timestampNanos } = message.info;
  return rawNatsMessage(message, `${stream}.${streamSequence}.${millis(timestampNanos)}`);
}
