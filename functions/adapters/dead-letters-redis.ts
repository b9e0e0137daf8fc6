/** DeadLetters in one Redis stream. */
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";
import { MAX_DEAD_LETTERS } from "../core/limits.ts";
import type { DeadLetter, DeadLetters } from "../ports/dead-letters.ts";
import type { RedisConnection } from "../ports/redis-connection.ts";

const KEY = "millrace:dead-letters";

/** Ids are stream ids. `maxLetters` (default MAX_DEAD_LETTERS) are kept, some more until Redis frees a whole node (XADD, MAXLEN ~). */
export function createRedisDeadLetters({
  redis,
  maxLetters = MAX_DEAD_LETTERS,
}: {
  redis: RedisConnection;
  maxLetters?: number;
}): DeadLetters {
  return {
    async put(letters) {
      if (letters.length === 0) return;
      await redis.pipeline(
        letters.map((letter) => [
          ...["XADD", KEY, "MAXLEN", "~", String(maxLetters), "*"],
          ...["letter", JSON.stringify(letter)],
        ]),
      );
    },
    async list({ after = "0-0", limit }) {
      if (!/^\d{1,15}-\d{1,15}$/.test(after)) {
        throw new MillraceError(
          "invalid-input",
          `Cannot read dead letter id ${quote(after)}: expected the id of a letter listed before`,
        );
      }
      const rows = await redis.command(["XRANGE", KEY, `(${after}`, "+", "COUNT", String(limit)]);
      return (rows as [id: string, fields: [name: string, letter: string]][]).map(([id, [, letter]]) => ({
        ...(JSON.parse(letter) as DeadLetter),
        id,
      }));
    },
  };
}
