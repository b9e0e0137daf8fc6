/** `millrace redis-rest` as its operator runs it. */
import { describe, expect, it } from "vitest";
import { REST_READONLY_TOKEN, REST_TOKEN } from "../support/redis-rest.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { cli, startCli } from "./cli.ts";

const noRedis = missing("redis-server");

describe("millrace redis-rest", () => {
  it("names every setting that is missing or wrong at once, no value of any, and exits with 2", async () => {
    const missing = await cli(["redis-rest"]);
    expect(missing).toMatchObject({ code: 2, stdout: "" });
    for (const name of ["REDIS_URL", "UPSTASH_REDIS_REST_TOKEN"])
      expect(missing.stderr).toContain(`  ${name}: `);
    const short = await cli(["redis-rest"], {
      REDIS_URL: "redis://127.0.0.1:1",
      UPSTASH_REDIS_REST_TOKEN: "hunter2",
      UPSTASH_REDIS_REST_READONLY_TOKEN: "hunter2",
    });
    expect(short).toMatchObject({ code: 2, stdout: "" });
    for (const name of ["UPSTASH_REDIS_REST_TOKEN", "UPSTASH_REDIS_REST_READONLY_TOKEN"]) {
      expect(short.stderr).toContain(`  ${name}: expected at least 32 characters`);
    }
    expect(short.stderr).not.toContain("hunter2");
  });

  it("refuses one token for both", async () => {
    const { code, stderr } = await cli(["redis-rest"], {
      REDIS_URL: "redis://127.0.0.1:1",
      UPSTASH_REDIS_REST_TOKEN: REST_TOKEN,
      UPSTASH_REDIS_REST_READONLY_TOKEN: REST_TOKEN,
    });
    expect(code).toBe(2);
    expect(stderr).toContain("expected another one");
  });

  it("waits for Redis, is ready when it has answered, logs no secret, and ends with 0", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await redis.kill();
    await using gateway = startCli(["redis-rest"], {
      REDIS_URL: redis.url,
      REDIS_REST_PORT: "0",
      UPSTASH_REDIS_REST_TOKEN: REST_TOKEN,
      UPSTASH_REDIS_REST_READONLY_TOKEN: REST_READONLY_TOKEN,
    });
    const url = await waitFor("it to listen", () => /"url":"([^"]+)"/.exec(gateway.stderr())?.[1]);
    expect((await fetch(`${url}/ready`)).status).toBe(503);
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(gateway.stdout()).toBe("");
    await redis.restart();
    expect(await gateway.ready()).toBe(url);
    const headers = { authorization: `Bearer ${REST_TOKEN}` };
    const answer = await fetch(`${url}/set/k/v`, { headers });
    expect(await answer.json()).toEqual({ result: "OK" });
    gateway.child.kill("SIGTERM");
    expect(await gateway.ended).toBe(0);
    for (const token of [REST_TOKEN, REST_READONLY_TOKEN]) expect(gateway.stderr()).not.toContain(token);
  });

  it("exits with 2 when Redis does not let it in", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    const { code, stderr } = await cli(["redis-rest"], {
      REDIS_URL: redis.url.replace("//", "//nobody:hunter2@"),
      REDIS_REST_PORT: "0",
      UPSTASH_REDIS_REST_TOKEN: REST_TOKEN,
    });
    expect(code).toBe(2);
    expect(stderr).not.toContain("hunter2");
  });
});
