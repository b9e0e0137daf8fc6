/** AccessRules in one Redis hash, a field a rule, with the revocations by time beside it; changes and renewals go out on one channel. */
import {
  type AccessRule,
  ALL_FEATURES,
  decodeNews,
  decodeRule,
  encodeNews,
  LONGEST_TOKEN_MS,
  noRoomForFeatures,
  ruleName,
} from "../core/access-rule.ts";
import { backoffMs, sleep } from "../core/backoff.ts";
import { MAX_ACCESS_RULES } from "../core/limits.ts";
import type { AccessRules, AccessWatcher } from "../ports/access-rules.ts";
import type { RedisConnection } from "../ports/redis-connection.ts";

/** About subjects and companies together, so of no company's cluster slot. */
const KEY = "millrace:{access}";
/** Sorted set of the revocations' names by time. */
const TIMES = "millrace:{access}:times";
/** A random text, another one after every change. */
const VERSION = "millrace:{access}:version";
/** Stream of the renewals of the last seconds. */
const RENEWALS = "millrace:{access}:renewals";
/** Rules of one step, which holds Redis for some 2 ms. */
const READ_RULES = 2_000;
const CHANNEL = "millrace:{access}:news";
/** Milliseconds within which a change is to be read where it cannot be heard: of the second that it may take in all. */
const WITHIN_MS = 800;
/** Milliseconds a renewal is kept for those who could not hear it: longer than a lost subscription takes to be noticed and to come back. */
const RENEWAL_MS = 30_000;
/** Renewals kept; older ones go first, and their clients come back. */
const MAX_RENEWALS = 1_000;

/**
 * KEYS: hash, times, version. ARGV: rule's name, its time, its text, revocations kept at most, the time up to which they concern no token any
 * more, new version, channel. Replies the time of `all-revoked` when it was put, else 0.
 */
const REVOKE = `
local held = redis.call('ZSCORE', KEYS[2], ARGV[1])
if held and tonumber(held) > tonumber(ARGV[2]) then return '0' end
local all = '0'
if not held and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then
  local oldest = redis.call('ZPOPMIN', KEYS[2])
  redis.call('HDEL', KEYS[1], oldest[1])
  local before = string.match(redis.call('HGET', KEYS[1], 'all-revoked') or '0', '%d+')
  local ms = math.max(tonumber(oldest[2]), tonumber(before))
  if ms > tonumber(ARGV[5]) then
    all = string.format('%.0f', ms)
    local text = '{"kind":"all-revoked","atMs":' .. all .. '}'
    redis.call('HSET', KEYS[1], 'all-revoked', text)
    redis.call('PUBLISH', ARGV[7], text)
  else
    redis.call('HDEL', KEYS[1], 'all-revoked')
  end
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('SET', KEYS[3], ARGV[6])
redis.call('PUBLISH', ARGV[7], ARGV[3])
return all`;

/**
 * KEYS: hash, times, version. ARGV: rule's name, its text where there is none, the change, companies with features at most, new version,
 * channel. Replies the rule's text, empty when there is no room. What says no more than that there is none is not kept.
 */
const CHANGE = `
local held = redis.call('HGET', KEYS[1], ARGV[1])
local kept = redis.call('HLEN', KEYS[1]) - redis.call('ZCARD', KEYS[2]) - redis.call('HEXISTS', KEYS[1], 'all-revoked')
if not held and kept >= tonumber(ARGV[4]) then return '' end
local rule = cjson.decode(held or ARGV[2])
for name, value in pairs(cjson.decode(ARGV[3])) do
  if value == cjson.null then value = nil end
  rule.features[name] = value
end
local text = cjson.encode(rule)
if rule.features.streaming and not rule.features.maxConnections then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], text)
end
redis.call('SET', KEYS[3], ARGV[5])
redis.call('PUBLISH', ARGV[6], text)
return text`;

/** KEYS: renewals. ARGV: text, renewals kept at most, milliseconds they are kept, channel. What is published has the stream id in front. */
const ANNOUNCE = `
local id = redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], '*', 'text', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PUBLISH', ARGV[4], id .. ' ' .. ARGV[1])
return 1`;
const ANNOUNCED = /^(\d+-\d+) /;

/** `maxRules`: default MAX_ACCESS_RULES; half of it for features, half for revocations. */
export function createRedisAccessRules({
  redis,
  maxRules = MAX_ACCESS_RULES,
}: {
  redis: RedisConnection;
  maxRules?: number;
}): AccessRules {
  const keys = [KEY, TIMES, VERSION];
  const most = Math.ceil(maxRules / 2);
  return {
    async read() {
      const rules: AccessRule[] = [];
      let cursor = "0";
      do {
        // What is put meanwhile may be read or not (Redis, SCAN guarantees): whoever needs it watches.
        const args = ["HSCAN", KEY, cursor, "COUNT", String(READ_RULES)];
        const [next, fields] = (await redis.command(args)) as [string, readonly string[]];
        for (let at = 1; at < fields.length; at += 2) {
          const rule = decodeRule(fields[at]!);
          if (rule !== undefined) rules.push(rule);
        }
        cursor = next;
      } while (cursor !== "0");
      return rules;
    },
    async version() {
      return ((await redis.command(["GET", VERSION])) as string | null) ?? "";
    },
    async put(revocation) {
      const rule = [ruleName(revocation), String(revocation.atMs), encodeNews(revocation)];
      const forgottenMs = String(Date.now() - LONGEST_TOKEN_MS);
      const args = [...rule, String(most), forgottenMs, crypto.randomUUID(), CHANNEL];
      const allMs = Number(await redis.script(REVOKE, keys, args));
      return allMs === 0 ? undefined : allMs;
    },
    async changeFeatures(company, change) {
      const none: AccessRule = { kind: "features", company, features: ALL_FEATURES };
      const args = [ruleName(none), encodeNews(none), JSON.stringify(change)];
      const text = await redis.script(CHANGE, keys, [...args, String(most), crypto.randomUUID(), CHANNEL]);
      const rule = text === "" ? undefined : decodeRule(text as string);
      if (rule?.kind !== "features") throw noRoomForFeatures(most);
      const { streaming, maxConnections } = rule.features;
      return { streaming, maxConnections };
    },
    async announce(renewal) {
      const limits = [String(MAX_RENEWALS), String(RENEWAL_MS)];
      await redis.script(ANNOUNCE, [RENEWALS], [encodeNews(renewal), ...limits, CHANNEL]);
    },
    watch: (watcher) => watchNews(redis, watcher),
  };
}

/**
 * Hears what is published. After a time in which that was not to be had, and all the time where it never is, renewals are read; rules
 * are the watcher's to read. Such a reading finds renewals that were heard too, so those are remembered.
 */
async function watchNews(redis: RedisConnection, watcher: AccessWatcher): Promise<() => void> {
  const ended = new AbortController();
  /** Ids of renewals that were told, or came before. */
  const told = new Set<string>();
  let newestMs = 0;
  const isNew = (id: string) => {
    if (told.has(id)) return false;
    told.add(id);
    newestMs = Math.max(newestMs, Number.parseInt(id, 10));
    if (told.size > 2 * MAX_RENEWALS) told.delete(told.values().next().value!);
    return true;
  };
  const tell = (text: string) => {
    const news = decodeNews(text);
    if (news !== undefined) watcher.changed(news);
  };
  const readRenewals = async () => {
    const from = String(Math.max(0, newestMs - RENEWAL_MS));
    return (await redis.command(["XRANGE", RENEWALS, from, "+"])) as readonly [string, [string, string]][];
  };

  let isMissing = false;
  let isReading = false;
  const readMissed = async () => {
    isMissing = true;
    if (isReading) return;
    isReading = true;
    for (let attempt = 0; isMissing && !ended.signal.aborted; attempt++) {
      isMissing = false;
      try {
        for (const [id, [, text]] of await readRenewals()) {
          if (!ended.signal.aborted && isNew(id)) tell(text);
        }
      } catch {
        // The watcher, who reads the rules at the same time, says so.
        isMissing = true;
        await sleep(backoffMs(attempt), ended.signal);
      }
    }
    isReading = false;
  };

  for (const [id] of await readRenewals()) isNew(id);
  const unsubscribe = await redis.subscribe(CHANNEL, {
    withinMs: WITHIN_MS,
    message(text) {
      const id = ANNOUNCED.exec(text)?.[1];
      if (id === undefined) tell(text);
      else if (isNew(id)) tell(text.slice(id.length + 1));
    },
    restored() {
      watcher.restored();
      void readMissed();
    },
  });
  return () => {
    ended.abort();
    unsubscribe();
  };
}
