/** Clients that drop at random moments and resume, while events flow. */
import { describe, expect, it } from "vitest";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { openFramedTcp, startLoad } from "./lib/load.ts";
import { framedTcpSource, mintToken, startBridge, startBroker, startServe } from "./lib/millrace.ts";
import { createChance } from "./lib/random.ts";
import { openReaders } from "./lib/reader.ts";

const noRedis = missing("redis-server");
const CLIENTS = 100;
const RESUMES = 10;

describe("clients that drop and resume", { timeout: 60_000 }, () => {
  it("100 clients, 1,000 resumes: each sees every event once, in order", async (context) => {
    if (noRedis) context.skip(noRedis);
    const chance = createChance("clients dropping");
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using producer = await openFramedTcp(broker.port);
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using _bridge = await startBridge(redis.url, [framedTcpSource(broker.port)]);
    using readers = await openReaders(CLIENTS, {
      ...{ urls: [serve.url], company: "acme", token: await mintToken("acme") },
    });
    await using load = startLoad(producer, { company: "acme", perSecond: 300 });
    await Promise.all(
      readers.all.map(async (reader) => {
        for (let resume = 1; resume <= RESUMES; resume++) {
          // Often while a replay is under way, sometimes while a request is.
          await new Promise((resolve) => setTimeout(resolve, chance.whole(1, 400)));
          reader.drop();
          await waitFor("the stream to be back", () => reader.connections > resume);
        }
      }),
    );
    const last = await load.stop();
    for (const reader of readers.all) await expectAll(reader, upTo(last));
    const resumes = readers.all.reduce((sum, { connections }) => sum + connections - 1, 0);
    expect(resumes).toBe(CLIENTS * RESUMES);
    expect(readers.all.flatMap(({ gaps, notices }) => [...gaps, ...notices])).toEqual([]);
    await waitFor("the server to have let go of the rest", async () => {
      return (await serve.metric("millrace_connections")) === CLIENTS;
    });
    console.log(`${resumes} resumes of ${CLIENTS} clients over ${last} events`);
  });
});
