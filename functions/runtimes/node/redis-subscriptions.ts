/** Subscriptions over a RESP connection of their own, which is open while there are any. */
import { sleep } from "../../core/backoff.ts";
import type { Logger } from "../../core/logger.ts";
import type { RedisConnection, SubscriptionHandler } from "../../ports/redis-connection.ts";
import { type Client, openRedisLink, type RedisLink } from "./redis-link.ts";
import { createWhenWritten, type WhenWritten } from "./redis-written.ts";

/** Milliseconds between PINGs: a subscriber sends nothing by itself, so it would never notice that its server is gone. */
const PING_MS = 10_000;

/** One channel, however many handlers. */
interface Channel {
  readonly handlers: Set<SubscriptionHandler>;
  /** The client it is subscribed on, what listens there, and the server's confirmation. */
  client: Client | undefined;
  listener: (payload: string) => void;
  confirmed: Promise<void>;
}

/** While it is open. */
interface Subscriber extends AsyncDisposable {
  readonly link: RedisLink;
  readonly channels: Map<string, Channel>;
  readonly whenWritten: WhenWritten;
}

export type RedisSubscriptions = Pick<RedisConnection, "subscribe"> & AsyncDisposable;

export function createSubscriptions(url: string, logger: Logger): RedisSubscriptions {
  let subscriber: Subscriber | undefined;

  return {
    async subscribe(name, handler) {
      subscriber ??= openSubscriber(url, logger);
      const own = subscriber;
      const channel = own.channels.get(name) ?? createChannel();
      own.channels.set(name, channel);
      channel.handlers.add(handler);
      const end = () => {
        if (!channel.handlers.delete(handler) || channel.handlers.size > 0) return;
        own.channels.delete(name);
        if (own.channels.size > 0) {
          channel.client?.unsubscribe(name, channel.listener).catch(() => {});
          return;
        }
        if (subscriber === own) subscriber = undefined;
        void own[Symbol.asyncDispose]();
      };
      try {
        const client = await own.link.connected();
        await own.link.answer(client, confirm(name, channel, client, own.whenWritten));
        return end;
      } catch (error) {
        end();
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      const own = subscriber;
      subscriber = undefined;
      own?.channels.clear();
      await own?.[Symbol.asyncDispose]();
    },
  };
}

function createChannel(): Channel {
  return { handlers: new Set(), client: undefined, listener: () => {}, confirmed: Promise.resolve() };
}

/** Subscribes the channel on the client, once. */
function confirm(name: string, channel: Channel, client: Client, whenWritten: WhenWritten): Promise<void> {
  if (channel.client !== client) {
    channel.client = client;
    channel.listener = (payload) =>
      whenWritten(client, () => {
        for (const handler of channel.handlers) handler.message(payload);
      });
    channel.confirmed = client.subscribe(name, channel.listener);
  }
  return channel.confirmed;
}

function openSubscriber(url: string, logger: Logger): Subscriber {
  const channels = new Map<string, Channel>();
  const whenWritten = createWhenWritten();
  const closing = new AbortController();
  let wasReady = false;
  const link = openRedisLink({
    url,
    logger,
    async prepare(client) {
      const confirmAll = Array.from(channels, ([name, channel]) =>
        confirm(name, channel, client, whenWritten),
      );
      await Promise.all(confirmAll);
      if (wasReady) {
        for (const { handlers } of channels.values()) {
          for (const handler of handlers) handler.restored();
        }
      }
      wasReady = true;
    },
  });
  const keepPinging = async () => {
    for (;;) {
      await sleep(PING_MS, closing.signal);
      if (closing.signal.aborted) return;
      try {
        const client = link.current();
        await link.answer(client, client.ping());
      } catch {
        // The link says so and connects again.
      }
    }
  };
  const pinging = keepPinging();
  return {
    link,
    channels,
    whenWritten,
    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.all([pinging, link[Symbol.asyncDispose]()]);
    },
  };
}
