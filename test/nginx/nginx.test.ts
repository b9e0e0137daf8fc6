/** The shipped configuration in a real nginx, before two instances on one Redis. */
import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import { get } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createPublisher } from "../../bin/conformance/publishers.ts";
import { scoreOf } from "../../bin/conformance/report.ts";
import { prepare, runChecks } from "../../bin/conformance/run.ts";
import { TARGET_DEFAULTS } from "../../bin/conformance/target.ts";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import { parseEvent } from "../../functions/core/event.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import {
  type BridgeProcess,
  framedTcpSource,
  type Instance,
  mintToken,
  startBridge,
  startBroker,
  startServe,
} from "../faults/lib/millrace.ts";
import { createAuthority } from "../support/certificates.ts";
import { silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { type Follower, follow, http1, http2 } from "./clients.ts";
import { type ShippedNginx, startShippedNginx } from "./nginx.ts";

const reason = missing("nginx") ?? missing("redis-server");
const HEARTBEAT_MS = 1_000;
const authority = createAuthority();
const ca = authority.cert;

let redis: TestServer;
let instances: Instance[];
let nginx: ShippedNginx;
let plain: string;
let publish: (company: string, from: number, count: number) => Promise<void>;
let closeLog: () => Promise<void>;

const startInstance = () =>
  startServe({ REDIS_URL: redis.url, HEARTBEAT_MS: String(HEARTBEAT_MS), DRAIN_MS: "1000" });

beforeAll(async () => {
  if (reason) return;
  redis = await startRedis();
  instances = await Promise.all([startInstance(), startInstance()]);
  const plainPort = await freePort();
  plain = `http://127.0.0.1:${plainPort}`;
  nginx = await startShippedNginx({
    upstreams: instances.map(({ url }) => url),
    certificate: authority.issue("localhost"),
    plainPort,
  });
  const connection = await connectRedis(redis.url, silent);
  const log = createRedisLog({ redis: connection, retentionMs: 3_600_000, timeZone: "UTC", logger: silent });
  publish = async (companyId, from, count) => {
    const events = Array.from({ length: count }, (_, n) =>
      parseEvent({
        companyId,
        source: "/nginx",
        id: String(from + n),
        type: "metric_updated",
        dataText: JSON.stringify({ n: from + n }),
      }),
    );
    await log.append(events);
  };
  closeLog = async () => {
    await log[Symbol.asyncDispose]();
    await connection[Symbol.asyncDispose]();
  };
});
afterAll(async () => {
  await closeLog?.();
  await nginx?.[Symbol.asyncDispose]();
  for (const instance of instances ?? []) await instance[Symbol.asyncDispose]();
  await redis?.[Symbol.asyncDispose]();
});
beforeEach((context) => {
  if (reason) context.skip(reason);
});

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);
const connections = async () =>
  (await Promise.all(instances.map((instance) => instance.metric("millrace_connections")))) as [
    number,
    number,
  ];

/** Two clients over HTTP/1.1 and two over HTTP/2, which the instances are given in turn. */
async function followers(company: string): Promise<Follower[]> {
  const token = await mintToken(company);
  const clients = [
    http1({ origin: plain, company, token }),
    http1({ origin: plain, company, token }),
    http2({ origin: nginx.httpsUrl, company, token, ca }),
    http2({ origin: nginx.httpsUrl, company, token, ca }),
  ].map((open) => follow(open));
  await waitFor("everybody's stream", () => clients.every(({ opened }) => opened === 1));
  return clients;
}
function close(clients: readonly Follower[]): void {
  for (const client of clients) client[Symbol.dispose]();
}

/** Publishes in small batches until told to stop; resolves with how many there were. */
function load(company: string) {
  let isDone = false;
  let sent = 0;
  const running = (async () => {
    while (!isDone) {
      await publish(company, sent, 5);
      sent += 5;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return sent;
  })();
  return {
    sent: () => sent,
    stop: () => {
      isDone = true;
      return running;
    },
  };
}

const arrived = (clients: readonly Follower[], count: number) =>
  waitFor(`${count} events at everybody`, () => clients.every(({ numbers }) => numbers.length >= count));

describe("infra/nginx", { timeout: 60_000 }, () => {
  it("hands every event on as soon as it is there, over HTTP/1.1 and HTTP/2 with TLS, from any instance", async () => {
    const clients = await followers("live");
    try {
      expect(await connections()).toEqual([2, 2]);
      for (let n = 0; n < 20; n++) {
        await publish("live", n, 1);
        // The next one is sent only then: nothing pushes this one through a buffer.
        await arrived(clients, n + 1);
      }
      for (const { numbers, problems } of clients) expect([numbers, problems]).toEqual([upTo(20), []]);
    } finally {
      close(clients);
    }
    await waitFor("the instances to notice that all have left", async () =>
      (await connections()).every((open) => open === 0),
    );
  });

  it("keeps the stream's headers, X-Accel-Buffering for another nginx too, and names each request", async () => {
    const token = await mintToken("headers");
    const stream = await http2({ origin: nginx.httpsUrl, company: "headers", token, ca })();
    try {
      expect(stream.headers).toMatchObject({
        "content-type": "text/event-stream",
        "cache-control": "private, no-cache, no-store, no-transform",
        "x-accel-buffering": "no",
        "x-request-id": expect.stringMatching(/^[0-9a-f]{32}$/),
      });
      expect(stream.headers).not.toHaveProperty("content-encoding");
    } finally {
      stream.close();
    }
  });

  it("an instance killed under load: its clients resume on the other one, nothing lost, nothing twice", async () => {
    const clients = await followers("killed");
    const events = load("killed");
    try {
      await waitFor("events to flow", () => clients.every(({ numbers }) => numbers.length > 50));
      await instances[0]!.process.stop("SIGKILL");
      await waitFor("its clients to be back", () => clients.filter(({ opened }) => opened > 1).length >= 2);
      const before = events.sent();
      await waitFor("more events", () => events.sent() > before + 100);
      const count = await events.stop();
      await arrived(clients, count);
      for (const { numbers, problems, notices } of clients) {
        expect([numbers, problems, notices]).toEqual([upTo(count), [], []]);
      }
    } finally {
      close(clients);
      await events.stop();
      await restart(0);
    }
  });

  it("an instance drained under load: its clients move over, nothing lost, nothing twice", async () => {
    const clients = await followers("drained");
    const events = load("drained");
    try {
      await waitFor("events to flow", () => clients.every(({ numbers }) => numbers.length > 50));
      const startMs = performance.now();
      await instances[1]!.process.stop("SIGTERM");
      await waitFor(
        "everybody on the other one",
        async () => (await instances[0]!.metric("millrace_connections")) === 4,
      );
      console.log(`moved within ${Math.round(performance.now() - startMs)} ms of SIGTERM`);
      const count = await events.stop();
      await arrived(clients, count);
      for (const { numbers, problems, notices } of clients) {
        expect([numbers, problems]).toEqual([upTo(count), []]);
        // Who was sent to the leaving one again was told so, and came back.
        expect(notices.filter((notice) => notice !== "draining")).toEqual([]);
      }
    } finally {
      close(clients);
      await events.stop();
      await restart(1);
    }
  });

  it("upgrades WebSockets, over TLS too, for a page of this host, and hands refusals on", async () => {
    const token = await mintToken("sockets");
    const open = (what: string, origin: string, from: string, bearer = token) =>
      new Promise<string>((resolve, reject) => {
        const socket = new WebSocket(`${origin.replace("http", "ws")}/ws/${what}?companyId=sockets`, {
          ...{ origin: from, ca, headers: { authorization: `Bearer ${bearer}` } },
        });
        socket.once("message", (data) => {
          resolve(String(data));
          socket.close();
        });
        socket.once("unexpected-response", (_request, response) => resolve(String(response.statusCode)));
        socket.once("error", reject);
      });
    for (const origin of [plain, nginx.httpsUrl]) {
      expect(JSON.parse(await open("dashboard", origin, origin))).toMatchObject({ companyId: "sockets" });
      expect(JSON.parse(await open("updates", origin, origin))).toEqual({ retry: 3000 });
    }
    expect(await open("updates", nginx.httpsUrl, "https://elsewhere.example")).toBe("403");
    expect(await open("updates", nginx.httpsUrl, nginx.httpsUrl, "nonsense")).toBe("401");
  });

  it("logs no query: tickets and cursors are there", async () => {
    const response = await fetch(`${plain}/stream/health?ticket=hunter2&lastEventId=hunter3`);
    await response.text();
    const id = response.headers.get("x-request-id");
    const line = await waitFor("its line", () =>
      nginx
        .accessLog()
        .split("\n")
        .find((each) => each.includes(String(id))),
    );
    expect(JSON.parse(line)).toMatchObject({ request: "GET /stream/health HTTP/1.1", status: 200 });
    expect(nginx.accessLog()).not.toContain("hunter");
  });

  it("keeps hashed files, and nothing that is private", async () => {
    const page = await (await fetch(plain)).text();
    const asset = /\/assets\/[\w.-]+/.exec(page)![0];
    const upstreams = async (path: string, headers: Record<string, string> = {}) => {
      const seen = [];
      for (let n = 0; n < 2; n++) {
        const response = await fetch(`${plain}${path}`, { headers });
        await response.arrayBuffer();
        const id = String(response.headers.get("x-request-id"));
        const line = await waitFor("its line", () =>
          nginx
            .accessLog()
            .split("\n")
            .find((each) => each.includes(id)),
        );
        seen.push((JSON.parse(line) as { upstream: string }).upstream === "" ? "cache" : "server");
      }
      return seen;
    };
    expect(await upstreams(asset)).toEqual(["server", "cache"]);
    const authorization = `Bearer ${await mintToken("kept")}`;
    expect(await upstreams("/stream/history?companyId=kept", { authorization })).toEqual([
      "server",
      "server",
    ]);
    expect(await upstreams("/")).toEqual(["server", "server"]);
  });

  it("sends who asks without TLS to where there is", async () => {
    const response = await fetch(`http://127.0.0.1:${nginx.httpPort}/events?a=b`, { redirect: "manual" });
    expect([response.status, response.headers.get("location")]).toEqual([
      308,
      "https://127.0.0.1/events?a=b",
    ]);
  });

  it("keeps /metrics and /admin to this machine, however they are spelt", async () => {
    const paths = [
      ...[
        "/metrics",
        "/admin/revocations",
        "//metrics",
        "/%6detrics",
        "/x/../metrics",
        "/./admin/companies/acme/features",
      ],
      ...["/metrics?x=1", "/%61dmin/revocations"],
    ];
    for (const path of paths) expect(await statusFrom("127.0.0.2", path), path).toBe(403);
    // What nginx does not take for these is not them for Millrace either.
    for (const path of ["/metrics/", "/METRICS", "/metrics%2f", "/%256detrics"]) {
      expect(await statusFrom("127.0.0.2", path), path).toBe(404);
    }
    expect(await statusFrom("127.0.0.2", "/healthz")).toBe(200);
    expect(await statusFrom("127.0.0.1", "/metrics")).toBe(200);
    // Of Millrace: no token.
    expect(await statusFrom("127.0.0.1", "/admin/companies/acme/features", "PUT")).toBe(401);
  });

  it("asks one address to slow down with its tickets, and no other one", async () => {
    // The burst is let through at once, so many at a time are over it.
    const flood = Array.from({ length: 160 }, () => statusFrom("127.0.0.3", "/stream/tickets", "POST"));
    const statuses = await Promise.all(flood);
    expect(new Set(statuses)).toEqual(new Set([401, 429]));
    expect(statuses.filter((status) => status === 401).length).toBeGreaterThan(99);
    expect(await statusFrom("127.0.0.4", "/stream/tickets", "POST")).toBe(401);
  });

  it("takes a cookie of 4 KiB from the server", async () => {
    const cookie = `__Host-millrace=${"x".repeat(4_080)}`;
    const server = createServer((_, response) => response.setHeader("set-cookie", cookie).end("ok"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const plainPort = await freePort();
    try {
      await using other = await startShippedNginx({
        upstreams: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`],
        certificate: authority.issue("localhost"),
        plainPort,
      });
      const response = await fetch(`http://127.0.0.1:${plainPort}/stream/health`);
      expect([response.status, response.headers.get("set-cookie")], other.output()).toEqual([200, cookie]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it("compresses JSON", async () => {
    const authorization = `Bearer ${await mintToken("live")}`;
    const coding = await new Promise((resolve, reject) => {
      get(
        `${nginx.httpsUrl}/stream/history?companyId=live`,
        { ca, headers: { authorization, "accept-encoding": "gzip" } },
        (response) => {
          response.resume();
          resolve(response.headers["content-encoding"]);
        },
      ).once("error", reject);
    });
    expect(coding).toBe("gzip");
  });

  it("scores 100 % in the conformance kit", async () => {
    await using broker = await startBroker("queue");
    const bridge: BridgeProcess = await startBridge(redis.url, [
      { ...framedTcpSource(broker.port), type: undefined },
    ]);
    const [company, otherCompany] = ["conformance-a", "conformance-b"];
    const publisher = createPublisher(`tcp://127.0.0.1:${broker.port}`);
    try {
      const session = await prepare({
        ...TARGET_DEFAULTS,
        ...{ url: plain, company, otherCompany, publisher, profile: "millrace", heartbeatMs: HEARTBEAT_MS },
        ...{ token: await mintToken(company), otherToken: await mintToken(otherCompany) },
      });
      const run = (isAlone: boolean) =>
        runChecks(
          session,
          session.checks.filter(({ stage }) => (stage === "alone") === isAlone),
          { budgetMs: 50_000 },
        );
      const together = await run(false);
      // What the instances tell each other of their connections is some seconds old, and these checks count them.
      const headers = { authorization: `Bearer ${session.target.token}` };
      let inARow = 0;
      await waitFor("the stats to be empty, whichever instance is asked", async () => {
        const stats = (await (await fetch(`${plain}/stream/stats`, { headers })).json()) as Stats;
        inARow = stats.connections.totalConnections === 0 ? inARow + 1 : 0;
        return inARow >= 4;
      });
      const results = [...together, ...(await run(true))];
      const of = (kind: string) =>
        results.flatMap(({ check, outcome }) =>
          outcome.kind === kind ? [`${check.id}: ${JSON.stringify(outcome)}`] : [],
        );
      expect(of("fail")).toEqual([]);
      expect(scoreOf(results).percent).toBe(100);
      console.log(`${of("pass").length} checks passed through nginx, not run: ${of("not-run").join("; ")}`);
    } finally {
      await publisher.close();
      await bridge[Symbol.asyncDispose]();
    }
  });
});

/** The status of an answer, asked for from that address of the loopback network and by the path as it is spelt. */
async function statusFrom(localAddress: string, path: string, method = "GET"): Promise<number | undefined> {
  const request = httpRequest({ host: "127.0.0.1", port: new URL(plain).port, path, method, localAddress });
  const [response] = (await once(request.end(), "response")) as [IncomingMessage];
  response.resume();
  return response.statusCode;
}

interface Stats {
  readonly connections: { readonly totalConnections: number };
}

/** Another process on the same port: nginx knows it by that. */
async function restart(index: number): Promise<void> {
  const { port } = new URL(instances[index]!.url);
  await instances[index]!.process.stop("SIGKILL");
  instances[index] = await startServe({
    ...{ REDIS_URL: redis.url, HEARTBEAT_MS: String(HEARTBEAT_MS), DRAIN_MS: "1000", PORT: port },
  });
  // Until nginx asks it again.
  const isAsked = async () => {
    await (await fetch(`${plain}/healthz`)).text();
    return nginx.accessLog().split("\n").slice(-4).join("").includes(`:${port}"`);
  };
  await waitFor("nginx to use it again", isAsked, { everyMs: 100 });
}
