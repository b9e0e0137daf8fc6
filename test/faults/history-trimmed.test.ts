/** The log is trimmed while a client sleeps. */
import { describe, expect, it } from "vitest";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { message, openFramedTcp } from "./lib/load.ts";
import { framedTcpSource, mintToken, startBridge, startBroker, startServe } from "./lib/millrace.ts";
import { openReader } from "./lib/reader.ts";

const noRedis = missing("redis-server");

interface History {
  readonly events: readonly { readonly cursor: string; readonly data: { readonly n: number } }[];
  readonly next: string;
}

describe("history trimmed under a sleeping client", { timeout: 60_000 }, () => {
  it("is told `expired` with what it asked for and where it goes on, then gets what was kept", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using producer = await openFramedTcp(broker.port);
    const env = { REDIS_URL: redis.url, REPLAY_RETENTION_MS: "3000" };
    await using serve = await startServe(env);
    // Of its own: while a company has a client, its instance has the newest events whatever the log has kept.
    await using other = await startServe(env);
    await using _bridge = await startBridge(redis.url, [framedTcpSource(broker.port)], env);
    const token = await mintToken("acme");
    const options = { urls: [serve.url], company: "acme", token };
    const oldest = async (): Promise<History> => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch(`${serve.url}/stream/history?companyId=acme&limit=1`, { headers });
      return (await answer.json()) as History;
    };
    using sleeping = openReader(options);
    using awake = openReader({ ...options, urls: [other.url] });
    await Promise.all([sleeping.opened(), awake.opened()]);
    let last = 300;
    await producer.send(upTo(last).map((n) => message("acme", n)));
    await expectAll(sleeping, upTo(last));
    sleeping.sleep();
    const held = sleeping.lastEventId!;

    // Redis trims whole nodes, when something is appended.
    const kept = await waitFor(
      "the log to be trimmed behind the client",
      async () => {
        await producer.send(upTo(last + 100, last + 1).map((n) => message("acme", n)));
        last += 100;
        // All of it is in the log: nothing more is trimmed behind our back.
        await expectAll(awake, upTo(last));
        const [first] = (await oldest()).events;
        return first !== undefined && first.data.n > 301 ? first : undefined;
      },
      { everyMs: 100 },
    );
    sleeping.wake();
    // Nothing was trimmed in between, and what follows the gap is the oldest there is: or the comparison fails.
    await expectAll(sleeping, upTo(last, kept.data.n), { from: 300 });
    expect(sleeping.gaps).toEqual([
      { reason: "expired", requested: held, resumedAt: kept.cursor, after: 300 },
    ]);
    // Told once.
    sleeping.drop();
    await producer.send(upTo(last + 50, last + 1).map((n) => message("acme", n)));
    last += 50;
    await expectAll(sleeping, upTo(last, kept.data.n), { from: 300 });
    expect(sleeping.gaps).toHaveLength(1);

    // Everything is gone: the client goes on at the end of the log, and hears that from `resumedAt`.
    sleeping.sleep();
    const tip = sleeping.lastEventId!;
    const seen = sleeping.events.length;
    await producer.send(upTo(last + 10, last + 1).map((n) => message("acme", n)));
    last += 10;
    await expectAll(awake, upTo(last));
    await waitFor("the last event to expire", async () => (await oldest()).events.length === 0);
    sleeping.wake();
    await waitFor("the second gap", () => sleeping.gaps.length === 2);
    expect(sleeping.gaps[1]).toEqual({
      ...{ reason: "expired", requested: tip, resumedAt: awake.lastEventId, after: seen },
    });
    await producer.send(upTo(last + 10, last + 1).map((n) => message("acme", n)));
    await expectAll(sleeping, upTo(last + 10, last + 1), { from: seen });
    expect(awake.gaps).toEqual([]);
  });
});
