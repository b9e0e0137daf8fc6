/** Commands a Redis server has run, by name, scripts' inner commands included (`INFO commandstats`). */
import { createClient } from "redis";

export type CommandCounts = Readonly<Record<string, number>>;

/** What a client says on connecting, and what we ask ourselves. */
const NOT_COUNTED = /^(info|hello|client|auth|select|ping|quit|command|config)/;

export async function redisCommands(url: string): Promise<CommandCounts> {
  const client = createClient({ url });
  await client.connect();
  try {
    const text = await client.info("commandstats");
    const counts: Record<string, number> = {};
    for (const [, name, calls] of text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
      if (!NOT_COUNTED.test(name!)) counts[name!] = Number(calls);
    }
    return counts;
  } finally {
    client.destroy();
  }
}

/** Commands run between two looks; those of no use are left out. */
export function commandsSince(before: CommandCounts, after: CommandCounts): CommandCounts {
  const names = Object.keys(after).filter((name) => after[name] !== (before[name] ?? 0));
  return Object.fromEntries(names.map((name) => [name, after[name]! - (before[name] ?? 0)]));
}

export function sumCommands(counts: CommandCounts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** `xrange 3, hget 1`, the most frequent first. */
export function describeCommands(counts: CommandCounts): string {
  const entries = Object.entries(counts).sort(([, a], [, b]) => b - a);
  return entries.length === 0 ? "none" : entries.map(([name, count]) => `${name} ${count}`).join(", ");
}
