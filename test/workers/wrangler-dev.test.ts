/** `wrangler dev`, as the README has it: wrangler.toml, bindings and secrets as they are. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, it } from "vitest";
import { parseEvent } from "../../functions/core/event.ts";
import { openRedisLog } from "../bench/lib/logs.ts";
import { freePort, start } from "../support/process.ts";
import { startRedisRest } from "../support/redis-rest.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { OFFLINE } from "../support/workerd.ts";
import { JWT_SECRET, tokenOf } from "./lib/stage.ts";
import { openStream } from "./lib/stream.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const skip = missing("redis-server");

let stack = new AsyncDisposableStack();
afterEach(async () => {
  await stack.disposeAsync();
  stack = new AsyncDisposableStack();
});

it("wrangler dev streams from a real Redis through the gateway", async (context) => {
  if (skip !== undefined) context.skip(skip);
  const redis = stack.use(await startRedis());
  const rest = stack.use(await startRedisRest(redis.url));
  const { log } = stack.use(await openRedisLog(redis.url));
  const folder = mkdtempSync(join(tmpdir(), "millrace-wrangler-"));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const secrets = join(folder, ".dev.vars");
  writeFileSync(
    secrets,
    `UPSTASH_REDIS_REST_URL=${rest.url}\nUPSTASH_REDIS_REST_TOKEN=${rest.token}\nJWT_SECRET="${JWT_SECRET}"\n`,
  );
  const port = await freePort();
  const dev = start(
    join(ROOT, "node_modules/.bin/wrangler"),
    [
      ...["dev", "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", String(await freePort())],
      ...["--env-file", secrets, "--persist-to", folder, "--show-interactive-dev-session=false"],
    ],
    { cwd: ROOT, env: OFFLINE },
  );
  stack.defer(() => dev.stop());
  const url = `http://127.0.0.1:${port}`;
  await waitFor(
    "wrangler dev to answer",
    async () => {
      if (dev.child.exitCode !== null) throw new Error(dev.output());
      return (await fetch(`${url}/ready`)).ok;
    },
    { timeoutMs: 60_000 },
  );
  const headers = { authorization: `Bearer ${await tokenOf({ companyId: "acme" })}` };
  const stream = openStream(url, "/stream/updates?companyId=acme", headers);
  stack.defer(() => stream.leave());
  await waitFor("the stream", () => stream.frames.length > 0);
  const dataText = JSON.stringify({ companyId: "acme", n: 1 });
  await log.append([
    parseEvent({ companyId: "acme", source: "/dev", id: "1", type: "metric_updated", dataText }),
  ]);
  await waitFor("the event", () => stream.events.length === 1);
  expect(stream.events[0]).toEqual({ type: "metric_updated", data: { companyId: "acme", n: 1 } });
  // wrangler puts an Accept-Encoding of its own in, as Cloudflare does: it is the client's that counts.
  const plain = await firstBytes(`${url}/stream/updates?companyId=acme`, headers);
  expect(plain).toMatch(/^retry: 3000\n\n/);
  // What Swagger UI's page loads is too large for the bundle: it comes from the static assets, with the headers it has elsewhere.
  const page = await (await fetch(`${url}/swagger/index.html`)).text();
  const scripts = [...page.matchAll(/\b(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1]!);
  expect(scripts.length).toBeGreaterThan(3);
  for (const script of scripts) {
    const { status, headers: got } = await fetch(url + script);
    expect([script, status]).toEqual([script, 200]);
    expect(got.get("cache-control")).toBe("public, max-age=31536000, immutable");
    expect(got.get("content-security-policy")).toContain("default-src 'none'");
    expect(got.get("x-content-type-options")).toBe("nosniff");
  }
  // It says so when a secret that wrangler.toml names is missing.
  expect(dev.output()).not.toMatch(/missing|required secret/i);
}, 90_000);

/** Of an answer to a client that names no coding, as curl. */
function firstBytes(url: string, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = get(url, { headers }, (response) => {
      response.on("error", () => {});
      response.once("data", (chunk: Buffer) => {
        resolve(chunk.toString());
        asked.destroy();
      });
    });
    asked.on("error", reject);
  });
}
