/** RedisConnection over RESP: two connections, one for commands and one for subscriptions while there are any. */
import { createHash } from "node:crypto";
import type { Logger } from "../../core/logger.ts";
import type { RedisConnection, RedisReply } from "../../ports/redis-connection.ts";
import { type Client, openRedisLink } from "./redis-link.ts";
import { createSubscriptions } from "./redis-subscriptions.ts";

/**
 * Connects to `redis://` or `rediss://`. Resolves after the first try whether or not it was a success: what is started before its
 * Redis comes up by itself. While the server is away calls fail at once with `unavailable`, nothing is kept for later, and the
 * connection is tried for ever. A call takes at most 5 s. A subscription whose socket has gone silent is noticed by a PING.
 * The URL is never logged: it may hold a password.
 * @throws MillraceError `invalid-settings` when the URL is none of Redis.
 */
export async function connectRedis(url: string, logger: Logger): Promise<RedisConnection> {
  /** Hashes of the scripts this connection has sent. */
  const sent = new Set<string>();
  const hashes = new Map<string, string>();
  const link = openRedisLink({
    url,
    logger,
    prepare: async () => sent.clear(),
  });
  const subscriptions = createSubscriptions(url, logger);
  await link.connected().catch(() => {});

  const run = (client: Client, args: readonly string[]) =>
    client.sendCommand(args as string[]) as Promise<unknown> as Promise<RedisReply>;

  const hashOf = (lua: string): string => {
    const hash = hashes.get(lua) ?? createHash("sha1").update(lua).digest("hex");
    hashes.set(lua, hash);
    return hash;
  };

  const runScript = async (client: Client, lua: string, args: readonly string[]): Promise<RedisReply> => {
    const hash = hashOf(lua);
    // The text goes first on every connection, so that calls sent right behind it find the script there, in their order.
    if (!sent.has(hash)) {
      sent.add(hash);
      return run(client, ["EVAL", lua, ...args]);
    }
    try {
      return await run(client, ["EVALSHA", hash, ...args]);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return run(client, ["EVAL", lua, ...args]);
    }
  };

  return {
    async command(args) {
      const client = link.current();
      return link.answer(client, run(client, args));
    },
    async pipeline(commands) {
      if (commands.length === 0) return [];
      const client = link.current();
      return link.answer(client, Promise.all(commands.map((args) => run(client, args))));
    },
    async script(lua, keys, args) {
      const client = link.current();
      return link.answer(client, runScript(client, lua, [String(keys.length), ...keys, ...args]));
    },
    async subscribe(channel, handler) {
      // Fails at once while the server is away, without trying another connection.
      link.current();
      return subscriptions.subscribe(channel, handler);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([link[Symbol.asyncDispose](), subscriptions[Symbol.asyncDispose]()]);
    },
  };
}
