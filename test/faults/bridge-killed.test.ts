/** kill -9 of the bridge while messages flow from a broker without acks. Those with acks: queue-*.test.ts. */
import { describe, expect, it } from "vitest";
import { missing, startNats, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { compare, upTo } from "./lib/compare.ts";
import { openCoreNats, openFramedTcp, type Producer, startLoad } from "./lib/load.ts";
import {
  coreNatsSource,
  framedTcpSource,
  mintToken,
  startBridge,
  startBroker,
  startServe,
} from "./lib/millrace.ts";
import { openReader, type Reader } from "./lib/reader.ts";

const KILLS = 10;
const PER_SECOND = 1000;
const noRedis = missing("redis-server");
const noServer = noRedis ?? missing("nats-server");

/** What a kill may cost: messages after what had arrived before it, up to what had been sent when it was over. */
interface Outage {
  readonly after: number;
  readonly to: number;
}

/** Kills the bridge again and again while the producer sends. `over`: waits until a kill can cost no more. */
async function killUnderLoad(
  { redisUrl, source, producer }: { redisUrl: string; source: object; producer: Producer },
  { over }: { over?: () => Promise<unknown> },
  judge: (outcome: { reader: Reader; last: number; outages: readonly Outage[] }) => unknown,
): Promise<void> {
  await using serve = await startServe({ REDIS_URL: redisUrl });
  await using bridge = await startBridge(redisUrl, [source]);
  using reader = openReader({ urls: [serve.url], company: "acme", token: await mintToken("acme") });
  await reader.opened();
  await using load = startLoad(producer, { company: "acme", perSecond: PER_SECOND });
  const outages: Outage[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const before = reader.events.length;
    await waitFor("events to flow", () => reader.events.length > before + 300);
    const after = reader.events.at(-1)!.n;
    await bridge.kill();
    await over?.();
    const to = load.sent;
    bridge.start();
    await bridge.connected();
    outages.push({ after, to: over ? to : load.sent });
  }
  // Some that no kill concerns: where messages may be lost, the last one must not be.
  const sent = load.sent;
  await waitFor("the last messages", () => load.sent > sent + 200);
  const last = await load.stop();
  await judge({ reader, last, outages });
  expect(reader.closes).toBe(0);
}

/** At most once: what came is in order and came once, and what is missing is one run of messages a kill. */
async function expectLossInFlight(reader: Reader, last: number, outages: readonly Outage[]): Promise<void> {
  await waitFor("the last message", () => reader.events.at(-1)?.n === last);
  const { missing: lost, ...found } = compare(upTo(last), reader.events);
  expect({ ...found, problems: reader.problems }).toEqual({
    ...{ count: last - lost.length, twice: [], foreign: [], disorder: [], wrongIds: [], problems: [] },
  });
  const runs = lost.filter((n, index) => n !== lost[index - 1]! + 1).length;
  expect(runs).toBeLessThanOrEqual(outages.length);
  const unexplained = lost.filter((n) => !outages.some(({ after, to }) => n > after && n <= to));
  expect(unexplained).toEqual([]);
  console.log(`${lost.length} of ${last} lost in ${runs} runs, ${outages.length} kills`);
}

describe("bridge, killed with -9 under load", { timeout: 120_000 }, () => {
  it("framed TCP, queue: only what was in flight is lost; the broker keeps what comes while nobody reads", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using producer = await openFramedTcp(broker.port);
    await killUnderLoad(
      { redisUrl: redis.url, source: framedTcpSource(broker.port), producer },
      // The outage itself costs nothing: from when the broker has noticed it keeps what comes.
      {
        over: () =>
          waitFor("the broker to notice", async () => (await broker.stats()).consumers === 0, { everyMs: 5 }),
      },
      ({ reader, last, outages }) => expectLossInFlight(reader, last, outages),
    );
  });

  it("core NATS: what was published while the bridge was away and what was in flight is lost, and no more", async (context) => {
    if (noServer) context.skip(noServer);
    await using redis = await startRedis();
    await using nats = await startNats();
    await using producer = await openCoreNats(nats.url);
    await killUnderLoad(
      { redisUrl: redis.url, source: coreNatsSource(nats.url), producer },
      {},
      ({ reader, last, outages }) => expectLossInFlight(reader, last, outages),
    );
  });
});
