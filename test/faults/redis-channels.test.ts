/** Redis channels under faults: at most once, so what is lost must be what nobody was there for, and no more. */
import { createClient } from "redis";
import { describe, expect, it } from "vitest";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import { GENESIS } from "../../functions/core/cursor.ts";
import { recordData } from "../../functions/core/event.ts";
import { LOGS_COMPANY } from "../../functions/core/ids.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { silent } from "../support/logger.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { startBridge } from "./lib/millrace.ts";
import { deadLetters, startDurableRedis } from "./lib/redis.ts";

const noRedis = missing("redis-server");
/** The same name in every bridge: with the id it is what an event is known by. */
const source = (channels: readonly string[]) => ({
  ...{ name: "services", kind: "redis-pubsub", channels },
  // What is over it is left out, and said: not what is looked at here.
  maxLinesPerSecond: 100_000,
});

/** The numbers of the log lines that are stored, in the order of the log. */
async function stored(url: string): Promise<number[]> {
  await using redis = await connectRedis(url, silent);
  await using log = createRedisLog({ redis, retentionMs: 86_400_000, timeZone: "UTC", logger: silent });
  const numbers: number[] = [];
  for (let after = GENESIS, more = true; more; ) {
    const result = await log.read(LOGS_COMPANY, after, 500);
    if (result.kind !== "events") break;
    numbers.push(...result.entries.map(({ record }) => JSON.parse(recordData(record)).n as number));
    after = result.entries.at(-1)?.cursor ?? after;
    more = result.more;
  }
  return numbers;
}

/** Publishes a numbered line on both its channels every few milliseconds. */
async function startLoad(url: string) {
  const client = await createClient({ url }).connect();
  let n = 0;
  const publish = async () => {
    const body = JSON.stringify({
      ts: new Date().toISOString(),
      level: "info",
      service: "s",
      message: "m",
      n,
    });
    n++;
    await Promise.all(["logs:all", "logs:s"].map((channel) => client.publish(channel, body)));
  };
  const timer = setInterval(() => void publish(), 4);
  return {
    get sent() {
      return n;
    },
    stop() {
      clearInterval(timer);
      return n;
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      client.destroy();
    },
  };
}

const inOrder = (numbers: readonly number[]) => numbers.every((n, i) => i === 0 || n > numbers[i - 1]!);
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

describe("Redis channels", { timeout: 90_000 }, () => {
  it("a bridge killed with -9 ten times under load: what it was up for is there once, in order, and nothing else", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startDurableRedis();
    await using bridge = await startBridge(redis.url, [source(["logs:*"])]);
    using load = await startLoad(redis.url);
    for (let kill = 0; kill < 10; kill++) {
      const from = load.sent;
      const before = (await stored(redis.url)).length;
      await waitFor("lines to be stored", async () => (await stored(redis.url)).length > before + 30, {
        everyMs: 50,
      });
      await bridge.kill();
      await waitFor("lines to be published meanwhile", () => load.sent > from + 60);
      bridge.start();
      await bridge.connected();
    }
    const upFrom = load.sent;
    await waitFor("more lines", () => load.sent > upFrom + 100);
    const sent = load.stop();
    const all = await waitFor("the last line", async () => {
      const numbers = await stored(redis.url);
      return numbers.at(-1) === sent - 1 && numbers;
    });
    expect(inOrder(all)).toBe(true);
    expect(all.filter((n) => n >= upFrom)).toEqual(upTo(sent).slice(upFrom));
    expect(all.length).toBeLessThan(sent);
  });

  it("two bridges, one of them killed with -9 ten times under load: nothing is lost, nothing comes twice", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startDurableRedis();
    await using one = await startBridge(redis.url, [source(["logs:all"])]);
    await using two = await startBridge(redis.url, [source(["logs:*"])]);
    using load = await startLoad(redis.url);
    for (let kill = 0; kill < 10; kill++) {
      // Either in turn, the other one being there.
      const victim = kill % 2 ? one : two;
      const before = load.sent;
      await waitFor("lines to be published", () => load.sent > before + 30);
      await victim.kill();
      victim.start();
      await victim.connected();
    }
    const sent = load.stop();
    // Each bridge keeps the order of the channel. Between them there is none: one that has just come may be ahead of one that is late.
    await waitFor("every line", async () => (await stored(redis.url)).length >= sent);
    expect((await stored(redis.url)).toSorted((a, b) => a - b)).toEqual(upTo(sent));
  });

  it("Redis killed and started again, bad messages among good ones: the bridge goes on by itself, the bad ones are dead letters", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startDurableRedis();
    await using bridge = await startBridge(redis.url, [source(["logs:all"])]);
    // On these channels text that is no JSON is a line; what is none at all is bytes, and what says that it is somebody else's.
    const bad = ['{"n":-1,"companyId":"acme"}', Buffer.from([0xff, 0xfe]), '{"n":-1,"companyId":"globex"}'];
    for (let round = 0; round < 3; round++) {
      const client = await createClient({ url: redis.url }).connect();
      for (const [i, body] of bad.entries()) {
        await client.publish("logs:all", JSON.stringify({ n: 10 * round + i }));
        await client.publish("logs:all", body);
      }
      await waitFor("all of them", async () => {
        return (
          (await stored(redis.url)).length === 3 * (round + 1) &&
          (await deadLetters(redis.url)).length === 3 * (round + 1)
        );
      });
      client.destroy();
      if (round === 2) break;
      await redis.kill();
      await waitFor(
        "the bridge to notice",
        () => bridge.output().split('"Source is down').length > round + 1,
      );
      await redis.start();
      await bridge.connected(round + 2);
    }
    expect(await stored(redis.url)).toEqual([0, 1, 2, 10, 11, 12, 20, 21, 22]);
    const reasons = (await deadLetters(redis.url)).slice(0, 3).map(({ reason }) => reason);
    expect(reasons).toEqual([
      expect.stringContaining('"acme"'),
      expect.stringContaining("not UTF-8"),
      expect.stringContaining('"globex"'),
    ]);
  });
});
