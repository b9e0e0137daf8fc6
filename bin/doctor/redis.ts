/** The log's Redis, over RESP and over REST: whether it holds what is put into it, and for how long it can. */
import { connectRedisRest } from "../../functions/adapters/redis-connection-rest.ts";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import { MAX_LOG_EVENTS } from "../../functions/core/limits.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { logKeys } from "../../functions/core/redis-log-codec.ts";
import type { RedisConnection } from "../../functions/ports/redis-connection.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { bytes, duration } from "./amounts.ts";
import { type Outcome, type Probe, rootOf } from "./examine.ts";

/** What a probe would log is in its finding. */
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
/** The first version with all the log's scripts use. */
const LEAST_VERSION = [6, 2] as const;
/** Milliseconds two clocks may differ: as far as tokens are tolerated. */
const MOST_SKEW_MS = 5_000;
/** Of the memory there is, what may be in use before it is worth a word. */
const FULL = 0.8;
/** Milliseconds of events from which a rate can be told. */
const LEAST_SPAN_MS = 60_000;

export function redisProbe(url: string, retentionMs: number): Probe {
  const other = url.startsWith("rediss:")
    ? "redis:// where it speaks no TLS"
    : "rediss:// where it speaks TLS";
  return {
    what: `Redis ${url}`,
    next: `start Redis 7 or newer there, or correct REDIS_URL (${other}; without it the log is kept in DATA_DIR)`,
    async run() {
      try {
        await using redis = await connectRedis(url, silent);
        return judge(await look(redis), retentionMs);
      } catch (error) {
        const fault = describeError(rootOf(error));
        // It answers, and refuses what writes: its disk is full, or its log cannot be written.
        if (!fault.includes("MISCONF")) throw error;
        return { fault, next: "make room on its disk, or mend what its own log says of it" };
      }
    },
  };
}

export function redisRestProbe(url: string, token: string, retentionMs: number): Probe {
  return {
    what: `Redis over REST ${url}`,
    next: "start millrace redis-rest there, or correct UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN",
    async run() {
      await using redis = connectRedisRest({ url, token, logger: silent });
      try {
        // What every read and append is: a token that may only read is let in, and may run none.
        await redis.script("return 1", [], []);
      } catch (error) {
        if (!(error instanceof Error && /NOPERM/.test(error.message))) throw error;
        return {
          fault: error.message,
          next: "put the token that may write into UPSTASH_REDIS_REST_TOKEN: reading the log runs scripts",
        };
      }
      // Hosted ones say less of themselves.
      const looked = await look(redis).catch(() => undefined);
      if (looked === undefined) return "answers, and runs scripts";
      const [first, ...more] = judge(looked, retentionMs);
      return [
        typeof first === "string" ? first.replace(/^answers/, "answers, and runs scripts") : first,
        ...more,
      ];
    },
  };
}

interface Looked {
  /** A member of INFO; undefined: it does not say. */
  readonly info: (name: string) => string | undefined;
  /** When what was appended goes to disk: `always`, `everysec` or `no`; undefined: never, or it does not say. */
  readonly fsync: string | undefined;
  /** Its clock before ours. */
  readonly skewMs: number;
  readonly log: LogSize;
}

interface LogSize {
  /** Estimated from the largest company. */
  readonly bytes: number;
  /** Milliseconds since the oldest event of that company. */
  readonly spanMs: number;
  /** Whether a company holds all the events it may: then its log grows no more. */
  readonly isCapped: boolean;
}

async function look(redis: RedisConnection): Promise<Looked> {
  const text = String(await redis.command(["INFO"]));
  const info = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(text)?.[1];
  const askedMs = Date.now();
  const [seconds, micros] = (await redis.command(["TIME"])) as [string, string];
  const nowMs = Number(seconds) * 1000 + Number(micros) / 1000;
  // Half of the way there and back is not its fault.
  const skewMs = nowMs - (askedMs + Date.now()) / 2;
  return { info, fsync: await fsyncOf(redis, info), skewMs, log: await logSize(redis, nowMs) };
}

async function fsyncOf(redis: RedisConnection, info: Looked["info"]): Promise<string | undefined> {
  if (info("aof_enabled") !== "1") return undefined;
  try {
    const [, value] = (await redis.command(["CONFIG", "GET", "appendfsync"])) as [string?, string?];
    return value;
  } catch {
    // A user, a gateway or a service that may not ask.
    return undefined;
  }
}

async function logSize(redis: RedisConnection, nowMs: number): Promise<LogSize> {
  const companies = (await redis.command(["SMEMBERS", "millrace:companies"])) as readonly CompanyId[];
  const lengths = await redis.pipeline(companies.map((company) => ["XLEN", logKeys(company).events]));
  const events = lengths.map(Number);
  const most = Math.max(0, ...events);
  const nothing = { bytes: 0, spanMs: 0, isCapped: false };
  if (most === 0) return nothing;
  const { events: stream, seen } = logKeys(companies[events.indexOf(most)]!);
  try {
    const keys = [stream, ...seen];
    const [oldest, ...sizes] = await redis.pipeline([
      ["XRANGE", stream, "-", "+", "COUNT", "1"],
      ...keys.map((key) => ["MEMORY", "USAGE", key]),
    ]);
    const [[id]] = oldest as [[string]];
    const size = sizes.reduce<number>((sum, one) => sum + Number(one ?? 0), 0);
    const all = events.reduce((sum, count) => sum + count, 0);
    return {
      bytes: (size / most) * all,
      spanMs: nowMs - Number(id.split("-")[0]),
      isCapped: most >= MAX_LOG_EVENTS,
    };
  } catch (error) {
    // A user, or a service, that may not look.
    if (error instanceof MillraceError) throw error;
    return nothing;
  }
}

/** What is said of it: first that it is well, or not, then what else is to be known. */
function judge({ info, fsync, skewMs, log }: Looked, retentionMs: number): [Outcome, ...Outcome[]] {
  const version = info("redis_version") ?? "?";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const used = Number(info("used_memory") ?? 0);
  const most = Number(info("maxmemory") ?? 0);
  const faults: Outcome[] = [];
  const notes: Outcome[] = [];
  const fault = (text: string, next: string) => void faults.push({ fault: text, next });
  const note = (text: string) => void notes.push({ note: text });

  if (
    version !== "?" &&
    (major < LEAST_VERSION[0] || (major === LEAST_VERSION[0] && minor < LEAST_VERSION[1]))
  )
    fault(`is version ${version}, expected ${LEAST_VERSION.join(".")} or newer`, "upgrade it");
  if (info("role") === "slave")
    fault(
      "is a replica, which takes no events",
      "name the primary in the URL, or the address that follows it",
    );
  const policy = info("maxmemory_policy");
  if (policy !== undefined && policy !== "noeviction") {
    fault(
      `maxmemory-policy is ${policy}, which drops events unasked, expected noeviction`,
      "CONFIG SET maxmemory-policy noeviction, and in redis.conf",
    );
  }
  if (info("rdb_last_bgsave_status") === "err" || info("aof_last_write_status") === "err")
    fault(
      "cannot write to its disk",
      "look at its log: the disk may be full; until then it may refuse events",
    );
  if (most > 0 && used > 0.95 * most)
    fault(
      `${bytes(used)} of maxmemory ${bytes(most)} are used: at the limit events are refused, and wait at the brokers`,
      "raise maxmemory, or shorten REPLAY_RETENTION_MS",
    );
  else if (most > 0 && used > FULL * most)
    note(`${bytes(used)} of maxmemory ${bytes(most)} are used: raise it, or shorten REPLAY_RETENTION_MS`);

  const system = Number(info("total_system_memory") ?? 0);
  const [room, name] = most > 0 ? [most, "maxmemory"] : [system, "its machine"];
  const full = (log.bytes * retentionMs) / Math.max(log.spanMs, LEAST_SPAN_MS);
  const isGrowing = log.spanMs >= LEAST_SPAN_MS && log.spanMs < retentionMs && !log.isCapped;
  const later = used - log.bytes + full;
  if (faults.length === 0 && isGrowing && room > 0 && used <= FULL * room && later > FULL * room) {
    note(
      `at the rate of the last ${duration(log.spanMs)} it will hold ${bytes(later)} once REPLAY_RETENTION_MS (${duration(retentionMs)}) is full, and ${name} has ${bytes(room)}: give it more memory, or keep events for a shorter time`,
    );
  }
  if (info("aof_enabled") === "0")
    note("appendonly is off, so a crash of Redis loses events: CONFIG SET appendonly yes, and in redis.conf");
  if (fsync !== undefined && fsync !== "always")
    note(
      `appendfsync is ${fsync}, so a power cut takes what was acked ${fsync === "no" ? "lately" : "in the last second"}: CONFIG SET appendfsync always, and in redis.conf`,
    );
  if (Math.abs(skewMs) > MOST_SKEW_MS) {
    note(
      `its clock is ${duration(Math.abs(skewMs))} ${skewMs > 0 ? "ahead of" : "behind"} this machine's: set both by NTP, or tokens are refused, and days begin, at the wrong time`,
    );
  }
  const memory = used === 0 ? "" : `, ${bytes(used)}${most > 0 ? ` of ${bytes(most)}` : ""} used`;
  const kept = info("aof_enabled") === "1" ? ", appendonly" : "";
  return faults.length > 0
    ? ([...faults, ...notes] as [Outcome, ...Outcome[]])
    : [`answers, version ${version}${kept}${policy === undefined ? "" : `, ${policy}`}${memory}`, ...notes];
}
