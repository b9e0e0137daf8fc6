/** What is in one company's log, read from the store itself: no hub, no stream, nothing that could hide a duplicate. */
import { expect } from "vitest";
import { createRedisLog } from "../../../functions/adapters/event-log-redis.ts";
import { connectRedisRest } from "../../../functions/adapters/redis-connection-rest.ts";
import { GENESIS } from "../../../functions/core/cursor.ts";
import type { CompanyId } from "../../../functions/core/ids.ts";
import type { Logger } from "../../../functions/core/logger.ts";
import type { Tallies } from "../../../functions/core/tallies.ts";
import type { EventLog } from "../../../functions/ports/event-log.ts";
import type { RedisConnection } from "../../../functions/ports/redis-connection.ts";
import { connectRedis } from "../../../functions/runtimes/node/redis-resp.ts";
import { silent } from "../../support/logger.ts";
import { REST_TOKEN } from "../../support/redis-rest.ts";
import { waitFor } from "../../support/wait.ts";
import { compare, few } from "./compare.ts";
import type { Received } from "./reader.ts";

export interface LoggedEvent extends Received {
  readonly type: string;
}

export interface LogView extends AsyncDisposable {
  /** Events so far, in order. Rejects while the store is away. */
  events(): Promise<readonly LoggedEvent[]>;
  tallies(): Promise<Tallies>;
}

interface LoggedRecord {
  readonly id: string;
  readonly type: string;
  readonly companyid: string;
  readonly data: { readonly companyId: string; readonly n: number };
}

export async function openLog(redisUrl: string, company: string): Promise<LogView> {
  const redis = await connectRedis(redisUrl, silent);
  const log = createRedisLog({ redis, retentionMs: 86_400_000, timeZone: "UTC", logger: silent });
  const seen: LoggedEvent[] = [];
  let cursor = GENESIS;
  const read = async () => {
    for (let more = true; more; ) {
      const result = await log.read(company as CompanyId, cursor, 1000);
      if (result.kind !== "events") throw new Error(`The log of ${company} is ${result.kind}`);
      for (const entry of result.entries) {
        const { id, type, companyid, data } = JSON.parse(entry.record) as LoggedRecord;
        if (companyid !== company || data.companyId !== company) throw new Error(`Not of ${company}: ${id}`);
        seen.push({ n: data.n, id, type, cursor: entry.cursor });
        cursor = entry.cursor;
      }
      more = result.more;
    }
    return seen;
  };
  // One after the other: two at once would read the same entries.
  let reading: Promise<readonly LoggedEvent[]> = Promise.resolve(seen);
  return {
    events() {
      reading = reading.catch(() => {}).then(read);
      return reading;
    },
    tallies: () => log.tallies(company as CompanyId),
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when so many more events are in the log than now. */
export async function flow(log: LogView, more: number): Promise<void> {
  const { length } = await waitFor("the store to answer", () => log.events());
  await reach(log, length + more);
}

/** Resolves when so many events are in the log. */
export async function reach(log: LogView, events: number): Promise<void> {
  const isReached = async () => (await log.events()).length >= events;
  await waitFor(`${events} events in the log`, isReached, { timeoutMs: 30_000 });
}

export interface ExpectOptions {
  /** False: whatever the order. */
  readonly isOrdered?: boolean;
  /** The id an event has in the log, by the number its producer gave it; undefined: any. */
  readonly idOf?: ((n: number) => string) | undefined;
  readonly timeoutMs?: number;
}

/** Waits until as many are in the log as were sent, then holds one against the other: everything once, in order, under its own id. */
export async function expectLogged(
  log: LogView,
  sent: readonly number[],
  { isOrdered = true, idOf: ids, timeoutMs = 30_000 }: ExpectOptions = {},
): Promise<void> {
  const isThere = async () => (await log.events()).length >= sent.length;
  await waitFor("everything to be in the log", isThere, { timeoutMs, everyMs: 25 }).catch(() => {});
  const { missing, twice, foreign, disorder, wrongIds, count } = compare(sent, await log.events(), ids);

  expect({
    count,
    missing: few(missing),
    twice: few(twice),
    foreign: few(foreign),
    disorder: isOrdered ? few(disorder) : [],
    wrongIds: ids ? few(wrongIds) : [],
  }).toEqual({ count: sent.length, missing: [], twice: [], foreign: [], disorder: [], wrongIds: [] });
}

export interface OpenedLog extends AsyncDisposable {
  readonly log: EventLog;
}

const OPTIONS = { retentionMs: 3_600_000, timeZone: "Asia/Karachi" };

/** The log of an edge handler, through a REST gateway. */
export function openRest(url: string, { token = REST_TOKEN, logger = silent as Logger } = {}): OpenedLog {
  return openOn(connectRedisRest({ url, token, logger }), logger);
}

/** The log of a bridge, or of a server on Node. */
export async function openResp(url: string): Promise<OpenedLog> {
  return openOn(await connectRedis(url, silent), silent);
}

function openOn(redis: RedisConnection, logger: Logger): OpenedLog {
  const log = createRedisLog({ redis, ...OPTIONS, logger });
  return {
    log,
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await redis[Symbol.asyncDispose]();
    },
  };
}
