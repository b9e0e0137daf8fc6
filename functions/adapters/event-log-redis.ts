/**
 * EventLog on Redis: a stream a company, every append, read and count one atomic script (core/redis-log-scripts.ts). As durable as
 * Redis is set to be (`appendonly yes`), and only where Redis evicts nothing (`maxmemory-policy noeviction`).
 */

import { type Cursor, newEpoch } from "../core/cursor.ts";
import { type MillraceEvent, recordType } from "../core/event.ts";
import { follow } from "../core/follow.ts";
import type { CompanyId } from "../core/ids.ts";
import {
  LOOK_BACK_EVENTS,
  MAX_APPEND_CHARS,
  MAX_APPEND_EVENTS,
  MAX_COUNTED_TYPES,
  MAX_LOG_EVENTS,
  PAGE_EVENTS,
  WAKE_UP_BYTES,
} from "../core/limits.ts";
import { localDayStarts } from "../core/local-day.ts";
import type { LogEntry } from "../core/log-entry.ts";
import type { Logger } from "../core/logger.ts";
import {
  createWakeUpReader,
  encodeBatch,
  encodeLatest,
  encodeRead,
  logKeys,
  parseAppendReply,
  parseLatestReply,
  parseReadReply,
  parseTalliesReply,
  parseTip,
} from "../core/redis-log-codec.ts";
import { LATEST_SCRIPT, READ_SCRIPT, TALLIES_SCRIPT } from "../core/redis-log-queries.ts";
import { APPEND_SCRIPT } from "../core/redis-log-scripts.ts";
import type { Appended, EventLog } from "../ports/event-log.ts";
import type { RedisConnection } from "../ports/redis-connection.ts";

/** Set of the companies that have a log, or had one. */
const COMPANIES = "millrace:companies";

export interface RedisLogOptions {
  /** Stays the caller's to dispose, after the log. */
  readonly redis: RedisConnection;
  /** Milliseconds events and the memory of duplicates are kept. */
  readonly retentionMs: number;
  /** IANA name; says where a day of the tallies begins. */
  readonly timeZone: string;
  readonly logger: Logger;
  /** Events kept a company, whatever their age; some more until Redis frees a whole node. Default MAX_LOG_EVENTS. */
  readonly maxEvents?: number;
}

/** The event log of one process on a Redis that others may share. */
export function createRedisLog(options: RedisLogOptions): EventLog {
  const { redis, retentionMs, timeZone, logger, maxEvents = MAX_LOG_EVENTS } = options;
  const disposed = new AbortController();
  /** Companies this process has put into the set. */
  const listed = new Set<CompanyId>();
  const dayStarts = () => localDayStarts(Date.now(), timeZone).map(String);

  /** At most MAX_APPEND_EVENTS events of one company, and MAX_APPEND_CHARS. */
  const appendChunk = async (company: CompanyId, events: readonly MillraceEvent[]) => {
    const { events: entries, meta, seen, total, today, minutes, seconds, wake } = logKeys(company);
    const list = () => redis.command(["SADD", COMPANIES, company]);
    // Listed before it has entries: what is listed may be empty, but nothing may be missing.
    const listing = listed.has(company) ? undefined : list();
    const [reply] = await Promise.all([
      redis.script(
        APPEND_SCRIPT,
        [entries, meta, ...seen, total, today, ...minutes, ...seconds],
        [
          ...[wake, newEpoch(), String(retentionMs), String(maxEvents), String(WAKE_UP_BYTES)],
          ...[String(MAX_COUNTED_TYPES), ...dayStarts(), ...encodeBatch(events)],
        ],
      ),
      listing,
    ]);
    const { isNewLog, appended } = parseAppendReply(reply, events.length);
    // A log made anew after this process had listed it: the set was lost with it. Forgotten first: were this to fail, the next append
    // finds the log made, and lists.
    if (isNewLog && listed.delete(company)) await list();
    listed.add(company);
    return appended;
  };

  const read = async (company: CompanyId, after: Cursor, limit: number) => {
    const { events, meta } = logKeys(company);
    return parseReadReply(await redis.script(READ_SCRIPT, [events, meta], encodeRead(after, limit)), after);
  };

  const latest: EventLog["latest"] = async (company, types, limit) => {
    const { events, meta } = logKeys(company);
    const wanted = new Map(Array.from(types, (type) => [type, limit]));
    const found: LogEntry[] = [];
    let before: string | undefined = "+";
    // Step by step, so that Redis does other things in between. What is appended meanwhile comes before the first step.
    for (let left = LOOK_BACK_EVENTS; left > 0 && before !== undefined; ) {
      const args = encodeLatest(before, Math.min(left, PAGE_EVENTS), wanted);
      const step = parseLatestReply(await redis.script(LATEST_SCRIPT, [events, meta], args));
      for (const entry of step.entries) {
        found.push(entry);
        const type = recordType(entry.record);
        wanted.set(type, wanted.get(type)! - 1);
      }
      before = step.before;
      left -= step.looked;
    }
    return found.reverse();
  };

  return {
    async append(events) {
      const places = Map.groupBy(events.keys(), (at) => events[at]!.companyId);
      const results: Appended[] = new Array(events.length);
      const appendOf = async (company: CompanyId, of: readonly number[]) => {
        // One after the other: had the first failed and the second not, trying again would change their order.
        for (let from = 0, to = 0; from < of.length; from = to) {
          to = endOfChunk(events, of, from);
          const chunk = of.slice(from, to);
          const appended = await appendChunk(
            company,
            chunk.map((at) => events[at]!),
          );
          for (const [index, at] of chunk.entries()) results[at] = appended[index]!;
        }
      };
      await Promise.all(Array.from(places, ([company, of]) => appendOf(company, of)));
      return results;
    },
    async tip(company) {
      return parseTip(await redis.command(["HMGET", logKeys(company).meta, "epoch", "ms", "seq"]));
    },
    read,
    tail(company, after, signal) {
      return follow({
        read: (cursor) => read(company, cursor, PAGE_EVENTS),
        subscribe: (wake) => redis.subscribe(logKeys(company).wake, createWakeUpReader(wake)),
        after,
        signal: AbortSignal.any([signal, disposed.signal]),
        logger,
      });
    },
    async tallies(company) {
      const { meta, total, today, minutes, seconds } = logKeys(company);
      return parseTalliesReply(
        await redis.script(TALLIES_SCRIPT, [meta, total, today, ...minutes, ...seconds], dayStarts()),
      );
    },
    latest,
    async companies() {
      return (await redis.command(["SMEMBERS", COMPANIES])) as readonly CompanyId[];
    },
    async stats() {
      const companies = (await redis.command(["SMEMBERS", COMPANIES])) as readonly CompanyId[];
      const lengths = await redis.pipeline(companies.map((company) => ["XLEN", logKeys(company).events]));
      const kept = companies
        .map((company, at) => [company, Number(lengths[at])] as const)
        .filter(([, events]) => events > 0);
      return {
        companies: kept.length,
        totalEvents: kept.reduce((sum, [, events]) => sum + events, 0),
        eventsByCompany: Object.fromEntries(kept),
      };
    },
    async ping() {
      // What every read needs, and a token that may only read has not.
      await redis.script("return 1", [], []);
    },
    async [Symbol.asyncDispose]() {
      disposed.abort();
    },
  };
}

/** Behind the last of the places from `from` on that one script takes: one at least. */
function endOfChunk(events: readonly MillraceEvent[], of: readonly number[], from: number): number {
  const most = Math.min(of.length, from + MAX_APPEND_EVENTS);
  let to = from;
  for (let chars = 0; to < most; to++) {
    chars += events[of[to]!]!.data.length;
    if (to > from && chars > MAX_APPEND_CHARS) break;
  }
  return to;
}
