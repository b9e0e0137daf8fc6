/** One of two instances on one Redis is told to stop, while events flow. */
import { describe, expect, it } from "vitest";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { openFramedTcp, startLoad } from "./lib/load.ts";
import { framedTcpSource, mintToken, startBridge, startBroker, startServe } from "./lib/millrace.ts";
import { openReaders } from "./lib/reader.ts";

const noRedis = missing("redis-server");
const CLIENTS = 60;

describe("an instance stopped by SIGTERM under load", { timeout: 60_000 }, () => {
  it("its clients are told to come back and resume on the other one: nothing lost, nothing twice; /ready fails first", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using producer = await openFramedTcp(broker.port);
    const env = { REDIS_URL: redis.url, DRAIN_MS: "1500" };
    await using leaving = await startServe(env);
    await using staying = await startServe(env);
    await using _bridge = await startBridge(redis.url, [framedTcpSource(broker.port)]);
    const token = await mintToken("acme");
    const readyAtClose: Promise<number>[] = [];
    const closedAtMs: number[] = [];
    using readers = await openReaders(CLIENTS, {
      ...{ urls: [leaving.url, staying.url], company: "acme", token },
      onClose() {
        closedAtMs.push(performance.now());
        // The last ones leave with the process: then nobody answers.
        readyAtClose.push(
          fetch(`${leaving.url}/ready`).then(
            ({ status }) => status,
            () => 0,
          ),
        );
      },
    });
    await using load = startLoad(producer, { company: "acme", perSecond: 500 });
    await waitFor("events to flow", () => readers.all.every(({ events }) => events.length > 200));
    expect((await fetch(`${leaving.url}/ready`)).status).toBe(200);
    const told = readers.all.map(({ retries }) => retries.length);

    leaving.process.child.kill("SIGTERM");
    await waitFor("the first client to leave", () => closedAtMs.length > 0);
    // Who comes now is sent on by a stream that a browser comes back from.
    const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
    const refused = await fetch(`${leaving.url}/stream/updates?companyId=acme`, { headers });
    expect(refused.status).toBe(200);
    expect(await refused.text()).toMatch(/^retry: \d+\n\nevent: draining\ndata: /);
    await waitFor("the process to end", () => leaving.process.child.exitCode !== null);
    expect(leaving.process.child.exitCode).toBe(0);

    await waitFor("everyone to be back", () => readers.all.every(({ connections }) => connections > 1));
    const before = load.sent;
    await waitFor("more events", () => load.sent > before + 200);
    const last = await load.stop();
    for (const reader of readers.all) await expectAll(reader, upTo(last));
    for (const [index, { closes, gaps, notices, retries }] of readers.all.entries()) {
      expect({ closes, gaps, notices }).toEqual({ closes: 1, gaps: [], notices: [] });
      // One before the close, one when the other instance answered.
      expect(retries.length - told[index]!).toBe(2);
      expect(retries.at(-2)).toBeGreaterThanOrEqual(1500);
      expect(retries.at(-2)).toBeLessThanOrEqual(4500);
    }
    expect(new Set(readers.all.map(({ retries }) => retries.at(-2))).size).toBeGreaterThan(CLIENTS / 2);
    const statuses = await Promise.all(readyAtClose);
    expect(statuses[0]).toBe(503);
    expect(statuses).not.toContain(200);
    const spreadMs = Math.max(...closedAtMs) - Math.min(...closedAtMs);
    expect(spreadMs).toBeGreaterThan(1000);
    expect(await staying.metric("millrace_connections")).toBe(CLIENTS);
    console.log(`${CLIENTS} clients moved over ${Math.round(spreadMs)} ms, ${last} events each`);
  });
});
