/** DeadLetters in one Redis stream, and beside it how many bytes they have. */
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";
import { MAX_APPEND_CHARS, MAX_DEAD_LETTER_BYTES, MAX_DEAD_LETTERS } from "../core/limits.ts";
import type { DeadLetter, DeadLetters, StoredDeadLetter } from "../ports/dead-letters.ts";
import type { RedisConnection, RedisReply } from "../ports/redis-connection.ts";

/** One cluster slot. No log has keys of these names. */
const KEYS = ["millrace:{dead-letters}", "millrace:{dead-letters}:bytes"];
const [KEY] = KEYS as [string, string];
/** Letters put by one call of the script, of at most MAX_APPEND_CHARS: a command, and a request over REST, have a size. */
const PUT_LETTERS = 100;

/** KEYS: letters, bytes. ARGV: letters kept at most, bytes kept at most, letters. */
const PUT_SCRIPT = `
local letters, counter = KEYS[1], KEYS[2]
local bytes = 0
for at = 3, #ARGV do
  redis.call('XADD', letters, '*', 'letter', ARGV[at])
  bytes = bytes + #ARGV[at]
end
local held = redis.call('INCRBY', counter, bytes)
local count = redis.call('XLEN', letters)
while count > 1 and (count > tonumber(ARGV[1]) or held > tonumber(ARGV[2])) do
  local oldest = redis.call('XRANGE', letters, '-', '+', 'COUNT', 1)[1]
  redis.call('XDEL', letters, oldest[1])
  held = redis.call('DECRBY', counter, #oldest[2][2])
  count = count - 1
end`;

/** KEYS: letters, bytes. ARGV: ids. */
const REMOVE_SCRIPT = `
for at = 1, #ARGV do
  local found = redis.call('XRANGE', KEYS[1], ARGV[at], ARGV[at])[1]
  if found then
    redis.call('XDEL', KEYS[1], ARGV[at])
    redis.call('DECRBY', KEYS[2], #found[2][2])
  end
end`;

/** Ids are stream ids. `maxLetters` (default MAX_DEAD_LETTERS) of at most `maxBytes` (default MAX_DEAD_LETTER_BYTES) are kept. */
export function createRedisDeadLetters({
  redis,
  maxLetters = MAX_DEAD_LETTERS,
  maxBytes = MAX_DEAD_LETTER_BYTES,
}: {
  redis: RedisConnection;
  maxLetters?: number;
  maxBytes?: number;
}): DeadLetters {
  return {
    async put(letters) {
      let texts: string[] = [];
      let chars = 0;
      const flush = async () => {
        if (texts.length === 0) return;
        await redis.script(PUT_SCRIPT, KEYS, [String(maxLetters), String(maxBytes), ...texts]);
        [texts, chars] = [[], 0];
      };
      for (const letter of letters) {
        const text = JSON.stringify(letter);
        if (texts.length === PUT_LETTERS || chars + text.length > MAX_APPEND_CHARS) await flush();
        texts.push(text);
        chars += text.length;
      }
      await flush();
    },
    async list({ after = "0-0", limit }) {
      const start = `(${streamId(after)}`;
      return parseRows(await redis.command(["XRANGE", KEY, start, "+", "COUNT", String(limit)]));
    },
    async get(id) {
      const only = streamId(id);
      return parseRows(await redis.command(["XRANGE", KEY, only, only]))[0];
    },
    async count() {
      return Number(await redis.command(["XLEN", KEY]));
    },
    async remove(ids) {
      if (ids.length > 0) await redis.script(REMOVE_SCRIPT, KEYS, ids.map(streamId));
    },
  };
}

function streamId(text: string): string {
  if (/^\d{1,15}-\d{1,15}$/.test(text)) return text;
  throw new MillraceError(
    "invalid-input",
    `Cannot read dead letter id ${quote(text)}: expected the id of a letter listed before, such as 1767225600000-0`,
  );
}

function parseRows(reply: RedisReply): StoredDeadLetter[] {
  const rows = reply as [id: string, fields: [name: string, letter: string]][];
  return rows.map(([id, [, letter]]) => ({ ...(JSON.parse(letter) as DeadLetter), id }));
}
