/** `millrace serve` over REST, with the gateway between it and Redis killed and restarted under load. */
import { describe, expect, it } from "vitest";
import { startRedisRestProcess } from "../support/redis-rest.ts";
import { missing, startNats } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { addStream, openJetStream, startLoad } from "./lib/load.ts";
import { jetStreamSource, mintToken, startBridge, startServe } from "./lib/millrace.ts";
import { openReader, openReaders } from "./lib/reader.ts";
import { startDurableRedis } from "./lib/redis.ts";

const noServer = missing("redis-server") ?? missing("nats-server");

describe("millrace serve over REST", { timeout: 60_000 }, () => {
  it("serves every reader everything once, in order, while its gateway is killed and restarted", async (context) => {
    if (noServer) context.skip(noServer);
    await using redis = await startDurableRedis();
    await using nats = await startNats();
    await addStream(nats.url);
    await using producer = openJetStream(nats.url);
    await using gateway = await startRedisRestProcess(redis.url);
    await using serve = await startServe({
      ...{ UPSTASH_REDIS_REST_URL: gateway.url, UPSTASH_REDIS_REST_TOKEN: gateway.token },
    });
    await using _bridge = await startBridge(redis.url, [jetStreamSource(nats.url)]);
    const options = { urls: [serve.url], company: "acme", token: await mintToken("acme") };
    using readers = await openReaders(20, options);
    const [first] = readers.all;
    await using load = startLoad(producer, { company: "acme", perSecond: 300 });
    const isReady = async () => (await fetch(`${serve.url}/ready`)).status === 200;
    for (let kill = 0; kill < 3; kill++) {
      const before = first!.events.length;
      await waitFor("events to flow", () => first!.events.length > before + 100);
      await gateway.kill();
      // Every second time it stays away for a while, and readers come back to a server that cannot read its log.
      if (kill % 2 === 1) {
        await waitFor("the server not to be ready", async () => !(await isReady()));
        for (const reader of readers.all.slice(10)) reader.drop();
        const sent = load.sent;
        await waitFor("messages to pile up", () => load.sent > sent + 300);
      }
      await gateway.restart();
    }
    const last = await load.stop();
    for (const reader of readers.all) await expectAll(reader, upTo(last));
    expect(readers.all.map(({ closes, gaps }) => ({ closes, gaps }))).toEqual(
      readers.all.map(() => ({ closes: 0, gaps: [] })),
    );
    using late = openReader({ ...options, after: "0.0-0" });
    await expectAll(late, upTo(last));
    expect(await isReady()).toBe(true);
  });
});
