/** Clients that stop reading, and what they cost the others and the server. */
import { describe, expect, it } from "vitest";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { message, openFramedTcp, startLoad } from "./lib/load.ts";
import { framedTcpSource, mintToken, startBridge, startBroker, startServe } from "./lib/millrace.ts";
import { openReader, openReaders } from "./lib/reader.ts";

const noRedis = missing("redis-server");
const MIB = 1024 * 1024;

describe("clients that stop reading", { timeout: 90_000 }, () => {
  it("10 of 200: the 190 get everything meanwhile, memory stays bounded, the 10 read on and get everything in order", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using producer = await openFramedTcp(broker.port);
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using _bridge = await startBridge(redis.url, [framedTcpSource(broker.port)]);
    const options = { urls: [serve.url], company: "acme", token: await mintToken("acme") };
    const delays: number[] = [];
    using reading = await openReaders(190, {
      ...options,
      onEvent: (_, text) => delays.push(Date.now() - Number(/"at":(\d+)/.exec(text)![1])),
    });
    using stalled = await openReaders(10, options);

    // 4 KiB an event: 8 MiB a client, twice what the sockets on both sides take.
    await using load = startLoad(producer, { company: "acme", perSecond: 250, pad: 4096 });
    await waitFor("the start", () => reading.all.every(({ events }) => events.length > 100));
    const residentBefore = await serve.metric("process_resident_memory_bytes");
    for (const reader of stalled.all) reader.pause();
    let resident = residentBefore;
    await waitFor(
      "2,000 events",
      async () => {
        resident = Math.max(resident, await serve.metric("process_resident_memory_bytes"));
        return load.sent > 2000;
      },
      { timeoutMs: 40_000, everyMs: 50 },
    );
    const last = await load.stop();
    const stoppedMs = performance.now();
    for (const reader of reading.all) await expectAll(reader, upTo(last));
    const doneMs = performance.now() - stoppedMs;

    const delivered = await serve.metric("millrace_delivered_frames_total");
    // The server has kept the ten waiting: it was not the kernel alone.
    const heldBack = 200 * last - delivered;
    const growth = (resident - residentBefore) / MIB;
    delays.sort((a, b) => a - b);
    const p99 = delays[Math.floor(delays.length * 0.99)]!;
    console.log(
      `${last} events of 4 KiB: p99 ${p99} ms, all there ${Math.round(doneMs)} ms after the last; ` +
        `resident +${growth.toFixed(0)} MiB; ${heldBack} deliveries held back`,
    );
    expect(heldBack).toBeGreaterThan(10 * 400);
    // How promptly is the bench's to say; that the 190 have it all while the ten take nothing is said above.
    // A ring of 8 MiB, 4 pages of 1 MiB, 64 KiB a client, and what the garbage collector leaves lying about.
    expect(growth).toBeLessThan(96);

    for (const reader of stalled.all) reader.resume();
    for (const reader of stalled.all) await expectAll(reader, upTo(last));
    expect(await serve.metric("millrace_delivered_frames_total")).toBe(200 * last);
    expect(
      [...reading.all, ...stalled.all].filter(({ closes, gaps }) => closes > 0 || gaps.length > 0),
    ).toEqual([]);
  });

  it("one whose place in the ring is gone: reads on from the log, in order, without a gap", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using producer = await openFramedTcp(broker.port);
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using _bridge = await startBridge(redis.url, [framedTcpSource(broker.port)]);
    const options = { urls: [serve.url], company: "acme", token: await mintToken("acme") };
    using live = openReader(options);
    using slow = openReader(options);
    using asleep = openReader(options);
    for (const reader of [live, slow, asleep]) await reader.opened();
    const send = async (numbers: readonly number[]) => {
      for (let at = 0; at < numbers.length; at += 500) {
        await producer.send(numbers.slice(at, at + 500).map((n) => message("acme", n, 1024)));
      }
    };
    await send(upTo(100));
    for (const reader of [live, slow, asleep]) await expectAll(reader, upTo(100));
    slow.pause();
    asleep.sleep();
    // Three rings of 4,096 frames; a socket that is not read takes some 3,000 of these at most.
    const last = 12_500;
    await send(upTo(last, 101));
    await expectAll(live, upTo(last));
    expect(await serve.metric("millrace_page_reads_total")).toBe(0);

    slow.resume();
    asleep.wake();
    for (const reader of [slow, asleep]) await expectAll(reader, upTo(last));
    const reads = await serve.metric("millrace_page_reads_total");
    console.log(`${reads} pages read for two clients behind by up to ${last - 100} events`);
    expect(reads).toBeGreaterThan(10);
    expect([slow.gaps, asleep.gaps, slow.closes]).toEqual([[], [], 0]);
    // And live again.
    await send(upTo(last + 100, last + 1));
    for (const reader of [live, slow, asleep]) await expectAll(reader, upTo(last + 100));
  });
});
