/** A connection of the monitor's own: made at the first message and again at the next one after it was lost. It keeps no process alive. */
import { MillraceError } from "../../functions/core/errors.ts";
import { connectRedisOnce, type RedisClient, redisError } from "../redis-client.ts";
import type { RedisPublisher } from "./options.ts";

/** Milliseconds between pings: what is published on a connection that is gone without a word would wait for ever. */
const PING_MS = 10_000;
/** Milliseconds the server has to answer one. */
const PONG_MS = 5_000;

export interface OwnRedis extends RedisPublisher {
  publish(channel: string, message: string): Promise<unknown>;
  close(): void;
}

interface Connection {
  readonly client: RedisClient;
  /** Aborts with what ended it. */
  readonly lost: AbortSignal;
}

/** @param url `redis://` or `rediss://`. Connects to nothing yet. */
export function openOwnRedis(url: string): OwnRedis {
  const stop = new AbortController();
  const what = `Cannot publish to Redis "${new URL(url).host}"`;
  let connecting: Promise<Connection> | undefined;

  const connect = async (): Promise<Connection> => {
    const lost = new AbortController();
    const client = await connectRedisOnce(url, (cause) => lost.abort(cause), stop.signal, {
      isBackground: true,
    });
    if (!client) throw new MillraceError("unavailable", `${what}: the service monitor is closed`);
    const pinging = setInterval(() => {
      const late = setTimeout(() => lost.abort(new Error(`no answer in ${PONG_MS} ms`)), PONG_MS).unref();
      client.ping().then(
        () => clearTimeout(late),
        (cause: unknown) => lost.abort(cause),
      );
    }, PING_MS).unref();
    const over = () => {
      clearInterval(pinging);
      connecting = undefined;
      client.destroy();
    };
    const ended = AbortSignal.any([stop.signal, lost.signal]);
    if (ended.aborted) over();
    else ended.addEventListener("abort", over, { once: true });
    return { client, lost: lost.signal };
  };

  return {
    async publish(channel, message) {
      connecting ??= connect().catch((error: unknown) => {
        connecting = undefined;
        throw error;
      });
      const { client, lost } = await connecting;
      return client.publish(channel, message).catch((cause: unknown) => {
        // The library only says that it was destroyed.
        throw redisError(what, lost.aborted ? lost.reason : cause);
      });
    },
    close: () => stop.abort(),
  };
}
