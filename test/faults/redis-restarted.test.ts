/** redis-server killed and started again, with its data and without. */
import { describe, expect, it } from "vitest";
import { missing, startNats, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { addStream, message, openFramedTcp, openJetStream, startLoad } from "./lib/load.ts";
import {
  framedTcpSource,
  jetStreamSource,
  mintToken,
  startBridge,
  startBroker,
  startServe,
} from "./lib/millrace.ts";
import { openReader, openReaders } from "./lib/reader.ts";
import { deadLetters, startDurableRedis } from "./lib/redis.ts";

const noRedis = missing("redis-server");
const noServer = noRedis ?? missing("nats-server");
const GENESIS = "0.0-0";

describe("redis-server, killed with -9 under load", { timeout: 60_000 }, () => {
  it("with its data: every reader gets everything once, in order, and nothing else was restarted", async (context) => {
    if (noServer) context.skip(noServer);
    await using redis = await startDurableRedis();
    await using nats = await startNats();
    await addStream(nats.url);
    await using producer = openJetStream(nats.url);
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using _bridge = await startBridge(redis.url, [jetStreamSource(nats.url)]);
    const options = { urls: [serve.url], company: "acme", token: await mintToken("acme") };
    using readers = await openReaders(20, options);
    const [first] = readers.all;
    await using load = startLoad(producer, { company: "acme", perSecond: 500 });
    const isReady = async () => (await fetch(`${serve.url}/ready`)).status === 200;
    for (let kill = 0; kill < 4; kill++) {
      const before = first!.events.length;
      await waitFor("events to flow", () => first!.events.length > before + 200);
      await redis.kill();
      // Every second time it stays away for a while, and readers come back to a server that has no log.
      if (kill % 2 === 1) {
        const sent = load.sent;
        await waitFor("the server not to be ready", async () => !(await isReady()));
        for (const reader of readers.all.slice(10)) reader.drop();
        await waitFor("messages to pile up", () => load.sent > sent + 300);
      }
      await redis.start();
    }
    const last = await load.stop();
    for (const reader of readers.all) await expectAll(reader, upTo(last));
    // Those that were not dropped have never been sent away.
    expect(readers.all.map(({ closes, gaps }) => ({ closes, gaps }))).toEqual(
      readers.all.map(() => ({ closes: 0, gaps: [] })),
    );
    using late = openReader({ ...options, after: GENESIS });
    await expectAll(late, upTo(last));
    expect(await isReady()).toBe(true);
  });

  it("without its data: readers are told `reset`, then get everything new", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using producer = await openFramedTcp(broker.port);
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using _bridge = await startBridge(redis.url, [framedTcpSource(broker.port)]);
    const options = { urls: [serve.url], company: "acme", token: await mintToken("acme") };
    using readers = await openReaders(10, options);
    const send = (numbers: readonly number[]) => producer.send(numbers.map((n) => message("acme", n)));
    await send(upTo(300));
    for (const reader of readers.all) await expectAll(reader, upTo(300));
    const old = readers.all[0]!.lastEventId!;
    const [awake, asleep] = [readers.all.slice(0, 5), readers.all.slice(5)];
    for (const reader of asleep) reader.sleep();

    await redis.restart({ wipe: true });
    // Those who are connected hear it at once, from a log that does not exist yet.
    for (const reader of awake) await waitFor("the gap", () => reader.gaps.length > 0);
    await send(upTo(600, 301));
    for (const reader of awake) await expectAll(reader, upTo(600, 301), { from: 300 });
    for (const reader of asleep) reader.wake();
    for (const reader of asleep) await expectAll(reader, upTo(600, 301), { from: 300 });
    const gap = { reason: "reset", requested: old, after: 300 };
    for (const { gaps } of awake) expect(gaps).toEqual([{ ...gap, resumedAt: GENESIS }]);
    for (const { gaps, events } of asleep) expect(gaps).toEqual([{ ...gap, resumedAt: events[300]!.cursor }]);
    expect(readers.all.map(({ closes }) => closes)).toEqual(readers.all.map(() => 0));
    // Once: behind the gap there is no gap.
    for (const reader of readers.all) reader.drop();
    await send(upTo(700, 601));
    for (const reader of readers.all) await expectAll(reader, upTo(700, 301), { from: 300 });
    expect(readers.all.map(({ gaps }) => gaps.length)).toEqual(readers.all.map(() => 1));
    expect(await deadLetters(redis.url)).toEqual([]);
  });
});
