/** What stands between an edge handler and its Redis goes away: the REST gateway, its network, its Redis, its token. Nothing is lost. */
import { describe, expect, it } from "vitest";
import { startRedisRest as startGateway } from "../../bridge/redis-rest/gateway.ts";
import { GENESIS } from "../../functions/core/cursor.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { events, ids, newCompany, readTail } from "../contracts/event-log-support.ts";
import { recordingLogger, silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import {
  callsSince,
  REST_TOKEN,
  redisCalls,
  startRedisRest,
  startRedisRestProcess,
} from "../support/redis-rest.ts";
import { startRestPeer } from "../support/rest-peer.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { openResp, openRest } from "./lib/log.ts";
import { startProxy } from "./lib/proxy.ts";
import { startDurableRedis } from "./lib/redis.ts";

const reason = missing("redis-server");

/** Appends batches of up to five as a bridge does: again, until it is told that they are in. */
function startAppending(log: EventLog, company: CompanyId) {
  const stopping = new AbortController();
  let count = 0;
  let failures = 0;
  const run = async () => {
    while (!stopping.signal.aborted) {
      const batch = events(company, count, count + 1 + (count % 5));
      for (let done = false; !done; ) {
        try {
          await log.append(batch);
          done = true;
        } catch (error) {
          expect(error).toMatchObject({ code: "unavailable", retryable: true });
          failures++;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
      count += batch.length;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const ended = run();
  return {
    count: () => count,
    failures: () => failures,
    async stop() {
      stopping.abort();
      await ended;
      return count;
    },
  };
}

describe("a tail over REST", { timeout: 90_000 }, () => {
  it("gets everything once, in order, through a gateway that is killed and restarted under load", async (context) => {
    if (reason) context.skip(reason);
    await using redis = await startDurableRedis();
    await using gateway = await startRedisRestProcess(redis.url);
    const logger = recordingLogger();
    await using edge = openRest(gateway.url, { logger });
    await using bridge = await openResp(redis.url);
    const [beside, through] = [newCompany("beside"), newCompany("through")];
    const readers = [beside, through].flatMap((company) =>
      [1, 2].map(() => readTail(edge.log, company, GENESIS)),
    );
    const loads = [startAppending(bridge.log, beside), startAppending(edge.log, through)];
    const said = () => logger.lines.filter(({ message }) => message.includes("ake-ups over REST"));
    const losses = () => said().filter(({ level }) => level === "warn");
    for (let round = 0; round < 3; round++) {
      const before = readers.map(({ entries }) => entries.length);
      await waitFor("events to flow", () =>
        readers.every(({ entries }, at) => entries.length > before[at]! + 50),
      );
      if (round === 1) await gateway.stop();
      else await gateway.kill();
      const sent = loads[0]!.count();
      await waitFor("events to pile up", () => loads[0]!.count() > sent + 200);
      await waitFor("the loss to be said", () => losses().length === round + 1);
      await gateway.restart();
    }
    for (const [at, load] of loads.entries()) {
      const count = await load.stop();
      for (const reader of readers.slice(2 * at, 2 * at + 2)) {
        await reader.has(count);
        await reader.stop();
        expect(reader.ids()).toEqual(ids(0, count));
        expect(reader.gaps).toEqual([]);
      }
    }
    expect(loads[1]!.failures()).toBeGreaterThan(0);
    // Lost and back, three times, however many channels and tries.
    expect(losses().length).toBe(3);
    expect(said().filter(({ level }) => level === "info").length).toBe(3);
  });

  it("notices a network that has gone silent, and reads what it missed", async (context) => {
    if (reason) context.skip(reason);
    await using redis = await startDurableRedis();
    await using gateway = await startRedisRest(redis.url);
    await using proxy = await startProxy(gateway.port, "down");
    await using edge = openRest(`http://127.0.0.1:${proxy.port}`);
    await using bridge = await openResp(redis.url);
    const company = newCompany("silent");
    const reader = readTail(edge.log, company, GENESIS);
    await bridge.log.append(events(company, 0, 100));
    await reader.has(100);
    const before = await redisCalls(redis.url);
    // A first comment has come when this is over: nothing is asked of Redis but the gateway's PING, however long it lasts.
    const sinceMs = performance.now();
    await waitFor("some silence", () => performance.now() > sinceMs + 8_000);
    const { ping = 0, ...others } = callsSince(before, await redisCalls(redis.url));
    expect(others).toEqual({});
    expect(ping).toBeLessThanOrEqual(1 + (performance.now() - sinceMs) / 5_000);
    const connections = proxy.connections;
    proxy.hold("down");
    await bridge.log.append(events(company, 100, 200));
    await waitFor("the stream to be given up", () => proxy.connections > connections, { timeoutMs: 25_000 });
    expect(reader.entries.length).toBe(100);
    await proxy.cut();
    await reader.has(200);
    await bridge.log.append(events(company, 200, 300));
    await reader.has(300);
    await reader.stop();
    expect([reader.ids(), reader.gaps]).toEqual([ids(0, 300), []]);
  });

  it("waits for a Redis that is away behind the gateway, and goes on", async (context) => {
    if (reason) context.skip(reason);
    await using redis = await startDurableRedis();
    await using gateway = await startRedisRest(redis.url);
    await using edge = openRest(gateway.url);
    const company = newCompany("away");
    const reader = readTail(edge.log, company, GENESIS);
    const load = startAppending(edge.log, company);
    for (let round = 0; round < 2; round++) {
      const before = reader.entries.length;
      await waitFor("events to flow", () => reader.entries.length > before + 50);
      await redis.kill();
      await waitFor("a refusal", async () => {
        return edge.log.ping().then(
          () => false,
          (error: unknown) => (error as { code?: string }).code === "unavailable",
        );
      });
      const failures = load.failures();
      await waitFor("appends to fail", () => load.failures() > failures + 3);
      await redis.start();
    }
    const count = await load.stop();
    await reader.has(count);
    await reader.stop();
    expect([reader.ids(), reader.gaps]).toEqual([ids(0, count), []]);
  });

  it("outlives a token that is refused for a while", async (context) => {
    if (reason) context.skip(reason);
    await using redis = await startDurableRedis();
    const port = await freePort();
    const start = async (token: string) => {
      const gateway = await startGateway({
        ...{ redisUrl: redis.url, host: "127.0.0.1", port, token, logger: silent },
      });
      await gateway.whenUp(AbortSignal.timeout(15_000));
      return gateway;
    };
    const logger = recordingLogger();
    let gateway = await start(REST_TOKEN);
    await using edge = openRest(`http://127.0.0.1:${port}`, { logger });
    await using bridge = await openResp(redis.url);
    const company = newCompany("token");
    const reader = readTail(edge.log, company, GENESIS);
    await bridge.log.append(events(company, 0, 50));
    await reader.has(50);
    await gateway.close();
    gateway = await start("another-token-of-thirty-two-characters");
    // Whatever the reason, which is said once: the first try may come to the gateway that is about to stop, or while nobody listens.
    await waitFor("the loss to be said", () =>
      logger.lines.some(({ message }) => message.startsWith("Cannot get wake-ups over REST")),
    );
    await expect(edge.log.ping()).rejects.toMatchObject({ code: "unavailable" });
    await bridge.log.append(events(company, 50, 100));
    await gateway.close();
    gateway = await start(REST_TOKEN);
    await reader.has(100);
    await bridge.log.append(events(company, 100, 150));
    await reader.has(150);
    await reader.stop();
    await gateway.close();
    expect([reader.ids(), reader.gaps]).toEqual([ids(0, 150), []]);
    expect(JSON.stringify(logger.lines)).not.toContain(REST_TOKEN);
  });

  it("gets everything from streams that stall without a word, where the interface sends no comments", async (context) => {
    if (reason) context.skip(reason);
    await using redis = await startDurableRedis();
    await using peer = await startRestPeer(redis.url);
    await using edge = openRest(peer.url, { token: peer.token });
    await using bridge = await openResp(redis.url);
    const company = newCompany("stalled");
    const reader = readTail(edge.log, company, GENESIS);
    await bridge.log.append(events(company, 0, 50));
    await reader.has(50);
    peer.stall();
    const commands = peer.commands.length;
    await bridge.log.append(events(company, 50, 100));
    await reader.has(100);
    // The one look, however many events it found.
    expect(peer.commands.length - commands).toBe(1);
    await reader.stop();
    expect([reader.ids(), reader.gaps]).toEqual([ids(0, 100), []]);
    await waitFor("no stream", () => peer.streams.length === 0);
  });

  it("gets everything of more companies than the gateway has streams, those beyond at a read or so a second", async (context) => {
    if (reason) context.skip(reason);
    await using redis = await startDurableRedis();
    await using gateway = await startGateway({
      ...{
        redisUrl: redis.url,
        host: "127.0.0.1",
        port: 0,
        token: REST_TOKEN,
        logger: silent,
        maxStreams: 2,
      },
    });
    await gateway.whenUp(AbortSignal.timeout(15_000));
    const logger = recordingLogger();
    await using edge = openRest(gateway.url, { logger });
    const companies = ["a", "b", "c", "d"].map(newCompany);
    for (const company of companies) await edge.log.append(events(company, 0, 20));
    const readers = companies.map((company) => readTail(edge.log, company, GENESIS));
    for (const reader of readers) await reader.has(20);
    for (const company of companies) await edge.log.append(events(company, 20, 40));
    for (const reader of readers) await reader.has(40);
    // Whoever leaves makes room.
    await readers[0]!.stop();
    await readers[1]!.stop();
    await waitFor("streams for the others", async () => {
      const at = performance.now();
      // Counted before: it may be read while its append still waits for the answer.
      const count = readers[2]!.entries.length + 1;
      await edge.log.append(events(companies[2]!, 40, count));
      await readers[2]!.has(count);
      return performance.now() - at < 200;
    });
    for (const reader of readers.slice(2)) await reader.stop();
    for (const reader of readers) expect(reader.gaps).toEqual([]);
    expect(logger.lines.filter(({ level }) => level === "warn").length).toBe(1);
  });

  it("gets everything where there is no SUBSCRIBE, at a read or so a second", async (context) => {
    if (reason) context.skip(reason);
    await using redis = await startDurableRedis();
    await using peer = await startRestPeer(redis.url);
    peer.noSubscribe = 404;
    await using edge = openRest(peer.url, { token: peer.token });
    await using bridge = await openResp(redis.url);
    const company = newCompany("polled");
    const reader = readTail(edge.log, company, GENESIS);
    const load = startAppending(bridge.log, company);
    const startMs = performance.now();
    await reader.has(500);
    const count = await load.stop();
    await reader.has(count);
    const seconds = (performance.now() - startMs) / 1000;
    await reader.stop();
    expect([reader.ids(), reader.gaps]).toEqual([ids(0, count), []]);
    // Polls are 0.5 to 1.5 s apart; the first read, and the script sent once, come on top.
    expect(peer.commands.length).toBeLessThanOrEqual(2 * seconds + 3);
  });
});
