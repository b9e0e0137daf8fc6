/** What `millrace doctor` asks of a Redis channels source: a connection, and the right to subscribe. */
import { MillraceError } from "../../functions/core/errors.ts";
import type { RedisPubSubConfig } from "../config/redis-pubsub.ts";
import { connectRedisOnce, redisError } from "../redis-client.ts";
import { subscribeRedis } from "../redis-subscribe.ts";

/**
 * Resolves with one line of what was found.
 * @throws MillraceError naming the server, what is wrong and what to do.
 */
export async function probeRedisPubSub(
  { url, channels }: Pick<RedisPubSubConfig, "url" | "channels">,
  signal: AbortSignal,
): Promise<string> {
  const client = await connectRedisOnce(url, () => {}, signal);
  const what = `Cannot subscribe on Redis "${new URL(url).host}"`;
  if (!client) throw new MillraceError("unavailable", `${what}: no answer, expected a server that answers`);
  try {
    await subscribeRedis(client, channels, () => {});
    return `answers, ${channels.join(", ")} may be read (at most once)`;
  } catch (cause) {
    throw redisError(what, cause);
  } finally {
    client.destroy();
  }
}
