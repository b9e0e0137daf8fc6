/** `/metrics` of what a process has: the numbers operators are woken by, against real stores and a real hub. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GENESIS } from "../../functions/core/cursor.ts";
import { MAX_LOG_EVENTS } from "../../functions/core/limits.ts";
import { readSettings } from "../../functions/core/settings.ts";
import { createHub } from "../../functions/hub/hub.ts";
import { createMetrics, type MetricsOptions } from "../../functions/runtimes/node/metrics.ts";
import { openStore, type Store } from "../../functions/runtimes/node/open-store.ts";
import { events, newCompany } from "../contracts/event-log-support.ts";
import { join, joined } from "../contracts/hub-support.ts";
import { token } from "../routes/test-app.ts";
import { startTestServer } from "../routes/test-server.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const HOUR_MS = 3_600_000;
const folder = mkdtempSync(joinPath(tmpdir(), "millrace-metrics-"));
let store: Store;
beforeAll(async () => {
  store = await openStore({ settings: readSettings({ DATA_DIR: folder }), logger: silent });
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** One number of the text; undefined: it has no value. */
const read = (body: string, series: string): number | undefined => {
  const line = body.split("\n").find((text) => text.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};
async function scrape(options: MetricsOptions) {
  const { body } = await createMetrics(options)();
  return (series: string) => read(body, series);
}
const hubOf = () =>
  createHub({
    ...{ log: store.log, logger: silent, heartbeatMs: 60_000, idleTimeoutMs: 60_000 },
    ...{ maxConnectionAgeMs: 0, bufferEvents: 100, maxConnectionsPerCompany: 100 },
  });

describe("streams", () => {
  it("are told apart by how they stand, with what the slow ones have still to be given", async () => {
    const { log } = store;
    const [hub, company] = [hubOf(), newCompany("metrics")];
    const ask = () => scrape({ hub, log, retentionMs: HOUR_MS });
    const none = await ask();
    expect(none("millrace_undelivered_events")).toBe(0);
    expect(none("millrace_unread_seconds")).toBe(0);
    expect(none("millrace_retention_headroom_seconds")).toBe(3600);

    const well = await joined(join(hub, company));
    const slow = join(hub, company, { isStalled: true });
    await waitFor("both", () => hub.backlog().streams.stalled === 1);
    await log.append(events(company, 0, 30));
    await well.has(30);
    const all = await ask();
    expect(all('millrace_streams{state="current"}')).toBe(1);
    expect(all('millrace_streams{state="stalled"}')).toBe(1);
    expect(all("millrace_undelivered_events")).toBe(30);
    expect(all("millrace_unread_seconds")).toBeLessThan(60);
    expect(all("millrace_retention_headroom_seconds")).toBeGreaterThan(3540);
    expect(all("millrace_retention_headroom_seconds")).toBeLessThan(3600);
    expect(all("millrace_joins_total")).toBe(2);

    slow.drain();
    await slow.has(30);
    const later = await ask();
    expect(later('millrace_streams{state="current"}')).toBe(2);
    expect(later("millrace_undelivered_events")).toBe(0);
    expect(later("millrace_retention_headroom_seconds")).toBe(3600);
    for (const { membership } of [well, slow]) membership.leave();
  });

  it("one that replays from the log counts as replaying, with the events that are in no memory left out", async () => {
    const [hub, company] = [hubOf(), newCompany("metrics")];
    const [first] = await store.log.append(events(company, 0, 300));
    const live = await joined(join(hub, company));
    const replaying = join(hub, company, { after: first!.cursor, isStalled: true });
    await waitFor("the first page", () => replaying.writes.length > 0);
    // It holds a place in no page while it takes nothing, and its cursor is not in the ring, which began at the tip.
    expect(hub.backlog()).toMatchObject({ streams: { current: 1, stalled: 1 }, undeliveredEvents: 0 });
    expect(hub.backlog().oldestUnreadMs.size).toBe(1);
    for (const { membership } of [live, replaying]) membership.leave();
  });

  it("the time from append to socket is observed once a turn, and not of a replay", async () => {
    const [hub, company] = [hubOf(), newCompany("metrics")];
    await store.log.append(events(company, 0, 10));
    const clients = [join(hub, company, { after: GENESIS }), join(hub, company, { after: GENESIS })];
    for (const client of clients) await client.has(10);
    const replayed = await scrape({ hub });
    expect(replayed("millrace_delivery_seconds_count")).toBe(0);
    await store.log.append(events(company, 10, 20));
    for (const client of clients) await client.has(20);
    const filtered = join(hub, company, { types: ["wanted"] });
    await joined(filtered);
    const lived = await scrape({ hub });
    expect(lived("millrace_delivery_seconds_count")).toBe(1);
    expect(lived('millrace_delivery_seconds_bucket{le="10"}')).toBe(1);
    expect(lived('millrace_delivery_seconds_bucket{le="+Inf"}')).toBe(1);
    expect(lived("millrace_delivery_seconds_sum")).toBeLessThan(10);
    for (const client of clients) client.membership.leave();
    // Who is given nothing has waited for nothing.
    await store.log.append(events(company, 20, 21));
    await waitFor("its cursor", async () => filtered.cursor() === (await store.log.tip(company)));
    expect((await scrape({ hub }))("millrace_delivery_seconds_count")).toBe(1);
    filtered.membership.leave();
  });
});

describe("the time from append to socket", () => {
  it("is not that of a client which took nothing, where all wait for it", async () => {
    const [hub, company] = [hubOf(), newCompany("metrics")];
    const slow = join(hub, company, { isStalled: true });
    await waitFor("the stall", () => hub.backlog().streams.stalled === 1);
    await store.log.append(events(company, 0, 10));
    await waitFor("the events", () => hub.backlog().undeliveredEvents === 10);
    slow.drain();
    await slow.has(10);
    expect((await scrape({ hub }))("millrace_delivery_seconds_count")).toBe(0);
    await store.log.append(events(company, 10, 20));
    await slow.has(20);
    expect((await scrape({ hub }))("millrace_delivery_seconds_count")).toBe(1);
    slow.membership.leave();
  });
});

describe("the retention headroom", () => {
  const company = newCompany("metrics");
  /** A stream has been given nothing for so long, of a company with so many events, the oldest so old. */
  const headroom = async (
    unreadMs: number,
    { kept = 10, oldestMs = HOUR_MS, retentionMs = HOUR_MS } = {},
  ) => {
    const nowMs = Date.now();
    const hub = hubOf();
    const value = await scrape({
      retentionMs,
      hub: {
        ...hub,
        backlog: () => ({ ...hub.backlog(), oldestUnreadMs: new Map([[company, nowMs - unreadMs]]) }),
      },
      log: {
        stats: async () => ({ companies: 1, totalEvents: kept, eventsByCompany: { [company]: kept } }),
        read: async () => {
          const oldest = `epoch.${nowMs - oldestMs}-0` as typeof GENESIS;
          return { kind: "expired", resumeAfter: oldest, oldest };
        },
      },
    });
    return [value("millrace_unread_seconds")!, value("millrace_retention_headroom_seconds")!].map(Math.round);
  };

  it.each([
    ["falls with the age of what is unread", 600_000, {}, [600, 3000]],
    ["is 0 of what is gone, as old as the oldest that is kept", 9e12, {}, [3600, 0]],
    [
      "a replay from the beginning is as far behind as the log goes back",
      9e12,
      { oldestMs: 60_000 },
      [60, 3540],
    ],
    [
      "a full log forgets as fast as it was filled",
      60_000,
      { kept: MAX_LOG_EVENTS, oldestMs: 100_000 },
      [60, 40],
    ],
    ["one that fills up in time too", 60_000, { kept: MAX_LOG_EVENTS / 2, oldestMs: 100_000 }, [60, 140]],
    [
      "a short one says nothing of its pace",
      60_000,
      { kept: 1000, oldestMs: 1000, retentionMs: 7e6 },
      [1, 6999],
    ],
  ])("%s", async (_, unreadMs, log, expected) => {
    expect(await headroom(unreadMs, log)).toEqual(expected);
  });

  it("asks a real log for its oldest event", async () => {
    await store.log.append(events(company, 0, 3));
    const hub = hubOf();
    const backlog = () => ({ ...hub.backlog(), oldestUnreadMs: new Map([[company, 0]]) });
    const value = await scrape({ hub: { ...hub, backlog }, log: store.log, retentionMs: HOUR_MS });
    expect(value("millrace_retention_headroom_seconds")).toBeGreaterThan(3540);
  });
});

describe("refusals", () => {
  it("are counted by reason, on streams and elsewhere", async () => {
    const counted: string[] = [];
    await using test = await startTestServer({
      hub: { maxConnectionsPerCompany: 0 },
      deps: { onRefused: (reason) => counted.push(reason) },
    });
    const ask = (path: string, bearer?: string) =>
      test.app.request(path, {
        headers: { accept: "text/event-stream", ...(bearer ? { authorization: `Bearer ${bearer}` } : {}) },
      });
    const acme = await token();
    await ask("/stream/updates?companyId=acme", acme);
    await ask("/stream/updates?companyId=acme");
    await ask("/stream/updates?companyId=globex", acme);
    await ask("/stream/history?companyId=acme&limit=none", acme);
    Object.assign(test.log, { read: () => Promise.reject(new Error("a fault")) });
    await ask("/stream/history?companyId=acme", acme);
    await ask("/healthz");
    expect(counted).toEqual(["busy", "unauthorized", "forbidden", "invalid-input", "internal"]);
  });
});

describe("the store", () => {
  it("has its letters counted, and its calls", async () => {
    const earlier = await scrape(store);
    expect(earlier("millrace_dead_letters")).toBe(0);
    await store.deadLetters.put([
      {
        ...{ source: "nats", reason: "why", subject: "", headers: {}, bodyBase64: "", randomId: "1" },
        time: "2026-01-31T12:00:00Z",
      },
    ]);
    const later = await scrape(store);
    expect(later("millrace_dead_letters")).toBe(1);
    expect(later("millrace_store_failures_total")).toBe(0);
    expect(later("millrace_store_call_seconds_count")).toBeGreaterThan(
      earlier("millrace_store_call_seconds_count")!,
    );
    expect(later("millrace_log_fullest_ratio")).toBeGreaterThan(0);
  });

  const reason = missing("redis-server");
  it("that goes away is seen by its failures, and costs the scrape no more than its seconds", async (context) => {
    if (reason !== undefined) context.skip(reason);
    await using redis = await startRedis();
    await using own = await openStore({ settings: readSettings({ REDIS_URL: redis.url }), logger: silent });
    await waitFor("Redis", () => own.log.ping().then(() => true));
    await own.log.append(events(newCompany("metrics"), 0, 3));
    const up = await scrape(own);
    expect([up("millrace_log_up"), up("millrace_dead_letters")]).toEqual([1, 0]);
    expect(up("millrace_store_call_seconds_count")).toBeGreaterThanOrEqual(2);
    const failedBefore = up("millrace_store_failures_total")!;
    await redis.kill();
    const startMs = performance.now();
    const down = await waitFor("the failure", async () => {
      const value = await scrape(own);
      return value("millrace_log_up") === 0 && value;
    });
    expect(performance.now() - startMs).toBeLessThan(8_000);
    expect(down("millrace_dead_letters")).toBeUndefined();
    expect(down("millrace_store_failures_total")).toBeGreaterThan(failedBefore);
  });
});
