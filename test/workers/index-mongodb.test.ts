/** The Workers as they are deployed, with MongoDB and without, asked for readings. */
import { describe, expect, it } from "vitest";
import { openMongoTelemetry } from "../../functions/runtimes/node/open-mongodb.ts";
import { readings } from "../contracts/telemetry-store.ts";
import { missingMongoDb, startMongoDb } from "../support/mongodb.ts";
import { startWorkerd } from "../support/workerd.ts";

const AUTH_TOKEN = "a token of the tests";
/** Nobody asks the log for readings, so there need be none. */
const vars = {
  UPSTASH_REDIS_REST_URL: "http://127.0.0.1:9",
  UPSTASH_REDIS_REST_TOKEN: "a token of the tests, long enough to be one",
  JWT_SECRET: "a secret of the tests, of 32 characters or more",
  AUTH_TOKEN,
};
const ask = (url: string) =>
  fetch(`${url}/api/v1/gpus/GPU-1/telemetry?limit=2`, { headers: { authorization: `Bearer ${AUTH_TOKEN}` } });

describe("the metrics API of a Worker", () => {
  it("answers from MongoDB where the entry has the driver", async (context) => {
    const skip = missingMongoDb();
    if (skip !== undefined) context.skip(skip);
    await using server = await startMongoDb();
    const settings = {
      MONGODB_URI: server.url,
      MONGODB_DATABASE: server.database(),
      MONGO_COLLECTION: "metrics",
    };
    await using store = openMongoTelemetry({ settings });
    await store.write(readings(0, 5));
    await using workerd = await startWorkerd({
      entry: "workers/index-mongodb.ts",
      flags: ["nodejs_compat"],
      vars: { ...vars, ...settings },
    });
    const response = await ask(workerd.url);
    expect(await response.json()).toMatchObject({ total: 5, page: 1, limit: 2 });
    expect(response.status).toBe(200);
  }, 60_000);

  it("is 503 where it has not, and the log says why", async () => {
    await using workerd = await startWorkerd({
      vars: { ...vars, MONGODB_URI: "mongodb://127.0.0.1:9/" },
    });
    const response = await ask(workerd.url);
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("5");
    expect(workerd.output()).toContain("expected MONGODB_URI and the entry workers/index-mongodb.ts");
  }, 60_000);
});
