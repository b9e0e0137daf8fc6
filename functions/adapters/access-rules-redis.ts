/** AccessRules in one Redis hash, a field a rule; changes and renewals go out on one channel. */
import {
  type AccessRule,
  decodeNews,
  decodeRule,
  encodeNews,
  ruleName,
  ruleTime,
} from "../core/access-rule.ts";
import { MillraceError } from "../core/errors.ts";
import { MAX_ACCESS_RULES } from "../core/limits.ts";
import type { AccessRules } from "../ports/access-rules.ts";
import type { RedisConnection } from "../ports/redis-connection.ts";

/** About subjects and companies together, so of no company's cluster slot. */
const KEY = "millrace:{access}";
/** Rules of one step, which holds Redis for some 2 ms. */
const READ_RULES = 2_000;
const CHANNEL = "millrace:{access}:news";

/**
 * KEYS: hash. ARGV: rule's name, its time, its text, rules kept at most, channel. Replies 0 when there is no room. A field holds the time
 * in front of the text, for the next one to compare.
 */
const PUT = `
local held = redis.call('HGET', KEYS[1], ARGV[1])
if held and tonumber(string.match(held, '^%d+')) > tonumber(ARGV[2]) then return 1 end
if not held and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
redis.call('PUBLISH', ARGV[5], ARGV[3])
return 1`;

/** `maxRules`: default MAX_ACCESS_RULES. */
export function createRedisAccessRules({
  redis,
  maxRules = MAX_ACCESS_RULES,
}: {
  redis: RedisConnection;
  maxRules?: number;
}): AccessRules {
  return {
    async read() {
      const rules: AccessRule[] = [];
      let cursor = "0";
      do {
        // What is put meanwhile may be read or not (Redis, SCAN guarantees): whoever needs it watches.
        const args = ["HSCAN", KEY, cursor, "COUNT", String(READ_RULES)];
        const [next, fields] = (await redis.command(args)) as [string, readonly string[]];
        for (let at = 1; at < fields.length; at += 2) {
          const rule = decodeRule(fields[at]!.slice(fields[at]!.indexOf(" ") + 1));
          if (rule !== undefined) rules.push(rule);
        }
        cursor = next;
      } while (cursor !== "0");
      return rules;
    },
    async put(rule) {
      const args = [ruleName(rule), String(ruleTime(rule)), encodeNews(rule), String(maxRules), CHANNEL];
      if ((await redis.script(PUT, [KEY], args)) === 1) return;
      throw new MillraceError(
        "invalid-input",
        `Cannot keep another rule about access: there are ${maxRules}, expected fewer`,
      );
    },
    async announce(renewal) {
      await redis.command(["PUBLISH", CHANNEL, encodeNews(renewal)]);
    },
    watch(watcher) {
      return redis.subscribe(CHANNEL, {
        message(text) {
          const news = decodeNews(text);
          if (news !== undefined) watcher.changed(news);
        },
        restored: () => watcher.restored(),
      });
    },
  };
}
