/** The whole bridge on IBM MQ, with what goes wrong: sent against log, every id once, in the order of the queue. */
import { describe, expect, it, onTestFinished } from "vitest";
import { runSource } from "../../bridge/run.ts";
import { createSourceMonitor } from "../../bridge/source-monitor.ts";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import { GENESIS } from "../../functions/core/cursor.ts";
import { recordData } from "../../functions/core/event.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { startBridge } from "../faults/lib/millrace.ts";
import { silent } from "../support/logger.ts";
import { BRIDGE, missingStandIn, type StandIn } from "../support/mq/stand-in.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { startStandInForSources } from "./ibm-mq-peer.ts";
import { connectionsOf, openSource } from "./ibm-mq-reader.ts";
import { createMemoryDeadLetters, createMemoryLog, createMemoryTelemetry } from "./memory-log.ts";

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

/** Puts messages with rising numbers to the application's queue until it is stopped; what is refused because nobody listens is put again. */
function startPuts(standIn: StandIn, perTurn = 20, bodyOf = (n: number) => `{"companyId":"acme","n":${n}}`) {
  let isOver = false;
  let sent = 0;
  const done = (async () => {
    while (!isOver) {
      const bodies = Array.from({ length: perTurn }, (_, i) => bodyOf(sent + i));
      // Whole or not at all: a control request is one turn of the stand-in.
      const isPut = await standIn.put("APP.TXN.IN", ...bodies).then(
        () => true,
        () => false,
      );
      if (isPut) sent += perTurn;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  return {
    sent: () => sent,
    async stop() {
      isOver = true;
      await done;
      return sent;
    },
  };
}

async function startAll() {
  const stack = new AsyncDisposableStack();
  onTestFinished(() => stack.disposeAsync());
  const standIn = stack.use(await startStandInForSources());
  const redis = stack.use(await startRedis());
  const connection = stack.use(await connectRedis(redis.url, silent));
  const log = stack.use(
    createRedisLog({ redis: connection, retentionMs: 3_600_000, timeZone: "UTC", logger: silent }),
  );
  /** Numbers in the log, in its order. */
  const stored = async () => {
    const numbers: number[] = [];
    for (let after = GENESIS; ; ) {
      const page = await log.read(parseCompanyId("acme"), after, 500);
      if (page.kind !== "events") throw new Error(page.kind);
      if (page.entries.length === 0) return numbers;
      numbers.push(...page.entries.map(({ record }) => JSON.parse(recordData(record)).n));
      after = page.entries.at(-1)!.cursor;
    }
  };
  const env = {
    ...standIn.env,
    ...{ MQ_HOST: standIn.host, MQ_PORT: String(standIn.port), MQ_QMGR: "QM1" },
    ...{ MQ_CHANNEL: BRIDGE.channel, MQ_USER: BRIDGE.user, MQ_PASSWORD: BRIDGE.password },
  };
  const startOne = async () =>
    stack.use(await startBridge(redis.url, [{ name: "audit.txn", kind: "ibm-mq", queue: "AUDIT.TXN" }], env));
  return { standIn, redis, stored, startOne };
}

/** A source of this process into a log in memory, run as the bridge runs it. */
function runInMemory(standIn: StandIn) {
  const log = createMemoryLog();
  const deadLetters = createMemoryDeadLetters();
  const monitor = createSourceMonitor("audit.txn", "ibm-mq", silent);
  const { source } = openSource(standIn, "AUDIT.TXN", { batchMessages: 50, events: monitor });
  const stop = new AbortController();
  const backoff = { baseMs: 5, maxMs: 50 };
  const done = runSource(
    source,
    { log, telemetry: createMemoryTelemetry(), deadLetters, monitor, backoff },
    stop.signal,
  );
  onTestFinished(async () => {
    stop.abort();
    await done;
  });
  const close = async () => {
    stop.abort();
    await done;
  };
  return { log, deadLetters, stats: monitor.stats, close };
}

const expectedIds = async (standIn: StandIn) =>
  (await standIn.messages("APP.TXN.IN")).map(({ msgId }) => msgId);

describe("IBM MQ into the log", { timeout: 120_000 }, () => {
  const why = missingStandIn() ?? missing("redis-server");

  it("kill -9 of the bridge ten times under load: everything once, in order, nothing on the backout queue", async (context) => {
    if (why) context.skip(why);
    const { standIn, stored, startOne } = await startAll();
    const bridge = await startOne();
    const puts = startPuts(standIn);
    for (let kill = 0; kill < 10; kill++) {
      const before = (await stored()).length;
      await waitFor("events to flow", async () => (await stored()).length > before + 40);
      await bridge.kill();
      bridge.start();
      await bridge.connected();
    }
    const sent = await puts.stop();
    await waitFor("the rest", async () => (await stored()).length >= sent);
    expect(await stored()).toEqual(upTo(sent));
    await waitFor("the last commit", async () => (await standIn.messages("AUDIT.TXN")).length === 0);
    expect(await standIn.messages("AUDIT.TXN.BACKOUT")).toEqual([]);
  });

  it("kill -9 of the bridge: the process of its source ends, and gives back what it held", async (context) => {
    if (why) context.skip(why);
    const { standIn, redis, startOne } = await startAll();
    const bridge = await startOne();
    await redis.kill();
    await standIn.put("APP.TXN.IN", ...upTo(30).map((n) => `{"companyId":"acme","n":${n}}`));
    await waitFor("the bridge to hold them", async () => {
      return (await standIn.messages("AUDIT.TXN")).filter(({ isHidden }) => isHidden).length === 30;
    });
    await bridge.kill();
    await waitFor("the process to end", async () => (await connectionsOf(standIn, "AUDIT.TXN")) === 0);
    const left = await standIn.messages("AUDIT.TXN");
    expect(left.map(({ isHidden, backoutCount }) => `${isHidden} ${backoutCount}`)).toEqual(
      upTo(30).map(() => "false 1"),
    );
  });

  it("Redis away: nothing more than a batch is taken, and it goes on by itself", async (context) => {
    if (why) context.skip(why);
    const { standIn, redis, stored, startOne } = await startAll();
    await startOne();
    await redis.kill();
    const count = 600;
    await standIn.put("APP.TXN.IN", ...upTo(count).map((n) => `{"companyId":"acme","n":${n}}`));
    await waitFor("a batch to be taken", async () => (await standIn.depth("AUDIT.TXN")) < count);
    expect(await standIn.depth("AUDIT.TXN")).toBeGreaterThanOrEqual(count - 200);
    await redis.restart();
    await waitFor("all of them", async () => (await stored().catch(() => [])).length === count);
    expect(await stored()).toEqual(upTo(count));
  });

  it("two bridges on the queue, one killed: everything once", async (context) => {
    if (why) context.skip(why);
    const { standIn, stored, startOne } = await startAll();
    const [one] = [await startOne(), await startOne()];
    const puts = startPuts(standIn);
    await waitFor("events to flow", async () => (await stored()).length > 100);
    await one!.kill();
    await waitFor("more of them", () => puts.sent() > 800);
    const sent = await puts.stop();
    await waitFor("the rest", async () => (await stored()).length >= sent);
    expect((await stored()).sort((a, b) => a - b)).toEqual(upTo(sent));
  });
});

describe("IBM MQ source under faults", { timeout: 120_000 }, () => {
  const why = missingStandIn();

  it("a connection cut at every step, again and again: everything once", async (context) => {
    if (why) context.skip(why);
    await using standIn = await startStandInForSources("ALTER QLOCAL(AUDIT.TXN) BOTHRESH(0)");
    const { log, stats, close } = runInMemory(standIn);
    const puts = startPuts(standIn);
    for (const action of ["break-before", "break-after"] as const) {
      for (const verb of ["MQCONNX", "MQOPEN", "MQINQ", "MQGET", "MQCMIT", "MQCLOSE", "MQDISC"] as const) {
        await standIn.inject({ verb, action });
        const before = stats.reconnects;
        // The steps of a connection are taken again only when it is lost.
        if (verb !== "MQGET" && verb !== "MQCMIT") await standIn.cut();
        await waitFor(`${verb} ${action}`, () => stats.reconnects > before && stats.state === "up");
      }
    }
    await puts.stop();
    await standIn.clearFaults();
    const ids = await expectedIds(standIn);
    await waitFor("all of them", () => log.ids.length >= ids.length);
    expect(log.ids.toSorted()).toEqual(ids.toSorted());
    expect(stats.deadLettered).toBe(0);
    await close();
    expect(await standIn.messages("AUDIT.TXN")).toEqual([]);
  });

  it("in doubt again and again: what comes twice is stored once", async (context) => {
    if (why) context.skip(why);
    await using standIn = await startStandInForSources();
    const { log, stats } = runInMemory(standIn);
    const puts = startPuts(standIn);
    for (const action of ["break-before", "break-after", "break-before", "break-after"] as const) {
      const before = stats.reconnects;
      await standIn.inject({ verb: "MQCMIT", action });
      await waitFor("the connection to be lost", () => stats.reconnects > before && stats.state === "up");
    }
    await puts.stop();
    const ids = await expectedIds(standIn);
    await waitFor("all of them", () => log.ids.length >= ids.length);
    expect(log.ids).toEqual(ids);
    expect(stats.duplicates).toBeGreaterThan(0);
    expect(await standIn.messages("AUDIT.TXN.BACKOUT")).toEqual([]);
  });

  it("kill -9 and restart of the queue manager: everything that was put, once, in order", async (context) => {
    if (why) context.skip(why);
    await using standIn = await startStandInForSources();
    const { log, stats } = runInMemory(standIn);
    for (let round = 0; round < 3; round++) {
      await standIn.put("APP.TXN.IN", ...upTo(200).map((n) => `{"companyId":"acme","n":${n}}`));
      await waitFor("some of them", () => log.ids.length > round * 200);
      await standIn.kill();
      await waitFor("the source to notice", () => stats.state === "down");
      await standIn.restart();
      await waitFor("the source to be back", () => stats.state === "up");
    }
    const ids = await expectedIds(standIn);
    await waitFor("all of them", () => log.ids.length >= ids.length);
    expect(ids).toHaveLength(600);
    expect(log.ids).toEqual(ids);
  });

  it("poison among good ones: dead letters, and the good ones once and in order", async (context) => {
    if (why) context.skip(why);
    await using standIn = await startStandInForSources();
    const { log, deadLetters, stats } = runInMemory(standIn);
    const bodyOf = (n: number) =>
      n % 7 === 3
        ? "not json"
        : n % 7 === 5
          ? '{"n":1}'
          : n % 7 === 6
            ? "\u0000\u0001"
            : `{"companyId":"acme","n":${n}}`;
    const puts = startPuts(standIn, 20, bodyOf);
    await waitFor("a few hundred", () => puts.sent() >= 400);
    const sent = await puts.stop();
    await waitFor("all of them", () => stats.received >= sent);
    await waitFor("all to be stored", () => log.ids.length + deadLetters.letters.length === sent);
    const ids = await expectedIds(standIn);
    expect(log.ids).toEqual(ids.filter((_, n) => ![3, 5, 6].includes(n % 7)));
    await waitFor("the commit", async () => (await standIn.messages("AUDIT.TXN")).length === 0);
  });

  it("a store that refuses for a while holds the batch, and a close gives it back", async (context) => {
    if (why) context.skip(why);
    await using standIn = await startStandInForSources();
    const { log, close } = runInMemory(standIn);
    log.before = () => {
      throw new Error("the log is away");
    };
    await standIn.put("APP.TXN.IN", ...upTo(120).map((n) => `{"companyId":"acme","n":${n}}`));
    await waitFor("tries", () => log.happened.length > 3);
    const hidden = async () =>
      (await standIn.messages("AUDIT.TXN")).filter(({ isHidden }) => isHidden).length;
    expect(await hidden()).toBe(50);
    await close();
    expect([await hidden(), await standIn.depth("AUDIT.TXN")]).toEqual([0, 120]);
    const again = runInMemory(standIn);
    await waitFor("all of them", () => again.log.ids.length === 120);
    expect(again.log.ids).toEqual(await expectedIds(standIn));
  });
});
