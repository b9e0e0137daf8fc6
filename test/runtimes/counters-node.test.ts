/** The counters on real Node servers over one real Redis: the same numbers by every route of every instance, whatever happens. */
import { once } from "node:events";
import { request } from "node:http";
import { SignJWT } from "jose";
import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { readSettings } from "../../functions/core/settings.ts";
import { openStore, type Store } from "../../functions/runtimes/node/open-store.ts";
import { type RunningServer, startServer } from "../../functions/runtimes/node/server.ts";
import { event, newCompany } from "../contracts/event-log-support.ts";
import type { Dashboard, Feed } from "../counters/counters-support.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const reason = missing("redis-server");
const JWT_SECRET = "a secret of the tests, long enough for HS256";
const token = (claims: Record<string, unknown>, exp: number | string = "5m") =>
  new SignJWT(claims)
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime(exp)
    .sign(new TextEncoder().encode(JWT_SECRET));

let redis: TestServer;
const instances: { store: Store; server: RunningServer }[] = [];

async function startInstance(more: Record<string, string> = {}) {
  const env = {
    REDIS_URL: redis.url,
    PORT: "0",
    HOST: "127.0.0.1",
    JWT_SECRET,
    AUTH_MODE: "jwt",
    DRAIN_MS: "50",
  };
  const settings = readSettings({ ...env, ...more });
  const store = await openStore({ settings, logger: silent });
  const server = await startServer({ settings, store, pages: new Map(), logger: silent });
  const instance = { store, server };
  instances.push(instance);
  return instance;
}
async function stop({ server, store }: (typeof instances)[number]) {
  await server.close();
  await store[Symbol.asyncDispose]();
}

/** A client of one route that keeps its newest snapshot. */
async function listen(server: RunningServer, path: string, bearer: string) {
  const headers = { authorization: `Bearer ${bearer}` };
  const snapshots: string[] = [];
  const client = { snapshots, ended: "", close: () => {} };
  if (path.startsWith("/ws/")) {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}${path}`, { headers });
    socket.on("message", (data) => snapshots.push(String(data)));
    socket.on("close", (code, text) => {
      client.ended = `${code} ${text}`;
    });
    socket.on("error", () => {});
    client.close = () => socket.terminate();
    await once(socket, "open");
    return client;
  }
  const asked = request(`${server.url}${path}`, { headers }).end();
  const [response] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
  expect(response.statusCode).toBe(200);
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      if (data !== undefined) snapshots.push(data);
      text = text.slice(end + 2);
    }
  });
  response.on("error", () => {});
  response.on("close", () => {
    client.ended = "closed";
  });
  client.close = () => asked.destroy();
  return client;
}
type Listener = Awaited<ReturnType<typeof listen>>;
const newest = <T>({ snapshots }: Listener) =>
  snapshots.length === 0 ? undefined : (JSON.parse(snapshots.at(-1)!) as T);

describe("the counters of several instances on one Redis", () => {
  beforeAll(async () => {
    if (reason !== undefined) return;
    redis = await startRedis();
    await startInstance();
    await startInstance();
  });
  afterAll(async () => {
    for (const instance of instances) await stop(instance);
    await redis?.[Symbol.asyncDispose]();
  });
  beforeEach((context) => {
    if (reason !== undefined) context.skip(reason);
  });
  const servers = () => instances.slice(0, 2).map(({ server }) => server);
  const log = (at = 0) => instances[at]!.store.log;

  it("are the same by every route, each event once however often it is delivered, through a restart of Redis", async () => {
    const company = newCompany("exact");
    const bearer = await token({ companyId: company });
    const query = `?companyId=${company}`;
    const paths = [`/sse${query}`, `/stream/dashboard${query}`, `/ws/dashboard${query}`];
    const clients = await Promise.all(
      servers().flatMap((server) =>
        paths.map(async (path) => ({ path, client: await listen(server, path, bearer) })),
      ),
    );
    const deliver = async (from: number, to: number) => {
      const batch = Array.from({ length: to - from }, (_, n) =>
        event(company, from + n, { type: "audit.txn" }),
      );
      await waitFor("the log to take it", async () => {
        await Promise.all([log(0).append(batch), log(1).append([...batch].reverse())]);
        return true;
      });
    };
    const agree = async (total: number) => {
      for (const { path, client } of clients) {
        await waitFor(`${total} by ${path}, have ${client.snapshots.at(-1)?.slice(0, 200)}`, () => {
          if (path.startsWith("/sse")) return newest<Feed>(client)?.AUDIT_TXN?.total === total;
          return newest<Dashboard>(client)?.counters["audit.txn"]?.total === total;
        });
      }
    };
    await deliver(0, 300);
    await agree(300);
    const { url } = servers()[0]!;
    expect(await (await fetch(`${url}/metrics`)).text()).toContain("\nmillrace_counter_watchers 3\n");
    await deliver(200, 350);
    await agree(350);
    await redis.restart();
    await deliver(300, 400);
    await agree(400);
    const polled = await Promise.all(
      servers().map(async ({ url }) => {
        const response = await fetch(`${url}/api/metrics${query}`, {
          headers: { authorization: `Bearer ${bearer}` },
        });
        return (await response.json()) as Feed;
      }),
    );
    for (const { AUDIT_TXN } of polled) {
      expect([AUDIT_TXN!.total, AUDIT_TXN!.recent.length]).toEqual([400, 10]);
    }
    expect(polled[0]!.AUDIT_TXN!.recent).toEqual(polled[1]!.AUDIT_TXN!.recent);
    const boards = clients
      .filter(({ path }) => path.includes("dashboard"))
      .map(({ client }) => newest<Dashboard>(client)!);
    for (const { counters } of boards) {
      expect(counters["audit.txn"]!.minutes.reduce((a, b) => a + b)).toBe(400);
      expect(counters["audit.txn"]!.minutes.slice(-2)).toEqual(
        boards[0]!.counters["audit.txn"]!.minutes.slice(-2),
      );
    }
    for (const { client } of clients) client.close();
  });

  it("show no company another's, by any route, live", async () => {
    const [acme, globex] = [newCompany("apart"), newCompany("apart")];
    const [ofAcme, ofGlobex, ofOps] = await Promise.all([
      token({ companyId: acme }),
      token({ companyId: globex }),
      token({ roles: ["ops"] }),
    ]);
    const server = servers()[0]!;
    const paths = ["/sse", "/stream/dashboard", "/ws/dashboard"];
    const own = await Promise.all(paths.map((path) => listen(server, `${path}?companyId=${acme}`, ofAcme)));
    const all = await Promise.all(paths.map((path) => listen(server, path, ofOps)));
    await log(1).append([
      event(globex, "g", { type: "audit.txn", dataText: '{"secret":"of globex"}' }),
      event(globex, "g2", { type: "globex.only" }),
      event(acme, "a", { type: "audit.txn", dataText: '{"own":1}' }),
      event(acme, "a2", { type: "acme.only" }),
    ]);
    for (const client of own)
      await waitFor("acme's own", () => client.snapshots.some((text) => /"total":1[,}]/.test(text)));
    for (const client of [all[1]!, all[2]!]) {
      await waitFor("both for ops", () => /acme\.only.*globex\.only/.test(client.snapshots.at(-1) ?? ""));
    }
    await waitFor("the payload for ops", () => all[0]!.snapshots.at(-1)?.includes("of globex"));
    for (const client of own) {
      expect(client.snapshots.join()).not.toMatch(/globex|secret/);
      expect(client.snapshots.join()).not.toContain(globex);
    }
    for (const path of [...paths, "/api/metrics"]) {
      for (const query of [`?companyId=${acme}`, ""]) {
        const headers: Record<string, string> = { authorization: `Bearer ${ofGlobex}` };
        if (path.startsWith("/ws/")) {
          const socket = new WebSocket(`${server.url.replace("http", "ws")}${path}${query}`, { headers });
          const [error] = (await once(socket, "error")) as [Error];
          expect(error.message).toBe("Unexpected server response: 403");
        } else {
          const response = await fetch(`${server.url}${path}${query}`, { headers });
          expect([path, query, response.status]).toEqual([path, query, 403]);
          await response.body?.cancel();
        }
      }
    }
    for (const client of [...own, ...all]) client.close();
  });

  it("cost Redis nothing while nothing happens, watched or not", async () => {
    const company = newCompany("quiet");
    const bearer = await token({ companyId: company });
    await log().append([event(company, 1, { type: "audit.txn" })]);
    const admin = createClient({ url: redis.url });
    admin.on("error", () => {});
    await admin.connect();
    const commands = async () => {
      const text = String(await admin.sendCommand(["INFO", "commandstats"]));
      const own = /^(info|ping|config|client|hello|auth|select)/;
      return Array.from(
        text.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm),
        ([, name, calls]) => `${name} ${calls}`,
      )
        .filter((line) => !own.test(line))
        .join();
    };
    const quiet = async (meanwhile: () => boolean) => {
      let before = "";
      await waitFor("a time without a command", async () => {
        before = await commands();
        await waitFor("three seconds' snapshots", meanwhile);
        return (await commands()) === before;
      });
    };
    const feed = await listen(servers()[0]!, `/sse?companyId=${company}`, bearer);
    let heard = 0;
    await quiet(() => {
      heard ||= feed.snapshots.length;
      if (feed.snapshots.length < heard + 3) return false;
      heard = 0;
      return true;
    });
    feed.close();
    const until = Date.now() + 1500;
    await quiet(() => Date.now() > until);
    admin.destroy();
  });

  it("end with the token, and with the instance: a client is told to come back", async () => {
    const company = newCompany("ends");
    const own = await startInstance({ HEARTBEAT_MS: "400" });
    const soon = await token({ companyId: company }, Math.floor(Date.now() / 1000) - 3);
    const long = await token({ companyId: company });
    const [expiring, staying, stream] = await Promise.all([
      listen(own.server, `/ws/dashboard?companyId=${company}`, soon),
      listen(own.server, `/ws/dashboard?companyId=${company}`, long),
      listen(own.server, `/stream/dashboard?companyId=${company}`, long),
    ]);
    // Expired 3 s ago, let in by the tolerance of 5 s.
    await waitFor("the end of the token", () => expiring.ended !== "");
    expect(expiring.ended).toBe("4401 the token has expired");
    expect([staying.ended, stream.ended]).toEqual(["", ""]);
    instances.splice(instances.indexOf(own), 1);
    const startMs = performance.now();
    await stop(own);
    expect(performance.now() - startMs).toBeLessThan(5_000);
    await waitFor("both to be told", () => staying.ended !== "" && stream.ended !== "");
    expect(staying.ended).toMatch(/^1001 .*connect again$/);
  });

  it("answer a request that offers h2c, as some clients do with every one, as if it had not", async () => {
    const company = newCompany("h2c");
    const headers = {
      authorization: `Bearer ${await token({ companyId: company })}`,
      connection: "Upgrade, HTTP2-Settings",
      upgrade: "h2c",
      "http2-settings": "AAMAAABkAAQAAP__",
    };
    const asked = request(`${servers()[0]!.url}/api/metrics?companyId=${company}`, { headers }).end();
    const [response] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
    expect(response.statusCode).toBe(200);
    response.resume();
    await once(response, "end");
  });
});
