/** `millrace produce` into `millrace bridge`, with REDIS_URL and nothing else set. */
import { describe, expect, it } from "vitest";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import { LOGS_COMPANY, OPERATIONS_COMPANY } from "../../functions/core/ids.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { cli, FREE_PORTS, startCli } from "./cli.ts";

const noRedis = missing("redis-server");

describe("millrace produce --use-case services", () => {
  it("reaches the log through a bridge that has REDIS_URL alone, each line once, under the operator's companies", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using server = await startRedis();
    const env = { ...FREE_PORTS, REDIS_URL: server.url };
    await using bridge = startCli(["bridge"], env);
    await waitFor("the bridge to be subscribed", () => {
      if (bridge.child.exitCode !== null) throw new Error(bridge.stderr());
      return /"source":"redis-pubsub".*"Source is up"/.test(bridge.stderr());
    });
    const args = ["produce", "--use-case", "services", "--count", "60", "--rate", "200"];
    const { code, stdout, stderr } = await cli(args, env);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "sent 60 messages\n", stderr: "" });
    await using redis = await connectRedis(server.url, silent);
    await using log = createRedisLog({ redis, retentionMs: 86_400_000, timeZone: "UTC", logger: silent });
    const statuses = await waitFor("the events", async () => {
      const [operations, logs] = await Promise.all(
        [OPERATIONS_COMPANY, LOGS_COMPANY].map(async (company) => (await log.tallies(company)).total),
      );
      const { service_status, ...others } = operations as Record<string, number>;
      expect(others).toEqual({});
      expect(logs).toEqual({ log_line: 60 - service_status! });
      return service_status;
    });
    expect(statuses).toBeGreaterThan(10);
    expect((await log.companies()).toSorted()).toEqual([LOGS_COMPANY, OPERATIONS_COMPANY]);
    bridge.child.kill("SIGTERM");
    expect(await bridge.ended).toBe(0);
  });
});
