/** MONITOR for any number of clients, over a connection of its own that is open while there are any: it can do nothing else. */
import type { ServerResponse } from "node:http";
import type { Logger } from "../../functions/core/logger.ts";
import { openRedisLink, type RedisLink } from "../../functions/runtimes/node/redis-link.ts";
import { encodeFrame, type SseStream, type SseStreams } from "./sse.ts";

const HELLO = encodeFrame('"OK"');

export interface Monitor extends AsyncDisposable {
  /** As {@link Subscriptions.open}. */
  open(response: ServerResponse): Promise<boolean>;
}

/** While it is open. */
interface Session {
  readonly link: RedisLink;
  /** Those that were told that they are let in. */
  readonly streams: Set<SseStream>;
  /** Those that were not. */
  readonly waiting: Set<SseStream>;
}

export function createMonitor(url: string, streams: SseStreams, logger: Logger): Monitor {
  let session: Session | undefined;
  const closing = new Set<Promise<void>>();

  const close = (own: Session) => {
    if (session === own) session = undefined;
    for (const stream of own.streams) stream.end();
    const gone = Promise.resolve(own.link[Symbol.asyncDispose]()).then(() => void closing.delete(gone));
    closing.add(gone);
  };

  const start = (): Session => {
    const own: Session = {
      streams: new Set(),
      waiting: new Set(),
      link: openRedisLink({
        url,
        logger,
        async prepare(client) {
          const lose = () => close(own);
          client.on("error", lose);
          client.on("end", lose);
          await client.monitor((line) => {
            const frame = encodeFrame(String(line));
            for (const stream of own.streams) stream.write(frame);
          });
        },
      }),
    };
    return own;
  };

  return {
    async open(response) {
      let left = () => {};
      const stream = streams.add(response, () => left());
      if (stream === undefined) return false;
      // Only now: a connection that nobody gets would be nobody's to end.
      session ??= start();
      const own = session;
      own.waiting.add(stream);
      left = () => {
        own.waiting.delete(stream);
        own.streams.delete(stream);
        if (own.waiting.size + own.streams.size === 0 && session === own) close(own);
      };
      try {
        await own.link.connected();
      } catch (error) {
        // The last of them has gone, and nobody reads this.
        if (!own.waiting.has(stream)) return true;
        close(own);
        throw error;
      }
      if (!own.waiting.delete(stream)) return true;
      stream.open(HELLO);
      own.streams.add(stream);
      return true;
    },
    async [Symbol.asyncDispose]() {
      if (session !== undefined) close(session);
      await Promise.all(closing);
    },
  };
}
