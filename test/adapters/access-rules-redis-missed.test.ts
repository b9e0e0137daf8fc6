/** Changes and renewals that could not be heard when they were announced: no SUBSCRIBE, a stream that was being opened again. */
import { describe, expect, it } from "vitest";
import { createRedisAccessRules } from "../../functions/adapters/access-rules-redis.ts";
import { connectRedisRest } from "../../functions/adapters/redis-connection-rest.ts";
import type { Renewal } from "../../functions/core/access-rule.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import { silent } from "../support/logger.ts";
import { startRestPeer } from "../support/rest-peer.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const noRedis = missing("redis-server");
const renewal = (connection: string): Renewal => ({
  kind: "renewed",
  connection,
  principal: {
    ...{ subject: "alice", companies: ["acme" as CompanyId], roles: [] },
    ...{ issuedAtMs: 1, expiresAtMs: 2 },
  },
});

describe.skipIf(noRedis)(`AccessRules on Redis${noRedis ? `: ${noRedis}` : ""}`, () => {
  /** Two instances, one of them over a peer that misbehaves. */
  const open = async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await startRedis());
    const peer = stack.use(await startRestPeer(server.url));
    const other = stack.use(await startRestPeer(server.url));
    const rulesOver = ({ url, token }: { url: string; token: string }) =>
      createRedisAccessRules({ redis: stack.use(connectRedisRest({ url, token, logger: silent })) });
    const [own, elsewhere] = [rulesOver(peer), rulesOver(other)];
    const heard: string[] = [];
    let restored = 0;
    const watch = () =>
      own.watch({
        changed: (news) => void heard.push(news.kind === "renewed" ? news.connection : news.kind),
        restored: () => void restored++,
      });
    const stopping = stack.move();
    return {
      ...{ peer, own, elsewhere, heard, watch, restored: () => restored },
      [Symbol.asyncDispose]: () => stopping.disposeAsync(),
    };
  };

  it("without SUBSCRIBE: every renewal is told once, and a change is asked for within 0.8 s", async () => {
    await using access = await open();
    access.peer.noSubscribe = 404;
    await access.elsewhere.announce(renewal("early"));
    const end = await access.watch();
    for (let n = 0; n < 5; n++) {
      await access.elsewhere.announce(renewal(`r${n}`));
      const sinceMs = performance.now();
      await waitFor("the renewal", () => access.heard.length === n + 1, { timeoutMs: 2_000 });
      expect(performance.now() - sinceMs).toBeLessThan(800);
    }
    const restored = access.restored();
    const sinceMs = performance.now();
    await waitFor("four more looks", () => access.restored() >= restored + 4);
    expect(performance.now() - sinceMs).toBeLessThan(4 * 800);
    expect(access.heard).toEqual(["r0", "r1", "r2", "r3", "r4"]);
    end();
  });

  it("a stream that was cut: a renewal and another one behind it are told once it is open again, each once", async () => {
    await using access = await open();
    const end = await access.watch();
    await access.elsewhere.announce(renewal("before"));
    await waitFor("the first", () => access.heard.length === 1);
    access.peer.answer = { status: 503, body: "{}" };
    access.peer.cut();
    await waitFor("no stream", () => access.peer.streams.length === 0);
    await access.elsewhere.announce(renewal("missed"));
    await access.elsewhere.announce(renewal("missed too"));
    access.peer.answer = undefined;
    await waitFor("the stream", () => access.peer.streams.length === 1);
    await access.elsewhere.announce(renewal("after"));
    await waitFor("all", () => access.heard.length >= 4);
    await access.elsewhere.announce(renewal("last"));
    await waitFor("the last", () => access.heard.includes("last"));
    expect([...access.heard].sort()).toEqual(["after", "before", "last", "missed", "missed too"]);
    end();
  });

  it("costs nothing while nothing is announced, and a script a renewal", async () => {
    await using access = await open();
    const end = await access.watch();
    const { commands } = access.peer;
    // The one look at what came before it.
    expect(commands.splice(0).map((line) => line.split(" ")[0])).toEqual(["XRANGE"]);
    for (const name of ["a", "b", "c"]) await access.own.announce(renewal(name));
    await waitFor("them", () => access.heard.length === 3);
    expect(commands.map((line) => line.split(" ")[0])).toEqual(["EVALSHA", "EVAL", "EVALSHA", "EVALSHA"]);
    end();
  });
});
