/** What one client of the gateway cannot do to the others: scripts without end, replies without bottom, long pipelines. */
import { createClient } from "redis";
import { describe, expect, it } from "vitest";
import { startRedisRest as startGateway } from "../../bridge/redis-rest/gateway.ts";
import { silent } from "../support/logger.ts";
import { REST_TOKEN, startRedisRest } from "../support/redis-rest.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const noRedis = missing("redis-server");
const headers = { authorization: `Bearer ${REST_TOKEN}` };

async function post(
  url: string,
  body: unknown,
): Promise<{ status: number; body: { result?: unknown; error?: string } }> {
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as { result?: unknown } };
}

/** A script that takes a millisecond. */
const SLOW = `local from = redis.call('TIME')
while true do
  local now = redis.call('TIME')
  if (now[1] - from[1]) * 1000000 + now[2] - from[2] > 1000 then return 1 end
end`;

describe.skipIf(noRedis)(
  `one client of millrace redis-rest${noRedis ? `: ${noRedis}` : ""}`,
  { timeout: 60_000 },
  () => {
    it("whose reply is too deep to be read gets an error, and nobody else's command or stream is lost", async () => {
      await using redis = await startRedis();
      await using gateway = await startRedisRest(redis.url);
      const stream = await fetch(`${gateway.url}/subscribe/c`, { headers });
      const statuses = new Set<number>();
      let isOver = false;
      const others = (async () => {
        while (!isOver) statuses.add((await post(gateway.url, ["GET", "k"])).status);
      })();
      for (const depth of [100, 3_000, 7_000, 7_000, 7_000]) {
        const deep = `local t = {} for i = 1, ${depth} do t = {t} end return t`;
        const { status } = await post(gateway.url, ["EVAL", deep, "0"]);
        if (depth === 100) expect(status).toBe(200);
        else expect(status).toBeGreaterThanOrEqual(400);
      }
      isOver = true;
      await others;
      expect([...statuses]).toEqual([200]);
      await post(gateway.url, ["PUBLISH", "c", "m"]);
      const reader = stream.body!.getReader();
      let text = "";
      while (!text.includes("message,c,m")) text += new TextDecoder().decode((await reader.read()).value);
      await reader.cancel();
      await waitFor(
        "scripts again",
        async () => (await post(gateway.url, ["EVAL", "return 1", "0"])).status === 200,
      );
    });

    it.each(["", "/1"])(
      "whose script never ends has it ended, by the time a request may take: redis://…%s",
      async (database) => {
        await using redis = await startRedis();
        await using gateway = await startRedisRest(redis.url + database);
        await post(gateway.url, ["SET", "k", "v"]);
        expect((await post(gateway.url, ["EVAL", "while true do end", "0"])).status).toBe(503);
        await waitFor(
          "Redis to answer again",
          async () => (await post(gateway.url, ["GET", "k"])).status === 200,
          {
            timeoutMs: 10_000,
          },
        );
        await waitFor(
          "scripts again",
          async () => (await post(gateway.url, ["EVAL", "return 1", "0"])).status === 200,
        );
      },
    );

    it("leaves a script alone that is not the gateway's", async () => {
      await using redis = await startRedis();
      const direct = createClient({ url: redis.url });
      await direct.connect();
      await direct.configSet("busy-reply-threshold", "100");
      const script = direct.eval("local n = 0 while n < ARGV[1] + 0 do n = n + 1 end return n", {
        arguments: ["200000000"],
      });
      const ended = script.then(String, String);
      // It finds Redis busy, and asks again and again.
      await using gateway = await startGateway({
        ...{ redisUrl: redis.url, host: "127.0.0.1", port: 0, token: REST_TOKEN, logger: silent },
      });
      expect((await post(gateway.url, ["GET", "k"])).status).toBe(503);
      expect(await ended).toBe("200000000");
      await waitFor("200", async () => (await post(gateway.url, ["GET", "k"])).status === 200);
      direct.destroy();
    });

    it("who sends a long pipeline gets all of it, and keeps nobody from theirs for long", async () => {
      await using redis = await startRedis();
      await using gateway = await startRedisRest(redis.url);
      const long = post(
        `${gateway.url}/pipeline`,
        Array.from({ length: 8_000 }, () => ["EVAL", SLOW, "0"]),
      );
      let isOver = false;
      void long.finally(() => {
        isOver = true;
      });
      const took: number[] = [];
      while (!isOver) {
        const startMs = performance.now();
        // In the same queue.
        expect((await post(gateway.url, ["EVAL", "return 1", "0"])).status).toBe(200);
        expect((await post(gateway.url, ["SET", "k", "v"])).status).toBe(200);
        took.push(performance.now() - startMs);
      }
      expect(await long).toMatchObject({ status: 200, body: expect.objectContaining({ length: 8_000 }) });
      expect(Math.max(...took)).toBeLessThan(3_000);
    });

    it("whose transaction Redis does not allow has none of it run", async () => {
      await using redis = await startRedis();
      const direct = createClient({ url: redis.url });
      await direct.connect();
      const rules = ["on", ">secret", "~*", "&*", "+@all", "-@admin"];
      for (const [user, forbidden] of [
        ["none", ["-@transaction"]],
        ["no-exec", ["-exec"]],
        ["no-multi", ["-multi"]],
      ] as const) {
        await direct.sendCommand(["ACL", "SETUSER", user, ...rules, ...forbidden]);
        await using gateway = await startGateway({
          ...{ redisUrl: redis.url.replace("//", `//${user}:secret@`), host: "127.0.0.1", port: 0 },
          ...{ token: REST_TOKEN, logger: silent },
        });
        await gateway.whenUp(AbortSignal.timeout(10_000));
        const answer = await post(`${gateway.url}/multi-exec`, [
          ["SET", "k", "1"],
          ["INCR", "k"],
        ]);
        expect(answer).toMatchObject({ status: 400, body: { error: expect.stringMatching(/NOPERM/) } });
        expect(await direct.get("k")).toBeNull();
        // No transaction is left open.
        expect((await post(gateway.url, ["PING"])).body).toEqual({ result: "PONG" });
        // The right is taken away later: the answer says what it knows.
        if (user !== "no-multi") continue;
        await direct.sendCommand(["ACL", "SETUSER", user, "+multi"]);
        await using other = await startGateway({
          ...{ redisUrl: redis.url.replace("//", `//${user}:secret@`), host: "127.0.0.1", port: 0 },
          ...{ token: REST_TOKEN, logger: silent },
        });
        await other.whenUp(AbortSignal.timeout(10_000));
        await direct.sendCommand(["ACL", "SETUSER", user, "-multi"]);
        const late = await post(`${other.url}/multi-exec`, [["SET", "late", "1"]]);
        expect(late).toMatchObject({
          status: 400,
          body: { error: expect.stringMatching(/may have been run/) },
        });
      }
      direct.destroy();
    });
  },
);
