/** SUBSCRIBE and PSUBSCRIBE for any number of clients over one connection to Redis: one subscription a name, each frame encoded once. */
import type { ServerResponse } from "node:http";
import { sleep } from "../../functions/core/backoff.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { type Client, openRedisLink } from "../../functions/runtimes/node/redis-link.ts";
import { createWhenWritten } from "../../functions/runtimes/node/redis-written.ts";
import { encodeFrame, type SseStream, type SseStreams } from "./sse.ts";

/** Milliseconds between PINGs: a subscriber sends nothing by itself, so it would never notice that its server is gone. */
const PING_MS = 5_000;

export type SubscriptionKind = "subscribe" | "psubscribe";

export interface Subscriptions extends AsyncDisposable {
  /**
   * Resolves when the header is out, or when the client has gone first; false when too many streams are open. A stream ends when the
   * connection to Redis is lost, because messages may be.
   * @throws MillraceError `unavailable` when Redis is away; a reply error as it is.
   */
  open(kind: SubscriptionKind, name: string, response: ServerResponse): Promise<boolean>;
  /** Resolves when Redis has answered. @throws MillraceError `unavailable`. */
  ping(): Promise<void>;
}

/** A channel or a pattern. */
interface Topic {
  readonly client: Client;
  /** Those that were told that they are subscribed. */
  readonly streams: Set<SseStream>;
  /** Those that were not. */
  readonly waiting: Set<SseStream>;
  confirmed: Promise<void>;
  /** Whether the server has said so. */
  isConfirmed: boolean;
  readonly confirm: () => void;
  readonly listener: (message: string, channel: string) => void;
}

/** @throws MillraceError `invalid-settings` when the URL is none of Redis. */
export function openSubscriptions(url: string, streams: SseStreams, logger: Logger): Subscriptions {
  const topics = new Map<string, Topic>();
  const whenWritten = createWhenWritten();
  const closing = new AbortController();
  const link = openRedisLink({
    url,
    logger,
    async prepare(client) {
      const lose = () => {
        for (const [key, topic] of topics) {
          if (topic.client !== client) continue;
          topics.delete(key);
          for (const stream of topic.streams) stream.end();
        }
      };
      client.on("error", lose);
      client.on("end", lose);
    },
  });

  const createTopic = (kind: SubscriptionKind, name: string, client: Client): Topic => {
    const hello = encodeFrame(`${kind},${name},1`);
    const topic: Topic = {
      client,
      streams: new Set(),
      waiting: new Set(),
      confirmed: Promise.resolve(),
      isConfirmed: false,
      confirm() {
        topic.isConfirmed = true;
        for (const stream of topic.waiting) {
          stream.open(hello);
          topic.streams.add(stream);
        }
        topic.waiting.clear();
      },
      listener(message, channel) {
        const source = kind === "subscribe" ? `message,${channel}` : `pmessage,${name},${channel}`;
        const frame = encodeFrame(`${source},${message}`);
        whenWritten(client, () => {
          for (const stream of topic.streams) stream.write(frame);
        });
      },
    };
    topic.confirmed =
      kind === "subscribe" ? client.subscribe(name, topic.listener) : client.pSubscribe(name, topic.listener);
    // Whoever waits for it is told.
    topic.confirmed.catch(() => {});
    return topic;
  };

  const leave = (key: string, kind: SubscriptionKind, name: string, topic: Topic, stream: SseStream) => {
    topic.waiting.delete(stream);
    topic.streams.delete(stream);
    if (topic.waiting.size > 0 || topic.streams.size > 0 || topics.get(key) !== topic) return;
    topics.delete(key);
    const left =
      kind === "subscribe"
        ? topic.client.unsubscribe(name, topic.listener)
        : topic.client.pUnsubscribe(name, topic.listener);
    left.catch(() => {});
  };

  const keepPinging = async () => {
    while (!closing.signal.aborted) {
      await sleep(PING_MS, closing.signal);
      if (topics.size === 0 || closing.signal.aborted) continue;
      // The link says so and connects again.
      await ping().catch(() => {});
    }
  };
  const ping = async () => {
    const client = await link.connected();
    await link.answer(client, client.ping());
  };
  const pinging = keepPinging();

  return {
    async open(kind, name, response) {
      const client = link.current();
      const key = `${kind} ${name}`;
      let left = () => {};
      const stream = streams.add(response, () => left());
      if (stream === undefined) return false;
      // Only now: a subscription that nobody gets would be nobody's to end.
      const topic = topics.get(key) ?? createTopic(kind, name, client);
      left = () => leave(key, kind, name, topic, stream);
      topics.set(key, topic);
      topic.waiting.add(stream);
      if (topic.isConfirmed) {
        topic.confirm();
        return true;
      }
      try {
        await link.answer(client, topic.confirmed);
        topic.confirm();
        return true;
      } catch (error) {
        leave(key, kind, name, topic, stream);
        throw error;
      }
    },
    ping,
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.all([pinging, link[Symbol.asyncDispose]()]);
    },
  };
}
