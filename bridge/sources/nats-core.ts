/**
 * Core NATS subscriptions. At most once: the server keeps nothing and knows no acks, so what was published while the bridge was
 * away, or was in its memory when it died, is lost; JetStream (nats-jetstream.ts) loses nothing. Nor does it know back-pressure: beyond
 * a bound the newest messages are dropped and counted, as NATS clients do with a slow consumer.
 */
import { sleep } from "../../functions/core/backoff.ts";
import type { BrokerSource, Decode, Decoded } from "../../functions/ports/broker-source.ts";
import { batchWithoutAcks, createIntake } from "../intake.ts";
import { closeNats, connectNats, type NatsServer, natsError, rawNatsMessage } from "../nats-connection.ts";
import type { SourceEvents } from "../source-monitor.ts";

/** Bytes held: the bound of the Go client. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** Milliseconds the server has to confirm the end of the subscriptions. */
const DRAIN_MS = 1000;

export interface NatsCoreOptions extends NatsServer {
  readonly name: string;
  /** May have wildcards; must not overlap, or the server sends a message once for each. */
  readonly subjects: readonly string[];
  /** Bridges with the same queue group share the messages. Undefined: each gets them all. */
  readonly queue: string | undefined;
  /** Messages held before new ones are dropped. */
  readonly maxPending: number;
  readonly decode: Decode;
  readonly events: SourceEvents;
}

export function createNatsCoreSource(options: NatsCoreOptions): BrokerSource {
  const { name, subjects, queue, maxPending, decode, events } = options;
  return {
    name,
    acknowledges: false,
    async *deliveries(signal) {
      const connection = await connectNats(options, `millrace ${name}`, signal);
      if (!connection) return;
      const what = `Cannot read from NATS "${connection.getServer()}"`;
      const intake = createIntake<Decoded>();
      const subscriptions = subjects.map((subject) =>
        connection.subscribe(subject, {
          ...(queue ? { queue } : {}),
          callback(error, message) {
            if (error) intake.end(natsError(what, error));
            else if (intake.held.messages >= maxPending || intake.held.bytes >= MAX_PENDING_BYTES) {
              events.dropped(1);
            } else intake.push(decode(rawNatsMessage(message)), message.data.byteLength);
          },
        }),
      );
      const closed = connection.closed().then((cause) => {
        intake.end(natsError(what, cause ?? new Error("the connection was closed")));
      });
      // What has been sent to us already is ours: after the server has confirmed the end of the subscriptions it is all here.
      const onAbort = () => {
        const drained = Promise.allSettled(subscriptions.map((subscription) => subscription.drain()));
        void Promise.race([drained, closed, sleep(DRAIN_MS)]).then(() => intake.end());
      };
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      try {
        // Once the server has answered, the subscriptions are in force, and a refused one has ended the intake.
        await Promise.race([connection.flush(), closed]).catch(() => {});
        if (!intake.hasEnded) events.connected();
        for (let taken = await intake.take(); taken; taken = await intake.take()) {
          yield batchWithoutAcks(taken, events);
        }
      } finally {
        signal.removeEventListener("abort", onAbort);
        const left = intake.clear().length;
        if (left > 0) events.dropped(left);
        await closeNats(connection);
      }
    },
  };
}
