/** Channels as bridge.yaml names them, on a connection of Redis. */
import type { RedisClient } from "./redis-client.ts";

/** Gets the message and the channel it was published on. */
export type RedisListener = (body: Buffer, channel: Buffer) => void;

/**
 * Resolves when the server has confirmed them all.
 * @param channels A `*` stands for any text.
 * @throws what the client library throws when the server refuses one.
 */
export async function subscribeRedis(
  client: RedisClient,
  channels: readonly string[],
  listener: RedisListener,
): Promise<void> {
  const patterns = channels.filter(isPattern).map(globOf);
  const names = channels.filter((channel) => !isPattern(channel));
  await Promise.all([
    names.length > 0 ? client.subscribe(names, listener, true) : undefined,
    patterns.length > 0 ? client.pSubscribe(patterns, listener, true) : undefined,
  ]);
}

function isPattern(channel: string): boolean {
  return channel.includes("*");
}

/** In a pattern of Redis `?`, `[` and `\` have a meaning too (PSUBSCRIBE); here the star alone has one. */
function globOf(channel: string): string {
  return channel.replace(/[?[\]\\^]/g, "\\$&");
}
