/** The counters and the rules about access, where their holder is a Durable Object. */
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { type Stage, startStage, TEST_ENTRY, tokenOf } from "./lib/stage.ts";
import { openStream } from "./lib/stream.ts";

const skip = missing("redis-server");

describe.skipIf(skip !== undefined)("Durable Objects", () => {
  let stage: Stage;
  let ops: Record<string, string>;
  beforeAll(async () => {
    stage = await startStage({ entry: TEST_ENTRY });
    // A subject need not be Latin-1, as a header must.
    ops = {
      authorization: `Bearer ${await tokenOf({ companies: ["acme"], roles: ["ops"], sub: "Zoë 漢" })}`,
    };
  });
  afterAll(() => stage?.[Symbol.asyncDispose]());
  const channels = async () => (await stage.redis.command(["PUBSUB", "CHANNELS"])) as readonly string[];

  it("one of them counts over all companies, more than six at once", async () => {
    const companies = Array.from({ length: 9 }, (_, at) => `many-${at}`);
    for (const company of companies) await stage.publish(company, 2);
    await using stream = openStream(stage.url, "/stream/dashboard", ops);
    type Dashboard = { counters: Record<string, { total: number }> };
    const odd = () =>
      (stream.events.at(-1)?.data as unknown as Dashboard | undefined)?.counters.odd?.total ?? 0;
    await waitFor("a first count", () => odd() >= 9, { timeoutMs: 20_000 });
    const before = odd();
    for (const company of companies) await stage.publish(company, 2);
    await waitFor("the next count", () => odd() === before + 9);
  });

  it("after polls nothing stays open", async () => {
    await stage.publish("polled", 1);
    const headers = { authorization: `Bearer ${await tokenOf({ companyId: "polled" })}` };
    const answer = await fetch(`${stage.url}/api/metrics?companyId=polled`, { headers });
    expect(answer.status).toBe(200);
    expect(await answer.json()).toHaveProperty("AUDIT_TXN.total");
    // It stays awake for the next poll, and no longer.
    await waitFor("its channels", async () => (await channels()).includes("millrace:{polled}:wake"));
    await waitFor("no channel", async () => (await channels()).length === 0, { timeoutMs: 20_000 });
  });

  it("end the streams of a company within a second of its revocation, and of its feature's end", async () => {
    const headers = { authorization: `Bearer ${await tokenOf({ companyId: "shut" })}` };
    const open = async (): Promise<ReadableStreamDefaultReader<string>> => {
      const answer = await fetch(`${stage.url}/stream/updates?companyId=shut`, { headers });
      return answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    };
    const rest = async (reader: ReadableStreamDefaultReader<string>) => {
      let text = "";
      for (let read = await reader.read(); !read.done; read = await reader.read()) text += read.value;
      return text;
    };
    const decide = (method: string, path: string, body: object) =>
      fetch(stage.url + path, {
        ...{ method, body: JSON.stringify(body) },
        headers: { ...ops, "content-type": "application/json" },
      });

    const switched = await open();
    await switched.read();
    expect((await decide("PUT", "/admin/companies/shut/features", { streaming: false })).status).toBe(200);
    let atMs = performance.now();
    expect(await rest(switched)).toMatch(/event: disabled\n/);
    expect(performance.now() - atMs).toBeLessThan(1_000);

    expect((await decide("PUT", "/admin/companies/shut/features", { streaming: true })).status).toBe(200);
    const revoked = await waitFor("streaming to be on again", async () => {
      const reader = await open();
      const first = await reader.read();
      if (!first.value!.includes("disabled")) return reader;
    });
    expect((await decide("POST", "/admin/revocations", { companyId: "shut" })).status).toBe(200);
    atMs = performance.now();
    await rest(revoked);
    expect(performance.now() - atMs).toBeLessThan(1_000);
    await waitFor("the token to be worth nothing", async () => {
      const answer = await fetch(`${stage.url}/stream/updates?companyId=shut`, { headers });
      await answer.body?.cancel();
      return answer.status === 403 || answer.status === 401;
    });
  });

  it("are bound by a company's own maxConnections, for counters as for events", async () => {
    const headers = { authorization: `Bearer ${await tokenOf({ companyId: "few" })}` };
    const put = await fetch(`${stage.url}/admin/companies/few/features`, {
      ...{ method: "PUT", body: '{"maxConnections":1}' },
      headers: { ...ops, "content-type": "application/json" },
    });
    expect(put.status).toBe(200);
    for (const path of ["/stream/dashboard", "/stream/updates"]) {
      const first = await fetch(`${stage.url}${path}?companyId=few`, { headers });
      // A Worker may know of it half a second later.
      await waitFor("a refusal", async () => {
        const second = await fetch(`${stage.url}${path}?companyId=few`, {
          headers: { ...headers, accept: "application/json" },
        });
        await second.body?.cancel();
        return second.status === 429;
      });
      await first.body?.cancel();
    }
  });

  it("compress once, and workerd does not do so again", async () => {
    await stage.publish("packed", 50);
    const headers = {
      authorization: `Bearer ${await tokenOf({ companyId: "packed" })}`,
      "accept-encoding": "gzip",
    };
    const { hostname, port } = new URL(stage.url);
    const { request } = await import("node:http");
    const answer = await new Promise<{ coding: string | undefined; body: Buffer }>((resolve, reject) => {
      const path = "/stream/updates?companyId=packed&lastEventId=0.0-0";
      const asked = request({ hostname, port, path, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => {
          chunks.push(chunk);
          // It has no end: what there is so far must be readable.
          const text = unfinished(Buffer.concat(chunks));
          if (!text.includes('"n":50}')) return;
          resolve({ coding: response.headers["content-encoding"], body: Buffer.concat(chunks) });
          asked.destroy();
        });
        response.on("error", () => {});
      });
      asked.on("error", reject);
      asked.end();
    });
    expect(answer.coding).toBe("gzip");
    expect(unfinished(answer.body)).toMatch(/^retry: 3000\n\n/);
  });
});

/** Of a gzip stream that goes on, what is there. */
function unfinished(bytes: Buffer): string {
  return gunzipSync(bytes, { finishFlush: 2 }).toString();
}
