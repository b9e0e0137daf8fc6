/** What the Redis adapter keeps in Redis and for how long: what the EventLog contract cannot see, or would have to wait hours for. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import { GENESIS } from "../../functions/core/cursor.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { CompanyId, EventType } from "../../functions/core/ids.ts";
import { WAKE_UP_BYTES } from "../../functions/core/limits.ts";
import { logKeys } from "../../functions/core/redis-log-codec.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import type { RedisConnection } from "../../functions/ports/redis-connection.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { event, events, idOf, ids, newCompany, readAll, readTail } from "../contracts/event-log-support.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const reason = missing("redis-server");

describe("createRedisLog", () => {
  let server: TestServer;
  let redis: RedisConnection;
  let log: EventLog;
  const open = (retentionMs: number) =>
    createRedisLog({ redis, retentionMs, timeZone: "Asia/Karachi", logger: silent });

  beforeAll(async () => {
    if (reason !== undefined) return;
    server = await startRedis();
    redis = await connectRedis(server.url, silent);
    log = open(3_600_000);
  });
  afterAll(async () => {
    await log?.[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
    await server?.[Symbol.asyncDispose]();
  });
  beforeEach((context) => {
    if (reason !== undefined) context.skip(reason);
  });

  const slotOf = async (company: CompanyId) =>
    String(await redis.command(["HGET", logKeys(company).meta, "slot"]));
  const fields = async (key: string) => Number(await redis.command(["HLEN", key]));
  /** Commands run inside, but those that ask. */
  const commandsRunBy = async (body: () => Promise<unknown>) => {
    await redis.command(["CONFIG", "RESETSTAT"]);
    await body();
    const text = String(await redis.command(["INFO", "commandstats"]));
    return Array.from(
      text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm),
      ([, name, calls]) => `${name} ${calls}`,
    )
      .filter((line) => !/^(config|info|ping)/.test(line))
      .sort();
  };

  it("keeps all of a company in one slot and lets only counts and position outlive its events", async () => {
    const company = newCompany("keys");
    await log.append(events(company, 0, 3));
    const keys = (await redis.command(["KEYS", `*${company}*`])) as string[];
    expect(keys.every((key) => key.startsWith(`millrace:{${company}}:`))).toBe(true);
    const lasting = [];
    for (const key of keys) if ((await redis.command(["PTTL", key])) === -1) lasting.push(key);
    const { meta, total, events: entries, seen } = logKeys(company);
    expect(lasting.sort()).toEqual([meta, total]);
    const ttl = async (key: string) => Number(await redis.command(["PTTL", key]));
    expect(await ttl(entries)).toBeLessThanOrEqual(3_600_000);
    expect(await ttl(seen[0])).toBeGreaterThan(3_600_000);
  });

  it("remembers no more than a bounded number of events, the newest", async () => {
    const company = newCompany("bounded");
    const { seen } = logKeys(company);
    const own = createRedisLog({
      ...{ redis, retentionMs: 3_600_000, timeZone: "Asia/Karachi", logger: silent, maxEvents: 100 },
    });
    for (let n = 0; n < 5000; n += 50) await own.append(events(company, n, n + 50));
    expect((await fields(seen[0])) + (await fields(seen[1]))).toBeLessThanOrEqual(2 * 450);
    expect((await own.append(events(company, 4600, 5000))).filter(({ isNew }) => isNew)).toEqual([]);
  });

  it("remembers an event over at least the retention through a change of windows, and not for ever", async () => {
    const company = newCompany("windows");
    const { seen } = logKeys(company);
    const retentionMs = 1000;
    const own = open(retentionMs);
    await own.append([event(company, "oldest")]);
    const startMs = Date.now();
    await waitFor("the middle of the window", () => Date.now() > startMs + retentionMs * 0.7);
    const [middle] = await own.append([event(company, "middle")]);
    const middleMs = Date.now();
    let next = 0;
    const change = async (to: string) =>
      waitFor("the next window", async () => {
        await own.append([event(company, `tick ${next++}`)]);
        return (await slotOf(company)) === to;
      });
    await change("1");
    const [again] = await own.append([event(company, "middle")]);
    // Unless the machine was so slow that it need not know any more.
    if (Date.now() < middleMs + retentionMs) expect(again).toEqual({ cursor: middle!.cursor, isNew: false });
    expect(await fields(seen[0])).toBeGreaterThanOrEqual(2);
    expect(await fields(seen[1])).toBeGreaterThanOrEqual(1);
    await change("0");
    expect(await fields(seen[0])).toBeLessThanOrEqual(2);
    expect(
      (await own.append([event(company, "oldest"), event(company, "middle")])).map((a) => a.isNew),
    ).toEqual([true, true]);
  });

  it("starts the day and the hours anew when they are over", async () => {
    const company = newCompany("rollover");
    const { meta } = logKeys(company);
    await log.append(events(company, 0, 5));
    await redis.command(["HSET", meta, "day", "1", "hour", "1"]);
    const before = await log.tallies(company);
    expect(before).toMatchObject({ total: { metric_updated: 5 }, today: {}, minutes: {} });
    await log.append(events(company, 5, 7));
    const { total, today, minutes } = await log.tallies(company);
    expect([total, today]).toEqual([{ metric_updated: 7 }, { metric_updated: 2 }]);
    expect(
      Object.values(minutes)
        .flat()
        .reduce((sum, count) => sum + count, 0),
    ).toBe(2);
    for (const key of [logKeys(company).today, ...logKeys(company).minutes, ...logKeys(company).seconds]) {
      expect(await redis.command(["PTTL", key])).not.toBe(-1);
    }
  });

  it("shows the span of seconds before while the span goes on, and goes on from a version that had none", async () => {
    const company = newCompany("spans");
    const { meta, seconds } = logKeys(company);
    await log.append([event(company, 0)]);
    const setSpan = (span: number) => redis.command(["HSET", meta, "span", String(span)]);
    const span = Number(await redis.command(["HGET", meta, "span"]));
    // As if it had been appended in the last second of the span before.
    await redis.pipeline([
      ["DEL", ...seconds],
      ["HSET", seconds[(span - 1) % 2]!, "15:metric_updated", "4"],
    ]);
    await setSpan(span - 1);
    const read = async () => {
      const { nowMs, seconds: series } = await log.tallies(company);
      const second = Math.floor(nowMs / 1000);
      if (Math.floor(second / 16) !== span) return undefined;
      return { ago: (second % 16) + 1, counts: (series as Record<string, number[]>).metric_updated };
    };
    const before = await read();
    if (before !== undefined) expect(before.counts?.[10 - before.ago]).toBe(before.ago > 10 ? undefined : 4);
    await setSpan(span - 2);
    expect((await log.tallies(company)).seconds).toEqual({});
    await redis.command(["HDEL", meta, "span"]);
    expect((await log.tallies(company)).seconds).toEqual({});
    await log.append([event(company, 1)]);
    const after = (await log.tallies(company)).seconds as Record<string, number[]>;
    expect(after.metric_updated!.reduce((sum, count) => sum + count, 0)).toBe(1);
  });

  it("looks for the newest of a type in steps, and stops where it has them", async () => {
    const company = newCompany("latest");
    const types = new Set(["rare" as EventType]);
    await log.append([...events(company, 0, 3000), event(company, "r", { type: "rare" })]);
    expect(await commandsRunBy(() => log.latest(company, types, 1))).toContain("xrevrange 1");
    const steps = await commandsRunBy(() => log.latest(company, types, 2));
    expect(steps).toContain("evalsha 4");
  });

  it("shows the hour before while the hour goes on", async () => {
    const company = newCompany("hours");
    const { meta, minutes } = logKeys(company);
    await log.append([event(company, 0)]);
    const hour = Number(await redis.command(["HGET", meta, "hour"]));
    // As if it had been appended the hour before, in its last minute.
    await redis.pipeline([
      ["DEL", ...minutes],
      ["HSET", meta, "hour", String(hour - 1)],
      ["HSET", minutes[(hour - 1) % 2]!, "59:metric_updated", "4"],
    ]);
    const { nowMs, minutes: series } = await log.tallies(company);
    const at = 58 - (Math.floor(nowMs / 60_000) % 60);
    const counted = (series as Record<string, number[]>).metric_updated;
    expect(counted?.[at]).toBe(at < 0 ? undefined : 4);
    await redis.command(["HSET", meta, "hour", String(hour - 2)]);
    expect((await log.tallies(company)).minutes).toEqual({});
    await redis.command(["HSET", meta, "hour", String(hour - 1)]);
    await log.append([event(company, 1)]);
    const after = (await log.tallies(company)).minutes as Record<string, number[]>;
    expect(after.metric_updated!.at(-1)).toBe(1);
    expect(after.metric_updated!.reduce((sum, count) => sum + count, 0)).toBe(at < 0 ? 1 : 5);
  });

  it("goes on in the last millisecond when the clock went back", async () => {
    const company = newCompany("clock");
    await log.append([event(company, 0)]);
    await redis.command(["HSET", logKeys(company).meta, "ms", "99999999999999", "seq", "7"]);
    const appended = await log.append(events(company, 1, 3));
    expect(appended.map(({ cursor }) => cursor.split(".")[1])).toEqual([
      "99999999999999-8",
      "99999999999999-9",
    ]);
  });

  it("makes a new log of a company whose meta is gone, without what is left of the old one", async () => {
    const company = newCompany("evicted");
    const [old] = await log.append(events(company, 0, 5));
    await redis.command(["DEL", logKeys(company).meta]);
    const appended = await log.append(events(company, 0, 2));
    expect(appended.every(({ isNew }) => isNew)).toBe(true);
    expect((await readAll(log, company)).map(idOf)).toEqual(ids(0, 2));
    expect((await log.tallies(company)).total).toEqual({ metric_updated: 2 });
    expect((await log.read(company, old!.cursor, 10)).kind).toBe("reset");
  });

  it("lists its companies once, and again after everything was lost", async () => {
    const company = newCompany("listed");
    const append = (id: number) => commandsRunBy(() => log.append([event(company, id)]));
    expect(await append(0)).toContain("sadd 1");
    expect((await append(1)).join()).not.toContain("sadd");
    await redis.command(["FLUSHALL"]);
    expect(await append(2)).toContain("sadd 1");
    expect(await log.stats()).toEqual({ companies: 1, totalEvents: 1, eventsByCompany: { [company]: 1 } });
  });

  it("lists a company although that failed when its log was made anew", async () => {
    const company = newCompany("listed");
    let isAway = false;
    const own = createRedisLog({
      ...{ retentionMs: 3_600_000, timeZone: "Asia/Karachi", logger: silent },
      // Over REST a script and a command are requests of their own: one may be answered and the other not.
      redis: {
        ...redis,
        command: async (args) => {
          if (isAway && args[0] === "SADD") throw new MillraceError("unavailable", "Redis is away");
          return redis.command(args);
        },
      },
    });
    await own.append([event(company, 0)]);
    await redis.command(["FLUSHALL"]);
    isAway = true;
    await expect(own.append([event(company, 1)])).rejects.toMatchObject({ code: "unavailable" });
    isAway = false;
    await own.append([event(company, 1)]);
    expect(await own.companies()).toEqual([company]);
  });

  it("tails without a command while nothing comes, and without a read while wake-ups come", async () => {
    const company = newCompany("idle");
    await log.append([event(company, 0)]);
    const readers = [readTail(log, company, GENESIS), readTail(log, company, GENESIS)];
    for (const reader of readers) await reader.has(1);
    expect(await redis.command(["PUBSUB", "NUMSUB", logKeys(company).wake])).toEqual([
      logKeys(company).wake,
      1,
    ]);
    const run = await commandsRunBy(async () => {
      await log.append(events(company, 1, 501));
      for (const reader of readers) await reader.has(501);
    });
    expect(run.join()).not.toMatch(/xrange|hgetall/);
    // A batch with a duplicate, and one too large to be carried.
    await log.append([...events(company, 500, 502)]);
    for (const reader of readers) await reader.has(502);
    const pad = "x".repeat(WAKE_UP_BYTES / 4);
    const large = Array.from({ length: 5 }, (_, n) =>
      event(company, 502 + n, { dataText: JSON.stringify({ pad }) }),
    );
    const reads = await commandsRunBy(async () => {
      await log.append(large);
      for (const reader of readers) await reader.has(507);
    });
    expect(reads.join()).toContain("xrange");
    for (const reader of readers) {
      await reader.stop();
      expect(reader.ids()).toEqual(ids(0, 507));
      expect(reader.gaps).toEqual([]);
    }
  });

  it("reads a page in a few steps, few or many records to the byte", async () => {
    const company = newCompany("steps");
    const sizes = [10, 100_000, 10, 10, 60_000];
    await log.append(
      Array.from({ length: 400 }, (_, n) =>
        event(company, n, { dataText: JSON.stringify({ pad: "x".repeat(sizes[n % sizes.length]!) }) }),
      ),
    );
    expect((await readAll(log, company)).map(idOf)).toEqual(ids(0, 400));
    const small = newCompany("steps");
    await log.append(events(small, 0, 500));
    const run = await commandsRunBy(() => log.read(small, GENESIS, 500));
    expect(run).toContain("xrange 2");
  });
});
