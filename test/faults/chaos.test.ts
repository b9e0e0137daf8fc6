/** Everything at once: what each of the other tests does, in an order that chance chose. */
import { describe, expect, it } from "vitest";
import { missing, startNats } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { addStream, openJetStream, startLoad } from "./lib/load.ts";
import { jetStreamSource, mintToken, startBridge, startServe } from "./lib/millrace.ts";
import { createChance } from "./lib/random.ts";
import { openReader, openReaders } from "./lib/reader.ts";
import { deadLetters, startDurableRedis } from "./lib/redis.ts";

const noServer = missing("redis-server") ?? missing("nats-server");
/** Milliseconds of faults. */
const CHAOS_MS = 20_000;

describe("chaos", { timeout: 120_000 }, () => {
  it("JetStream in, streams out: exactly once, in order, whatever is killed", async (context) => {
    if (noServer) context.skip(noServer);
    const chance = createChance("chaos");
    await using redis = await startDurableRedis();
    await using nats = await startNats();
    await addStream(nats.url);
    await using producer = openJetStream(nats.url);
    await using one = await startServe({ REDIS_URL: redis.url });
    await using two = await startServe({ REDIS_URL: redis.url });
    await using bridge = await startBridge(redis.url, [jetStreamSource(nats.url)]);
    const options = { urls: [one.url, two.url], company: "acme", token: await mintToken("acme") };
    using readers = await openReaders(20, options);
    await using load = startLoad(producer, { company: "acme", perSecond: 500 });

    const pause = () => new Promise((resolve) => setTimeout(resolve, chance.whole(0, 500)));
    const faults = {
      async bridge() {
        await bridge.kill();
        await pause();
        bridge.start();
      },
      async redis() {
        await redis.kill();
        await pause();
        await redis.start();
      },
      async nats() {
        await nats.kill();
        await pause();
        await nats.restart();
      },
      async clients() {
        for (const reader of readers.all) if (chance.next() < 0.5) reader.drop();
      },
    };
    const names = Object.keys(faults) as (keyof typeof faults)[];
    const done: string[] = [];
    const startMs = performance.now();
    while (performance.now() - startMs < CHAOS_MS) {
      // Two that fall together, or one.
      const chosen = new Set([chance.pick(names), chance.pick(names)]);
      done.push([...chosen].join("+"));
      await Promise.all([...chosen].map((name) => faults[name]()));
      const before = readers.all[0]!.events.length;
      // Sometimes the next one comes before anything has recovered.
      if (chance.next() < 0.3) await pause();
      else await waitFor("events to flow", () => readers.all[0]!.events.length > before + 50);
    }
    const last = await load.stop();
    console.log(`${last} messages through ${done.length} faults: ${done.join(" ")}`);
    for (const reader of readers.all) await expectAll(reader, upTo(last), { timeoutMs: 30_000 });
    expect(readers.all.flatMap(({ gaps }) => gaps)).toEqual([]);
    // Who comes while Redis is away is told to come again, because it cannot be known what was revoked. Nobody is sent away who is there.
    const mayBeRefused = done.some((fault) => fault.includes("redis"));
    for (const { notices, closes } of readers.all) {
      expect(notices.filter((notice) => !(mayBeRefused && notice === "busy"))).toEqual([]);
      expect(closes).toBeLessThanOrEqual(notices.length);
    }
    using late = openReader({ ...options, after: "0.0-0" });
    await expectAll(late, upTo(last));
    expect(await deadLetters(redis.url)).toEqual([]);
  });
});
