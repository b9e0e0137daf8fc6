/** Access decided on one instance and in force on another, through a real Redis that may be away. */
import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { createRedisAccessRules } from "../../functions/adapters/access-rules-redis.ts";
import type { AccessRule } from "../../functions/core/access-rule.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { silent } from "../support/logger.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { type Instance, startServe } from "./lib/millrace.ts";
import { type DurableRedis, startDurableRedis } from "./lib/redis.ts";

const noRedis = missing("redis-server");
const JWT_SECRET = "a secret of these tests, long enough for HS256";
const seconds = () => Math.floor(Date.now() / 1000);
const streamOf = (company: string) => `/stream/updates?companyId=${company}`;

/** Issued a while ago, so that what is revoked now reaches it. */
const mint = (claims: Record<string, unknown>, { iat = seconds() - 60, exp = seconds() + 600 } = {}) =>
  new SignJWT({ iat, exp, ...claims })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(JWT_SECRET));
const ofAlice = (company: string) => mint({ sub: "alice", companyId: company });

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

async function send(instance: Instance, method: string, path: string, token: string, body?: unknown) {
  const headers = { ...bearer(token), "content-type": "application/json" };
  return fetch(`${instance.url}${path}`, { method, headers, body: JSON.stringify(body) });
}

/** A stream as a browser reads it, without its coming back. */
async function openStream(instance: Instance, path: string, headers: Record<string, string> = {}) {
  const closing = new AbortController();
  const response = await fetch(`${instance.url}${path}`, { headers, signal: closing.signal });
  const stream = {
    status: response.status,
    text: "",
    ended: false,
    until: (what: string) => waitFor(`${what} on the stream`, () => stream.text.includes(what)),
    end: () => waitFor("the end of the stream", () => stream.ended),
    [Symbol.dispose]: () => closing.abort(),
  };
  const read = async () => {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) stream.text += decoder.decode(chunk, { stream: true });
    } catch {}
    stream.ended = true;
  };
  void read();
  return stream;
}

const withTwo = (
  title: string,
  body: (one: Instance, other: Instance, redis: DurableRedis, ops: string) => Promise<void>,
) =>
  it(title, async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startDurableRedis();
    const env = { REDIS_URL: redis.url, JWT_SECRET };
    await using one = await startServe(env);
    await using other = await startServe(env);
    await body(one, other, redis, await mint({ sub: "operator", roles: ["ops"] }));
  });

/** Calls of a command since Redis began. */
async function calls(redis: DurableRedis, command: string): Promise<number> {
  await using connection = await connectRedis(redis.url, silent);
  const info = String(await connection.command(["INFO", "commandstats"]));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(info)?.[1] ?? 0);
}

describe("access, decided on one of two instances", { timeout: 60_000 }, () => {
  withTwo("a ticket that both are shown at the same time lets in one", async (one, other) => {
    for (let round = 0; round < 10; round++) {
      const token = await mint({ sub: `s-${round}`, companyId: "acme" });
      const given = await send(round % 2 ? one : other, "POST", "/stream/tickets", token);
      const { ticket } = (await given.json()) as { ticket: string };
      const path = `${streamOf("acme")}&ticket=${ticket}`;
      const streams = await Promise.all(
        [one, other, one, other].map((instance) => openStream(instance, path)),
      );
      expect(streams.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401]);
      for (const stream of streams) stream[Symbol.dispose]();
    }
  });

  withTwo(
    "a revocation closes the open streams it concerns on both, and they do not come back",
    async (one, other, redis, ops) => {
      const tokens = {
        alice: await ofAlice("acme"),
        bob: await mint({ sub: "bob", companies: ["acme", "globex"] }),
      };
      const open = (token: string, company = "acme") =>
        Promise.all([one, other].map((instance) => openStream(instance, streamOf(company), bearer(token))));
      const [alices, bobs, bobsElsewhere] = [
        await open(tokens.alice),
        await open(tokens.bob),
        await open(tokens.bob, "globex"),
      ];
      for (const stream of [...alices, ...bobs, ...bobsElsewhere]) expect(stream.status).toBe(200);
      // Joins and their checks have cost one reading of the rules an instance.
      for (let n = 0; n < 20; n++) {
        for (const stream of await open(tokens.bob)) stream[Symbol.dispose]();
      }
      expect(await calls(redis, "hscan")).toBeLessThanOrEqual(2);

      expect((await send(one, "POST", "/admin/revocations", ops, { subject: "alice" })).status).toBe(200);
      for (const stream of alices) await stream.end();
      for (const stream of await open(tokens.alice)) expect(stream.status).toBe(401);
      expect((await send(other, "POST", "/admin/revocations", ops, { companyId: "acme" })).status).toBe(200);
      for (const stream of bobs) await stream.end();
      for (const stream of await open(tokens.bob)) expect(stream.status).toBe(403);
      for (const stream of bobsElsewhere) {
        expect(stream.ended).toBe(false);
        stream[Symbol.dispose]();
      }
    },
  );

  withTwo(
    "streaming switched off and on again for a company is so on both",
    async (one, other, _redis, ops) => {
      const put = (instance: Instance, streaming: boolean) =>
        send(instance, "PUT", "/admin/companies/acme/features", ops, { streaming });
      const headers = bearer(await ofAlice("acme"));
      const streams = await Promise.all(
        [one, other].map((instance) => openStream(instance, streamOf("acme"), headers)),
      );
      expect((await put(one, false)).status).toBe(200);
      for (const stream of streams) {
        await stream.end();
        expect(stream.text).toMatch(/retry: \d+\n\nevent: disabled\n/);
      }
      for (const instance of [one, other]) {
        using refused = await openStream(instance, streamOf("acme"), headers);
        await refused.until("event: disabled");
      }
      expect((await put(other, true)).status).toBe(200);
      for (const instance of [one, other]) {
        await waitFor("it to stream again", async () => {
          using stream = await openStream(instance, streamOf("acme"), headers);
          await stream.until("retry: ");
          return !stream.text.includes("event: disabled") && !stream.ended;
        });
      }
    },
  );

  withTwo("a renewal that one is asked for reaches the stream on the other", async (one, other) => {
    // Two seconds, with the tolerance for clocks.
    const short = await mint({ sub: "alice", companyId: "acme" }, { exp: seconds() - 2 });
    using stream = await openStream(other, streamOf("acme"), bearer(short));
    using witness = await openStream(other, streamOf("acme"), bearer(short));
    await stream.until("event: reauthenticate");
    const { connectionId } = JSON.parse(/event: reauthenticate\ndata: (.*)\n/.exec(stream.text)![1]!) as {
      connectionId: string;
    };
    const renewed = await send(one, "POST", "/stream/renew", await ofAlice("acme"), { connectionId });
    expect(renewed.status).toBe(202);
    await stream.until("event: renewed");
    await witness.end();
    expect(stream.ended).toBe(false);
  });

  withTwo(
    "what is decided while Redis is away is refused; what they miss is in force when it is back",
    async (one, other, redis, ops) => {
      const token = await ofAlice("acme");
      const streams = await Promise.all(
        [one, other].map((instance) => openStream(instance, streamOf("acme"), bearer(token))),
      );
      await redis.kill();
      await waitFor("it to be noticed", async () => (await fetch(`${one.url}/ready`)).status === 503);
      expect((await send(one, "POST", "/admin/revocations", ops, { subject: "alice" })).status).toBe(503);
      expect((await send(one, "POST", "/stream/tickets", token)).status).toBe(503);
      for (const stream of streams) expect(stream.ended).toBe(false);

      await redis.start();
      // Put behind their backs, as early as can be: they hear of it or find it.
      await using connection = await connectRedis(redis.url, silent);
      const rule: AccessRule = { kind: "company-revoked", company: "acme" as CompanyId, atMs: Date.now() };
      await createRedisAccessRules({ redis: connection }).put(rule);
      for (const stream of streams) await stream.end();
      for (const instance of [one, other]) {
        using refused = await openStream(instance, streamOf("acme"), bearer(token));
        expect(refused.status).toBe(403);
      }
    },
  );

  it("an instance that never could read the rules lets nobody in, and says that it will pass", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startDurableRedis();
    await using instance = await startServe({ REDIS_URL: redis.url, JWT_SECRET });
    await redis.kill();
    const headers = bearer(await ofAlice("acme"));
    await waitFor("it to be noticed", async () => (await fetch(`${instance.url}/ready`)).status === 503);
    using refused = await openStream(instance, streamOf("acme"), headers);
    await refused.until("event: busy");
    await refused.end();
    expect((await fetch(`${instance.url}/stream/history?companyId=acme`, { headers })).status).toBe(503);
    await redis.start();
    await waitFor("it to let in", async () => {
      using stream = await openStream(instance, streamOf("acme"), headers);
      await stream.until("retry: ");
      return !stream.text.includes("event: busy");
    });
  });
});
