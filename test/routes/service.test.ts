/** Stats, health, probes and metrics. */
import { afterEach, describe, expect, it } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { SourceStatus } from "../../functions/routes/probes.ts";
import { createMetrics } from "../../functions/runtimes/node/metrics.ts";
import { waitFor } from "../support/wait.ts";
import { json, startTestApp, type TestApp, token } from "./test-app.ts";

let test: TestApp | undefined;
const start = async (...options: Parameters<typeof startTestApp>) => {
  test = await startTestApp(...options);
  return test;
};
afterEach(async () => {
  await test?.[Symbol.asyncDispose]();
  test = undefined;
});

const counts = (entries: Record<string, number>) => entries as Record<CompanyId, number>;
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/);

/** Two streams of acme and one of globex here, more elsewhere; 2 events kept of acme, 1 of globex, 1 of initech. */
async function startBusy() {
  const app = await start();
  await app.append("acme", 2);
  for (const company of ["globex", "initech"]) await app.append(company, 1);
  const globex = await token({ companyId: "globex" });
  for (const [company, bearer] of [["acme"], ["acme"], ["globex", globex]] as const) {
    const stream = await app.open(`/stream/updates?companyId=${company}`, bearer ? { token: bearer } : {});
    await stream.until("retry:");
  }
  await app.registry.report("other", {
    connectionsByCompany: counts({ acme: 3, constructor: 1, initech: 0 }),
  });
  // Reported by this very process a while ago: its fresh numbers count instead.
  await app.registry.report("this", { connectionsByCompany: counts({ acme: 100 }) });
  return app;
}

describe("GET /stream/stats", () => {
  it("shows ops every company, over all instances", async () => {
    const { ask } = await startBusy();
    const response = await ask("/stream/stats", { token: await token({ roles: ["ops"] }) });
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await json(response)).toEqual({
      connections: {
        totalConnections: 7,
        activeCompanies: 3,
        connectionsByCompany: { acme: 5, globex: 1, constructor: 1 },
      },
      replayCache: { companies: 3, totalEvents: 4, eventsByCompany: { acme: 2, globex: 1, initech: 1 } },
      timestamp: TIME,
    });
  });

  it("shows a company its own numbers and nothing of the others", async () => {
    const { ask } = await startBusy();
    const text = await (await ask("/stream/stats")).text();
    expect(JSON.parse(text)).toEqual({
      connections: { totalConnections: 5, activeCompanies: 1, connectionsByCompany: { acme: 5 } },
      replayCache: { companies: 1, totalEvents: 2, eventsByCompany: { acme: 2 } },
      timestamp: TIME,
    });
    expect(text).not.toMatch(/globex|initech/);
  });

  it("needs a token, and takes none from the URL", async () => {
    const { ask } = await start();
    expect((await ask("/stream/stats", { token: null })).status).toBe(401);
    expect((await ask(`/stream/stats?jwt=${await token()}`)).status).toBe(400);
  });

  it("shows everything where nobody is asked for a name", async () => {
    const { ask, append } = await start({ authenticator: createNoAuthenticator() });
    await append("acme", 1);
    const stats = await json(await ask("/stream/stats", { token: null }));
    expect(stats.replayCache).toMatchObject({ eventsByCompany: { acme: 1 } });
  });
});

describe("GET /stream/health", () => {
  it("says ok with totals over all instances and no company's name, to anyone", async () => {
    const { ask } = await startBusy();
    const response = await ask("/stream/health", { token: null });
    expect([response.status, await json(response)]).toEqual([
      200,
      {
        status: "ok",
        streaming: { enabled: true, activeConnections: 7, activeCompanies: 3 },
        timestamp: TIME,
      },
    ]);
  });

  it("says disabled when streaming is switched off", async () => {
    const { ask } = await start({ settings: { STREAMING_ENABLED: false } });
    const response = await ask("/stream/health", { token: null });
    expect([response.status, await json(response)]).toMatchObject([
      200,
      { status: "disabled", streaming: { enabled: false } },
    ]);
  });
});

describe("probes", () => {
  const ready = async (app: TestApp) => {
    const response = await app.ask("/ready", { token: null });
    return [response.status, await json(response)] as const;
  };

  it("/healthz and /ready answer 200, and HEAD too", async () => {
    const app = await start();
    for (const path of ["/healthz", "/ready"]) {
      for (const method of ["GET", "HEAD"]) {
        expect((await app.ask(path, { token: null, method })).status).toBe(200);
      }
    }
  });

  it("/ready fails while draining, /healthz does not", async () => {
    const app = await start();
    await app.hub.drain(0);
    expect(await ready(app)).toEqual([
      503,
      { error: "Service Unavailable", message: "This instance is about to stop" },
    ]);
    expect((await app.ask("/healthz", { token: null })).status).toBe(200);
  });

  it("fail with the reason when the log answers an error, without saying where it is", async () => {
    const ping = () => Promise.reject(new MillraceError("unavailable", "Cannot reach redis://10.0.0.7"));
    const app = await start();
    Object.assign(app.log, { ping });
    expect(await ready(app)).toEqual([
      503,
      { error: "Service Unavailable", message: "The event log does not answer" },
    ]);
    const health = await app.ask("/stream/health", { token: null });
    expect([health.status, await json(health)]).toMatchObject([503, { status: "degraded" }]);
    expect(app.logged().map(({ fields }) => fields.reason)).toEqual(
      Array(2).fill("Cannot reach redis://10.0.0.7"),
    );
  });

  it("/ready names every source, and says of each that brings nothing why", async () => {
    const up = { name: "live", kind: "nats", state: "up", lastError: undefined } as const;
    let sources: SourceStatus[] = [];
    const app = await start({ deps: { sources: () => sources } });
    expect(await ready(app)).toEqual([200, { status: "ready", sources: [] }]);
    sources = [up];
    expect(await ready(app)).toEqual([
      200,
      { status: "ready", sources: [{ name: "live", kind: "nats", state: "up" }] },
    ]);
    sources = [
      up,
      { ...up, name: "orders", state: "down", lastError: "Cannot connect to NATS: refused" },
      { ...up, name: "new", state: "starting" },
      { ...up, name: "lost", state: "down" },
      { ...up, name: "full", lastError: "Cannot append: out of memory" },
      { ...up, name: "ended", state: "stopped" },
    ];
    expect(await ready(app)).toEqual([
      503,
      {
        error: "Service Unavailable",
        message: "Not every source brings its messages: orders, new, lost, full, ended",
        sources: [
          { name: "live", kind: "nats", state: "up" },
          { name: "orders", kind: "nats", state: "down", reason: "Cannot connect to NATS: refused" },
          {
            name: "new",
            kind: "nats",
            state: "starting",
            reason: expect.stringContaining("not been connected"),
          },
          { name: "lost", kind: "nats", state: "down", reason: expect.stringContaining("not connected") },
          { name: "full", kind: "nats", state: "up", reason: "Cannot append: out of memory" },
          { name: "ended", kind: "nats", state: "stopped", reason: expect.stringContaining("closed") },
        ],
      },
    ]);
    Object.assign(app.log, { ping: () => Promise.reject(new MillraceError("unavailable", "away")) });
    expect(await ready(app)).toMatchObject([503, { message: "The event log does not answer" }]);
    await app.hub.drain(0);
    expect(await ready(app)).toMatchObject([503, { message: "This instance is about to stop" }]);
    expect((await app.ask("/healthz", { token: null })).status).toBe(200);
  });

  it("fail within seconds when the log never answers", async () => {
    const app = await start();
    Object.assign(app.log, { ping: () => new Promise(() => {}) });
    const startMs = performance.now();
    const [[status], health] = await Promise.all([ready(app), app.ask("/stream/health", { token: null })]);
    expect([status, health.status]).toEqual([503, 503]);
    expect(performance.now() - startMs).toBeLessThan(5_000);
  });
});

describe("GET /metrics", () => {
  it("is Prometheus text of the hub, the log, the process and the sources, and names no company", async () => {
    const sample = {
      name: "orders",
      kind: "nats",
      state: "up" as const,
      lastError: undefined,
      acknowledges: true,
      lag: async () => 17,
      received: 10,
      appended: 6,
      duplicates: 2,
      deadLetteredBy: { company: 1, data: 0 },
      dropped: 3,
      leftOut: 7,
      readings: 8,
      duplicateReadings: 9,
      retries: 4,
      reconnects: 5,
      oldestUnackedAtMs: undefined,
    };
    const app = await startBusy();
    await app.append("acme", 1, { from: 2 });
    await waitFor("two deliveries", () => app.hub.stats().counters.deliveredFrames === 2);
    const metrics = createMetrics({
      hub: app.hub,
      log: app.log,
      sources: () => [
        sample,
        {
          ...sample,
          ...{ name: "late", state: "down", lastError: "Cannot connect: hunter2", acknowledges: false },
          ...{ oldestUnackedAtMs: Date.now() - 60_000, lag: async () => undefined },
        },
      ],
    });
    for (let scrape = 0; scrape < 2; scrape++) {
      const { contentType, body } = await metrics();
      expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
      const lines = body.split("\n");
      expect(lines).toEqual(
        expect.arrayContaining([
          "# TYPE millrace_delivered_frames_total counter",
          "millrace_connections 3",
          "millrace_active_companies 2",
          "millrace_draining 0",
          "millrace_delivered_frames_total 2",
          'millrace_gaps_total{reason="expired"} 0',
          "millrace_idle_timeouts_total 0",
          "millrace_log_up 1",
          "millrace_log_events 5",
          "millrace_log_companies 3",
          'millrace_source_received_total{source="orders",kind="nats"} 10',
          'millrace_source_appended_total{source="orders",kind="nats"} 6',
          'millrace_source_duplicates_total{source="orders",kind="nats"} 2',
          'millrace_source_readings_total{source="orders",kind="nats"} 8',
          'millrace_source_duplicate_readings_total{source="orders",kind="nats"} 9',
          'millrace_source_dead_letters_total{source="orders",kind="nats",reason="company"} 1',
          'millrace_source_dead_letters_total{source="orders",kind="nats",reason="data"} 0',
          'millrace_source_dropped_total{source="orders",kind="nats",reason="lost"} 3',
          'millrace_source_dropped_total{source="orders",kind="nats",reason="flood"} 7',
          'millrace_source_retries_total{source="orders",kind="nats"} 4',
          'millrace_source_reconnects_total{source="orders",kind="nats"} 5',
          'millrace_source_up{source="orders",kind="nats"} 1',
          'millrace_source_up{source="late",kind="nats"} 0',
          'millrace_source_oldest_unacked_seconds{source="orders",kind="nats"} 0',
          expect.stringMatching(/^millrace_source_oldest_unacked_seconds\{source="late",kind="nats"\} 6\d/),
          'millrace_source_lag_messages{source="orders",kind="nats"} 17',
          'millrace_source_info{source="orders",kind="nats",delivery="at-least-once"} 1',
          'millrace_source_info{source="late",kind="nats",delivery="at-most-once"} 1',
          expect.stringMatching(/^process_resident_memory_bytes \d+$/),
          expect.stringMatching(/^millrace_written_bytes_total [1-9]\d*$/),
        ]),
      );
      expect(body).not.toMatch(/acme|globex|initech|hunter2/);
      expect(body).not.toMatch(/^millrace_source_lag_messages\{source="late"/m);
    }
  });

  it("goes on when the log does not answer, and says so", async () => {
    const { hub } = await start();
    let isUp = true;
    const stats = async () => {
      if (!isUp) throw new MillraceError("unavailable", "away");
      return { companies: 1, totalEvents: 7, eventsByCompany: {} };
    };
    const metrics = createMetrics({
      hub,
      log: { stats, read: () => Promise.reject(new Error("nobody asks")) },
    });
    expect((await metrics()).body).toContain("millrace_log_events 7\n");
    isUp = false;
    const { body } = await metrics();
    expect(body).toContain("millrace_log_up 0\n");
    expect(body).toContain("millrace_connections 0\n");
    expect(body).not.toMatch(/^millrace_log_events/m);
  });

  it("waits for no broker: a lag that is late, or fails, has no value and costs the others nothing", async () => {
    const source = (name: string, lag: () => Promise<number | undefined>) => ({
      ...{ name, lag, kind: "nats", state: "up" as const, lastError: undefined, acknowledges: true },
      ...{
        received: 1,
        appended: 1,
        duplicates: 0,
        deadLetteredBy: {},
        dropped: 0,
        leftOut: 0,
        readings: 0,
        duplicateReadings: 0,
        retries: 0,
        reconnects: 0,
      },
      oldestUnackedAtMs: undefined,
    });
    const sources = [
      source("good", async () => 3),
      source("silent", () => new Promise(() => {})),
      source("silent-too", () => new Promise(() => {})),
      source("broken", () => Promise.reject(new Error("no"))),
    ];
    const metrics = createMetrics({ sources: () => sources });
    const startMs = performance.now();
    const { body } = await metrics();
    expect(performance.now() - startMs).toBeLessThan(3_500);
    expect(body.match(/^millrace_source_lag_messages\{.*$/gm)).toEqual([
      'millrace_source_lag_messages{source="good",kind="nats"} 3',
    ]);
    expect(body.match(/^millrace_source_received_total\{/gm)).toHaveLength(4);
    // A process without streams has no numbers of streams.
    expect(body).not.toContain("millrace_connections");
  });

  it("is served without a token", async () => {
    const { ask } = await start();
    const response = await ask("/metrics", { token: null });
    expect([response.status, response.headers.get("content-type")]).toEqual([
      200,
      expect.stringMatching(/^text\/plain/),
    ]);
    expect(await response.text()).toContain("millrace_connections 0\n");
  });
});
