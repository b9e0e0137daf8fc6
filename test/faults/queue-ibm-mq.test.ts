/** Faults of the IBM MQ source, on the stand-in queue manager. */
import { expect, it } from "vitest";
import { missingStandIn } from "../support/mq/stand-in.ts";
import { waitFor } from "../support/wait.ts";
import { compare, upTo } from "./lib/compare.ts";
import { type MqQueue, type MqQueues, startMqQueues } from "./lib/ibm-mq-queues.ts";
import { message, type Producer, startLoad } from "./lib/load.ts";
import { expectLogged, flow, openLog } from "./lib/log.ts";
import { startProxy } from "./lib/proxy.ts";
import { describeQueueFaults } from "./lib/queue-faults.ts";
import type { QueueFixture } from "./lib/queue-fixture.ts";

const PER_SECOND = 300;

describeQueueFaults({
  name: "IBM MQ",
  skip: missingStandIn(),
  ...{ perSecond: PER_SECOND, restarts: 4, maxMessageBytes: 1_300_000 },
  start: startMqQueues,
  more: addTests,
});

function addTests(fixture: QueueFixture<MqQueues>): void {
  /** Puts as an administrator: a fault of MQCMIT then meets the bridge alone. */
  const administrator = ({ sourceQueue }: MqQueue): Producer => ({
    send: (messages) => fixture.broker.standIn.put(sourceQueue, ...messages.map(({ body }) => body)),
    async [Symbol.asyncDispose]() {},
  });

  it("the commit in doubt, ten times under load: done or not done, and not answered", async () => {
    const { broker, redis, run } = fixture;
    const queue = await broker.open("in-doubt");
    await using bridge = await run(queue);
    await using log = await openLog(redis.url, queue.name);
    await using load = startLoad(administrator(queue), { company: queue.name, perSecond: PER_SECOND });
    for (let commit = 1; commit <= 13; commit++) {
      await flow(log, 60);
      // The last three were not done: they come again.
      await broker.standIn.inject({ verb: "MQCMIT", action: commit <= 10 ? "break-after" : "break-before" });
      await bridge.connected(1 + commit);
    }
    const last = await load.stop();
    await fixture.settled(queue, log, last, { idOf: undefined });
    expect((await bridge.counts()).duplicates).toBeGreaterThan(0);
    expect(bridge.output()).toContain("2009");
    expect(await broker.standIn.depth(queue.backoutQueue)).toBe(0);
  });

  it("backout threshold: a message that was in hand whenever the bridge died goes to the backout queue, the others to the log", async () => {
    const { broker, redis, run } = fixture;
    const { standIn } = broker;
    const queue = await broker.open("worn", { stream: "MAXDEPTH(5000) BOTHRESH(3)" });
    await using proxy = await startProxy(Number(new URL(redis.url).port), "up");
    await using bridge = await run(queue, { redisUrl: `redis://127.0.0.1:${proxy.port}` });
    await using log = await openLog(redis.url, queue.name);
    await using producer = queue.producer();
    const send = (first: number, last: number) =>
      producer.send(upTo(last, first).map((n) => message(queue.name, n)));
    await send(1, 20);
    await expectLogged(log, upTo(20), queue);
    proxy.hold("up");
    await send(21, 25);
    for (let kill = 1; kill <= 3; kill++) {
      await waitFor("a unit of work", async () => (await queue.held()).unacked > 0);
      await bridge.kill();
      await waitFor("it to be backed out", async () => (await queue.held()).unacked === 0);
      const [first] = await standIn.messages(queue.streamQueue);
      expect(first).toMatchObject({ backoutCount: kill, msgId: queue.idOf(21) });
      await proxy.cut();
      // Connected, and nothing got yet: it can still be kept from the store.
      if (kill < 3) await standIn.inject({ verb: "MQGET", action: "delay", ms: 4000 });
      bridge.start();
      await bridge.connected();
      if (kill < 3) proxy.hold("up");
    }
    await send(26, 40);
    const logged = upTo(40).filter((n) => n !== 21);
    await expectLogged(log, logged, queue);
    const moved = await standIn.messages(queue.backoutQueue);
    expect(moved.map(({ msgId, isHidden }) => ({ msgId, isHidden }))).toEqual([
      { msgId: queue.idOf(21), isHidden: false },
    ]);
    expect(JSON.parse(moved[0]!.body)).toMatchObject({ companyId: queue.name, n: 21 });
    expect(bridge.output()).toContain("went to the backout queue");
  });

  it("stream queue full, MUSTDUP: the producer is refused (2053) and waits, and what was put is in the log", async () => {
    const { broker, redis, run } = fixture;
    const { standIn } = broker;
    const queue = await broker.open("full-mustdup", { stream: "MAXDEPTH(100) BOTHRESH(5)" });
    await using bridge = await run(queue, { prefetch: 50 });
    await using log = await openLog(redis.url, queue.name);
    await using producer = queue.producer();
    await using load = startLoad(producer, { company: queue.name, perSecond: PER_SECOND });
    for (let outage = 0; outage < 2; outage++) {
      await flow(log, 100);
      await redis.kill();
      await waitFor("the stream queue to be full", async () => (await queue.held()).ready === 100);
      await expect(standIn.put(queue.sourceQueue, "{}")).rejects.toThrow("2053");
      const depth = await standIn.depth(queue.sourceQueue);
      await expect(standIn.put(queue.sourceQueue, "{}")).rejects.toThrow("2053");
      // Neither original nor copy.
      expect(await standIn.depth(queue.sourceQueue)).toBe(depth);
      await redis.start();
    }
    await flow(log, 100);
    const last = await load.stop();
    await fixture.settled(queue, log, last);
    expect(await standIn.depth(queue.sourceQueue)).toBe(last);
    expect((await bridge.counts()).reconnects).toBe(0);
  });

  it("stream queue full, BESTEF: the producer never waits, the gap is silent, and what was copied is in the log once", async () => {
    const { broker, redis, run } = fixture;
    const { standIn } = broker;
    const queue = await broker.open("full-bestef", {
      ...{ stream: "MAXDEPTH(100) BOTHRESH(5)", qos: "BESTEF" },
    });
    await using _bridge = await run(queue, { prefetch: 50 });
    await using log = await openLog(redis.url, queue.name);
    await using producer = queue.producer();
    await using load = startLoad(producer, { company: queue.name, perSecond: PER_SECOND });
    await flow(log, 100);
    const before = (await log.events()).length;
    await redis.kill();
    await waitFor("the stream queue to be full", async () => (await queue.held()).ready === 100);
    const full = load.sent;
    await waitFor("puts without copies", () => load.sent > full + 200);
    await redis.start();
    await flow(log, 250);
    const last = await load.stop();
    // One that certainly has a copy, behind all that may have none.
    await waitFor("room", async () => (await queue.held()).ready === 0);
    await producer.send([message(queue.name, last + 1)]);
    await waitFor("the last one", async () => (await log.events()).at(-1)?.n === last + 1);
    const { missing, ...found } = compare(upTo(last + 1), await log.events(), queue.idOf);
    expect(found).toEqual({
      ...{ count: last + 1 - missing.length, twice: [], foreign: [], disorder: [], wrongIds: [] },
    });
    expect(missing.length).toBeGreaterThanOrEqual(200);
    expect(missing[0]).toBeGreaterThan(before);
    expect(await standIn.depth(queue.sourceQueue)).toBe(last + 1);
    expect(await fixture.lettersOf(queue)).toEqual([]);
  });

  it("the queue manager quiesced and started again under load", async () => {
    const { broker, redis, run } = fixture;
    const queue = await broker.open("quiesced");
    await using bridge = await run(queue);
    await using log = await openLog(redis.url, queue.name);
    await using producer = queue.producer();
    await using load = startLoad(producer, { company: queue.name, perSecond: PER_SECOND });
    for (const [at, how] of (["quiescing", "stopping", "quiescing"] as const).entries()) {
      await flow(log, 100);
      await broker.standIn.quiesce(how);
      const isTold = () => bridge.output().split("Source is down").length > 1 + at;
      await waitFor("the source to be told", isTold);
      await broker.restart();
      await bridge.connected(2 + at);
    }
    const last = await load.stop();
    await fixture.settled(queue, log, last);
    expect(bridge.output()).toContain("2161");
    expect(await broker.standIn.depth(queue.backoutQueue)).toBe(0);
  });
}
