/** The connection to the framed-TCP broker is cut in the middle of a frame. */
import { describe, expect, it } from "vitest";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { message, openFramedTcp } from "./lib/load.ts";
import { framedTcpSource, mintToken, startBridge, startBroker, startServe } from "./lib/millrace.ts";
import { startProxy } from "./lib/proxy.ts";
import { openReader } from "./lib/reader.ts";
import { deadLetters } from "./lib/redis.ts";

const noRedis = missing("redis-server");
/** Characters that make the frame of several reads. */
const PAD = 100_000;
const FRAME = 4 + message("acme", 1, PAD).body.length;
/** Bytes of the frame that get through: inside the length, with nothing but the length, inside the body, all but one. */
const CUTS = [1, 3, 4, 5, 5000, Math.floor(FRAME / 2), FRAME - 1];

describe("the connection to the framed-TCP broker, cut inside a frame", { timeout: 60_000 }, () => {
  it("between broker and bridge: the half message never appears, the bridge reconnects, the others are unharmed", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using proxy = await startProxy(broker.port, "down");
    await using producer = await openFramedTcp(broker.port);
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using _bridge = await startBridge(redis.url, [framedTcpSource(proxy.port)]);
    using reader = openReader({ urls: [serve.url], company: "acme", token: await mintToken("acme") });
    await reader.opened();
    const arriving: number[] = [];
    let n = 0;
    for (const bytes of CUTS) {
      const before = upTo(n + 5, n + 1);
      await producer.send(before.map((n) => message("acme", n, PAD)));
      arriving.push(...before);
      await expectAll(reader, arriving);
      const { connections } = proxy;
      const isCut = proxy.cutAfter(bytes);
      // The victim: of its frame the bridge gets so many bytes.
      await producer.send([message("acme", n + 6, PAD)]);
      await isCut;
      await waitFor("the bridge to be back", () => proxy.connections > connections);
      n += 6;
    }
    const after = upTo(n + 50, n + 1);
    await producer.send(after.map((n) => message("acme", n)));
    arriving.push(...after);
    await expectAll(reader, arriving);
    expect(await deadLetters(redis.url)).toEqual([]);
  });

  it("between producer and broker: the half message never appears, the producer is told, the others are unharmed", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using proxy = await startProxy(broker.port, "up");
    await using other = await openFramedTcp(broker.port);
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using _bridge = await startBridge(redis.url, [framedTcpSource(broker.port)]);
    using reader = openReader({ urls: [serve.url], company: "acme", token: await mintToken("acme") });
    await reader.opened();
    const arriving: number[] = [];
    let n = 0;
    for (const bytes of CUTS) {
      const producer = await openFramedTcp(proxy.port);
      const before = upTo(n + 5, n + 1);
      await producer.send(before.map((n) => message("acme", n, PAD)));
      arriving.push(...before);
      await expectAll(reader, arriving);
      const isCut = proxy.cutAfter(bytes);
      const victim = producer.send([message("acme", n + 6, PAD)]);
      await isCut;
      // Another producer of the same broker goes on as if nothing had been.
      await other.send([message("acme", n + 7)]);
      arriving.push(n + 7);
      await victim.catch(() => {});
      await waitFor("the producer to be told", () =>
        producer.send([message("acme", n + 6, PAD)]).then(
          () => false,
          () => true,
        ),
      );
      await expect(producer[Symbol.asyncDispose]()).rejects.toThrow("the connection is closed");
      n += 7;
    }
    await expectAll(reader, arriving);
    expect(await deadLetters(redis.url)).toEqual([]);
    expect(broker.output().match(/Broker lost a producer/g)).toHaveLength(CUTS.length);
    for (const bytes of CUTS) expect(broker.output()).toContain(`closed inside a frame, ${bytes} bytes`);
  });
});
