/** The telemetry store on the runtimes that are programs: real processes, with the permissions of deno.json, asked over HTTP. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openMongoTelemetry } from "../../functions/runtimes/node/open-mongodb.ts";
import { createSqliteTelemetry } from "../../functions/runtimes/node/telemetry-store-sqlite.ts";
import { readings } from "../contracts/telemetry-store.ts";
import { missingMongoDb, startMongoDb } from "../support/mongodb.ts";
import { missingRuntime, startRuntime } from "../support/runtimes.ts";

const AUTH_TOKEN = "a token of the tests";
const JWT_SECRET = "a secret of the tests, of 32 characters or more";
const folders: string[] = [];
const newFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-telemetry-"));
  folders.push(folder);
  return folder;
};
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe.each(["node", "deno", "bun"] as const)("the telemetry store on %s", (runtime) => {
  /** What a process of these settings says of the GPU that was written to. */
  const askRuntime = async (env: Record<string, string>) => {
    await using server = await startRuntime(runtime, { ...env, AUTH_TOKEN, JWT_SECRET });
    const response = await fetch(`${server.url}/api/v1/gpus/GPU-1/telemetry?limit=2&page=2&sort=asc`, {
      headers: { authorization: `Bearer ${AUTH_TOKEN}` },
    });
    return { status: response.status, body: await response.json() };
  };
  const answer = {
    status: 200,
    body: { total: 5, page: 2, limit: 2, items: [{ value: 2 }, { value: 3 }] },
  };

  it("is a file in DATA_DIR", async (context) => {
    const reason = missingRuntime(runtime);
    if (reason !== undefined) context.skip(reason);
    const folder = newFolder();
    // It stays open: two processes share the file.
    await using store = createSqliteTelemetry({ folder });
    await store.write(readings(0, 5));
    expect(await askRuntime({ DATA_DIR: folder })).toMatchObject(answer);
  });

  it("is MongoDB with MONGODB_URI", async (context) => {
    const reason = missingRuntime(runtime) ?? missingMongoDb();
    if (reason !== undefined) context.skip(reason);
    await using server = await startMongoDb();
    const settings = {
      MONGODB_URI: server.url,
      MONGODB_DATABASE: server.database(),
      MONGO_COLLECTION: "readings",
    };
    await using store = openMongoTelemetry({ settings });
    await store.write(readings(0, 5));
    expect(await askRuntime({ DATA_DIR: newFolder(), ...settings })).toMatchObject(answer);
  });
});
