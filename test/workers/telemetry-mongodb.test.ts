/** A Worker that asks MongoDB itself, over sockets of its own, on workerd. */
import { describe, expect, it } from "vitest";
import type { TelemetryStore } from "../../functions/ports/telemetry-store.ts";
import { openMongoTelemetry } from "../../functions/runtimes/node/open-mongodb.ts";
import { ask, readings } from "../contracts/telemetry-store.ts";
import { missingMongoDb, startMongoDb } from "../support/mongodb.ts";
import { startWorkerd } from "../support/workerd.ts";

describe("createWorkerTelemetry", () => {
  it("asks and writes in one request after the other, and many at once; says unavailable while MongoDB is away", async (context) => {
    const skip = missingMongoDb("process");
    if (skip !== undefined) context.skip(skip);
    await using server = await startMongoDb();
    const settings = {
      MONGODB_URI: `${server.url}/?serverSelectionTimeoutMS=2000`,
      MONGODB_DATABASE: server.database(),
      MONGO_COLLECTION: "metrics",
    };
    await using workerd = await startWorkerd({
      entry: "test/workers/lib/telemetry-entry.js",
      flags: ["nodejs_compat"],
      vars: settings,
    });
    const call = async <Name extends Exclude<keyof TelemetryStore, symbol>>(
      name: Name,
      ...given: Parameters<TelemetryStore[Name]>
    ) => {
      const response = await fetch(workerd.url, {
        method: "POST",
        body: JSON.stringify({ call: name, given }),
      });
      return (await response.json()) as Awaited<ReturnType<TelemetryStore[Name]>>;
    };
    await call("ping");
    expect(await call("write", readings(0, 30))).toEqual({ stored: 30 });
    await using store = openMongoTelemetry({ settings });
    await store.write(readings(20, 60));
    const pages = await Promise.all(
      [0, 10, 20, 30, 40, 50].map((offset) => call("readings", ask({ offset, limit: 10 }))),
    );
    expect(pages.map(({ total }) => total)).toEqual([60, 60, 60, 60, 60, 60]);
    expect(pages.flatMap(({ items }) => items)).toEqual(readings(0, 60));
    expect(await call("owners", "GPU-1", "all")).toEqual(["acme"]);

    await server.kill();
    const away = { code: "unavailable", message: expect.stringContaining("ECONNREFUSED") };
    expect(await Promise.all([call("readings", ask()), call("ping")])).toEqual([away, away]);
    await server.restart();
    expect((await call("readings", ask())).total).toBe(60);
    expect(workerd.output()).not.toContain("rror");
  }, 60_000);
});
