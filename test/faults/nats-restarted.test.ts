/** nats-server killed and started again while messages flow through a JetStream file store. */
import { describe, expect, it } from "vitest";
import { missing, startNats, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { addStream, openJetStream, startLoad } from "./lib/load.ts";
import { jetStreamSource, mintToken, startBridge, startServe } from "./lib/millrace.ts";
import { openReader } from "./lib/reader.ts";

const noServer = missing("redis-server") ?? missing("nats-server");

describe("nats-server, killed with -9 under load", { timeout: 60_000 }, () => {
  it("JetStream: nothing is lost, nothing comes twice, all in the order it was published", async (context) => {
    if (noServer) context.skip(noServer);
    await using redis = await startRedis();
    await using nats = await startNats();
    await addStream(nats.url);
    await using producer = openJetStream(nats.url);
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using bridge = await startBridge(redis.url, [jetStreamSource(nats.url)]);
    using reader = openReader({ urls: [serve.url], company: "acme", token: await mintToken("acme") });
    await reader.opened();
    await using load = startLoad(producer, { company: "acme", perSecond: 1000 });
    for (let restart = 1; restart <= 4; restart++) {
      const before = reader.events.length;
      await waitFor("events to flow", () => reader.events.length > before + 300);
      await nats.restart();
      await bridge.connected(1 + restart);
    }
    const last = await load.stop();
    await expectAll(reader, upTo(last));
    expect(reader.closes).toBe(0);
  });
});
