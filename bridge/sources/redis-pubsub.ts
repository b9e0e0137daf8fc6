/**
 * Redis channels. At most once: PUBLISH gives a message to who is subscribed at that moment and keeps nothing (Redis, Pub/Sub, delivery
 * semantics), so what was published while the bridge was away, or was in its memory when it died, is lost. Nor is there back-pressure:
 * beyond a bound the newest messages are dropped and counted. Redis itself closes the connection of a subscriber that does not read
 * (`client-output-buffer-limit pubsub`); then the source ends, and `run` connects again.
 *
 * The known channels are those on which services tell how they are: `service:all`, and log lines on `logs:all` and, once more, on
 * `logs:<service>`. A line that comes on both is stored once: where it has no id of its own, its id is a hash of its body and not of the channel
 * (service-channels.ts).
 *
 * A service that floods must not cost the others their lines, nor push what is older out of the log: what one sends beyond
 * `maxLinesPerSecond` is left out, counted, and said once a second in a line of its own (line-gate.ts).
 */
import type { BrokerSource, Decode, Decoded } from "../../functions/ports/broker-source.ts";
import { batchWithoutAcks, createIntake } from "../intake.ts";
import { createLineGate } from "../line-gate.ts";
import { connectRedisOnce, redisError } from "../redis-client.ts";
import { subscribeRedis } from "../redis-subscribe.ts";
import type { SourceEvents } from "../source-monitor.ts";

/** Bytes held, whatever the number of messages. */
const MAX_PENDING_BYTES = 64 * 1024 * 1024;
/** Milliseconds between pings: a subscriber sends nothing by itself, so it would never notice that its server is gone. */
const PING_MS = 10_000;
/** Milliseconds the server has to answer a ping. */
const PONG_MS = 5_000;
/** Milliseconds it has to answer the last one, behind which nothing that was published before is still on its way. */
const DRAIN_MS = 1_000;
/** Milliseconds between two lines that say what was left out of a service. */
const NOTICE_MS = 1_000;

export interface RedisPubSubOptions {
  readonly name: string;
  /** `redis://` or `rediss://`, with the credentials. */
  readonly url: string;
  /** A `*` stands for any text. They must not overlap, or the server sends a message once for each. */
  readonly channels: readonly string[];
  /** Messages held before new ones are dropped. */
  readonly maxPending: number;
  /** Log lines of one service let in, sustained; ten times as many at once. */
  readonly maxLinesPerSecond: number;
  readonly decode: Decode;
  readonly events: SourceEvents;
}

export function createRedisPubSubSource(options: RedisPubSubOptions): BrokerSource {
  const { name, url, channels, maxPending, maxLinesPerSecond, decode, events } = options;
  // What was left out when a connection broke is said on the next.
  const gate = createLineGate({ maxLinesPerSecond, decode });
  const what = `Cannot read from Redis "${new URL(url).host}"`;
  return {
    name,
    acknowledges: false,
    async *deliveries(signal) {
      const intake = createIntake<Decoded>();
      const client = await connectRedisOnce(url, (cause) => intake.end(redisError(what, cause)), signal);
      if (!client) return;
      const take = (body: Buffer, channel: Buffer) => {
        if (intake.hasEnded) return;
        const message = { subject: channel.toString(), headers: {}, body, messageId: undefined };
        const admitted = gate.admit(message);
        if (admitted === "left out") events.dropped(1, "flood");
        if (admitted !== "let in") return;
        if (intake.held.messages >= maxPending || intake.held.bytes >= MAX_PENDING_BYTES) events.dropped(1);
        else intake.push(decode(message), body.byteLength);
      };
      const notice = () => {
        if (intake.hasEnded) return;
        for (const line of gate.notices()) intake.push(line, 0);
      };
      const ping = async (withinMs: number) => {
        const late = Promise.withResolvers<never>();
        const timer = setTimeout(late.reject, withinMs, new Error(`no answer in ${withinMs} ms`));
        await Promise.race([client.ping(), late.promise]).finally(() => clearTimeout(timer));
      };
      const drained = () => {
        notice();
        intake.end();
      };
      const onAbort = () => {
        ping(DRAIN_MS).then(drained, drained);
      };
      const noticing = setInterval(notice, NOTICE_MS);
      const pinging = setInterval(() => {
        ping(PONG_MS).catch((cause: unknown) => intake.end(redisError(what, cause)));
      }, PING_MS);
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      try {
        await subscribeRedis(client, channels, take).catch((cause: unknown) => {
          intake.end(redisError(what, cause));
        });
        if (!intake.hasEnded) events.connected();
        for (let taken = await intake.take(); taken; taken = await intake.take()) {
          yield batchWithoutAcks(taken, events);
        }
      } finally {
        clearInterval(pinging);
        clearInterval(noticing);
        signal.removeEventListener("abort", onAbort);
        const left = intake.clear().length;
        if (left > 0) events.dropped(left);
        client.destroy();
      }
    },
  };
}
