import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { MillraceError } from "../../functions/core/errors.ts";
import { type CompanyId, parseCompanyId } from "../../functions/core/ids.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { event } from "../contracts/event-log-support.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import {
  countersOn,
  type Dashboard,
  EVERY_MS,
  type Feed,
  redisStore,
  type Store,
  sqliteStore,
  watch,
} from "./counters-support.ts";

const acme = parseCompanyId("acme");
const globex = parseCompanyId("globex");
const AUDIT = { type: "audit.txn" };

let store: Store | undefined;
let log: EventLog;
const stack = () => new DisposableStack();
let held = stack();
const start = async (options: Parameters<typeof countersOn>[1] = {}, timeZone = "UTC") => {
  store = await sqliteStore({ timeZone });
  log = await store.open();
  return held.use(countersOn(log, { timeZone, ...options }));
};
afterEach(async () => {
  vi.useRealTimers();
  held.dispose();
  held = stack();
  await store?.[Symbol.asyncDispose]();
  store = undefined;
});

const append = (company: CompanyId, ids: readonly (string | number)[], type = AUDIT.type) =>
  log.append(
    ids.map((id) => event(company, id, { type, dataText: `{"n":"${id}","big":12345678901234567890.10}` })),
  );
const idsOf = (feed: Feed | undefined, name = "AUDIT_TXN") =>
  (feed?.[name]?.recent as { n: string }[] | undefined)?.map(({ n }) => n);

describe("the feed", () => {
  it("has the three use cases, also when nothing was counted", async () => {
    const counters = await start();
    const none = { total: 0, rate: 0, recent: [] };
    const expected = { AUDIT_TXN: none, PROMO_FEED: none, CENTRAL_SYNC: none };
    expect(JSON.parse((await counters.poll(acme)).text)).toEqual(expected);
    expect(JSON.parse((await counters.poll(undefined)).text)).toEqual(expected);
    const client = watch<Feed>(counters, "feed", acme);
    expect(await client.until("a snapshot", () => true)).toEqual(expected);
  });

  it("counts each use case by its type, with the newest ten payloads as stored, on a cold start and live", async () => {
    const counters = await start();
    await append(
      acme,
      Array.from({ length: 12 }, (_, n) => `a${n}`),
    );
    await append(acme, ["p0"], "promo.feed");
    await append(acme, ["x", "y"], "audit.txn.v2");
    const { text } = await counters.poll(acme);
    expect(text).toContain('{"companyId":"acme","n":"a11","big":12345678901234567890.10}');
    const polled = JSON.parse(text) as Feed;
    expect([polled.AUDIT_TXN!.total, polled.PROMO_FEED!.total, polled.CENTRAL_SYNC!.total]).toEqual([
      12, 1, 0,
    ]);
    expect(idsOf(polled)).toEqual(Array.from({ length: 10 }, (_, n) => `a${n + 2}`));

    const client = watch<Feed>(counters, "feed", acme);
    await append(acme, ["c0"], "central.sync");
    await append(acme, ["a11", "a12", "a12"]);
    const live = await client.until(
      "both",
      ({ AUDIT_TXN, CENTRAL_SYNC }) => AUDIT_TXN!.total === 13 && CENTRAL_SYNC!.total === 1,
    );
    expect(idsOf(live)).toEqual(Array.from({ length: 10 }, (_, n) => `a${n + 3}`));
    expect(idsOf(live, "CENTRAL_SYNC")).toEqual(["c0"]);
  });

  it("is sent again and again while it is watched, changed or not", async () => {
    const counters = await start();
    const client = watch<Feed>(counters, "feed", acme);
    await waitFor("five snapshots", () => client.texts.length >= 5);
    expect(new Set(client.texts).size).toBe(1);
  });

  it("has the rate of the last ten whole seconds, on a cold start too, and lets it fall to nothing", async () => {
    const counters = await start();
    vi.useFakeTimers({ toFake: ["Date"] });
    const at = (time: string) => vi.setSystemTime(new Date(`2026-12-31T${time}Z`));
    at("23:59:55.5");
    await append(acme, ["0", "1", "2", "3"]);
    at("23:59:59.9");
    await append(acme, ["4", "5", "0"]);
    const rate = async (of = counters) => (JSON.parse((await of.poll(acme)).text) as Feed).AUDIT_TXN!.rate;
    expect(await rate()).toBe(0.4);
    vi.setSystemTime(new Date("2027-01-01T00:00:00Z"));
    const cold = held.use(countersOn(await store!.open()));
    expect([await rate(), await rate(cold)]).toEqual([0.6, 0.6]);
    vi.setSystemTime(new Date("2027-01-01T00:00:05.9Z"));
    expect([await rate(), await rate(cold)]).toEqual([0.6, 0.6]);
    vi.setSystemTime(new Date("2027-01-01T00:00:06Z"));
    expect([await rate(), await rate(cold)]).toEqual([0.2, 0.2]);
    vi.setSystemTime(new Date("2027-01-01T00:00:10Z"));
    expect([await rate(), await rate(cold)]).toEqual([0, 0]);
  });
});

describe("the dashboard", () => {
  it("has every type, all-time, today and by minute, and says when and where", async () => {
    const counters = await start({}, "Asia/Karachi");
    await append(acme, ["1", "2"]);
    await append(acme, ["3"], "__proto__");
    const client = watch<Dashboard>(counters, "dashboard", acme);
    const {
      companyId,
      timeZone,
      time,
      counters: counted,
    } = await client.until("both", ({ counters: all }) => Object.keys(all).length === 2);
    expect([companyId, timeZone]).toEqual(["acme", "Asia/Karachi"]);
    expect(Math.abs(Date.parse(time) - Date.now())).toBeLessThan(10_000);
    const minutes = (last: number) =>
      expect.toSatisfy((all: number[]) => all.length === 60 && all.reduce((a, b) => a + b) === last);
    expect(Object.entries(counted)).toEqual([
      ["__proto__", { total: 1, today: 1, minutes: minutes(1) }],
      ["audit.txn", { total: 2, today: 2, minutes: minutes(2) }],
    ]);
  });

  it("is sent when it changes and not when it does not", async () => {
    const counters = await start();
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-06-01T12:00:00Z") });
    const client = watch<Dashboard>(counters, "dashboard", acme);
    const feed = watch<Feed>(counters, "feed", acme);
    const turns = async () => {
      const before = feed.texts.length;
      await waitFor("three turns", () => feed.texts.length >= before + 3);
    };
    await turns();
    expect(client.texts).toHaveLength(1);
    await append(acme, ["1"]);
    await client.until("it", ({ counters: all }) => all["audit.txn"]?.total === 1);
    await append(acme, ["1", "1"]);
    await turns();
    expect(client.texts).toHaveLength(2);
    vi.setSystemTime(new Date("2026-06-01T12:01:00Z"));
    await client.until("the minute to turn", ({ counters: all }) => all["audit.txn"]!.minutes.at(-2) === 1);
    await turns();
    expect(client.texts).toHaveLength(3);
  });

  it.each([
    ["UTC", "2026-12-31T23:59:59.500Z", "2027-01-01T00:00:00.000Z"],
    ["Asia/Karachi", "2026-12-31T18:59:59.500Z", "2026-12-31T19:00:00.000Z"],
    ["Africa/Cairo", "2026-04-23T21:59:59.500Z", "2026-04-23T22:00:00.000Z"],
    ["America/New_York", "2026-11-02T04:59:59.500Z", "2026-11-02T05:00:00.000Z"],
  ])("starts today at midnight of %s while it is watched, without a read", async (zone, before, after) => {
    const counters = await start({}, zone);
    vi.useFakeTimers({ toFake: ["Date"], now: new Date(before) });
    await append(acme, ["1", "2"]);
    const client = watch<Dashboard>(counters, "dashboard", acme);
    const today = (wanted: number) =>
      client.until(`${wanted} today`, ({ counters: all }) => all["audit.txn"]?.today === wanted);
    await today(2);
    const read = vi.spyOn(log, "tallies");
    vi.setSystemTime(new Date(after));
    expect((await today(0)).counters["audit.txn"]!.total).toBe(2);
    expect(read).not.toHaveBeenCalled();
    // A redelivery of yesterday's is not today's.
    await append(acme, ["1", "3"]);
    expect((await today(1)).counters["audit.txn"]!.total).toBe(3);
  });
});

describe("over all companies", () => {
  it("adds up, notices new companies, and keeps those apart that are asked for one by one", async () => {
    const counters = await start();
    await append(acme, ["1", "2"]);
    const all = watch<Feed>(counters, "feed", undefined);
    const own = watch<Feed>(counters, "feed", acme);
    const board = watch<Dashboard>(counters, "dashboard", undefined);
    await all.until("acme's", ({ AUDIT_TXN }) => AUDIT_TXN!.total === 2);
    await append(globex, ["1", "9"]);
    const both = await all.until("globex's too", ({ AUDIT_TXN }) => AUDIT_TXN!.total === 4);
    expect(idsOf(both)).toEqual(["1", "2", "1", "9"]);
    await append(acme, ["3"]);
    await own.until("the third", ({ AUDIT_TXN }) => AUDIT_TXN!.total === 3);
    expect(own.texts.join()).not.toContain("globex");
    expect(idsOf(own.last())).toEqual(["1", "2", "3"]);
    const summed = await board.until("five", ({ counters: types }) => types["audit.txn"]?.total === 5);
    expect([summed.companyId, summed.counters["audit.txn"]!.today]).toEqual([null, 5]);
    expect(counters.stats()).toEqual({ watchers: 3, companies: 2 });
  });

  it("has every company in its first snapshot, however slow the store is, and reads few at once", async () => {
    store = await sqliteStore();
    log = await store.open();
    const companies = Array.from({ length: 60 }, (_, n) => parseCompanyId(`c${n}`));
    for (const company of companies) await append(company, ["1"]);
    let reading = 0;
    let most = 0;
    const slow: EventLog = {
      ...log,
      async tallies(company) {
        most = Math.max(most, ++reading);
        await new Promise((resolve) => setTimeout(resolve, 5));
        reading--;
        return log.tallies(company);
      },
    };
    const counters = held.use(countersOn(slow));
    const [client, polled] = [watch<Feed>(counters, "feed", undefined), counters.poll(undefined)];
    await waitFor("a snapshot", () => client.texts.length > 0);
    for (const text of [client.texts[0]!, (await polled).text]) {
      expect((JSON.parse(text) as Feed).AUDIT_TXN!.total).toBe(60);
    }
    expect(most).toBe(16);
  });

  it("counts a company whose events have all been trimmed", async () => {
    const counters = await start();
    vi.useFakeTimers({ toFake: ["Date"], now: new Date("2026-06-01T12:00:00Z") });
    await append(acme, ["1", "2"]);
    vi.setSystemTime(new Date("2026-06-01T14:00:00Z"));
    await append(globex, ["1"]);
    expect((await log.stats()).eventsByCompany).toEqual({ globex: 1 });
    const { AUDIT_TXN } = JSON.parse((await counters.poll(undefined)).text) as Feed;
    expect([AUDIT_TXN!.total, AUDIT_TXN!.recent.length]).toEqual([3, 1]);
  });
});

describe("exactness", () => {
  it.for([
    ["SQLite", sqliteStore, 15, undefined],
    ["Redis", redisStore, 4, missing("redis-server")],
  ] as const)(
    "on %s, whatever is sent twice, by whichever instance: every watcher everywhere ends with the distinct events",
    async ([_name, create, numRuns, reason], context) => {
      if (reason !== undefined) return context.skip(reason);
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              company: fc.constantFrom(acme, globex),
              by: fc.constantFrom(0, 1),
              type: fc.constantFrom("audit.txn", "promo.feed", "other.type"),
              ids: fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 12 }),
            }),
            { minLength: 1, maxLength: 25 },
          ),
          async (appends) => {
            await using own = await create();
            const logs = [await own.open(), await own.open()];
            using first = countersOn(logs[0]!);
            using second = countersOn(logs[1]!);
            const boards = [first, second].flatMap((counters) =>
              [acme, globex, undefined].map((scope) => ({
                scope,
                client: watch<Dashboard>(counters, "dashboard", scope),
              })),
            );
            /** The type an event had when it was first seen counts. */
            const seen = new Map<CompanyId, Map<number, string>>([
              [acme, new Map()],
              [globex, new Map()],
            ]);
            for (const { company, by, type, ids } of appends) {
              await logs[by]!.append(ids.map((id) => event(company, id, { type })));
              for (const id of ids) if (!seen.get(company)!.has(id)) seen.get(company)!.set(id, type);
            }
            for (const { scope, client } of boards) {
              const expected: Record<string, number> = {};
              for (const [company, types] of seen) {
                if (scope !== undefined && scope !== company) continue;
                for (const type of types.values()) expected[type] = (expected[type] ?? 0) + 1;
              }
              const snapshot = await client.until(`${JSON.stringify(expected)} of ${scope}`, ({ counters }) =>
                Object.keys(expected).every((type) => counters[type]?.total === expected[type]),
              );
              expect(
                Object.fromEntries(
                  Object.entries(snapshot.counters).map(([type, { total }]) => [type, total]),
                ),
              ).toEqual(expected);
              for (const { total, today, minutes } of Object.values(snapshot.counters)) {
                expect(minutes.reduce((a, b) => a + b)).toBe(total);
                // But at midnight.
                expect([total, 0]).toContain(today);
              }
            }
            for (const { client } of boards) client.leave();
          },
        ),
        { numRuns },
      );
    },
  );

  it("shows a log that was lost as what it is now, payloads too", async () => {
    const counters = await start();
    await append(acme, ["1", "2", "3"]);
    const client = watch<Feed>(counters, "feed", acme);
    await client.until("three", ({ AUDIT_TXN }) => AUDIT_TXN!.total === 3);
    store!.wipe!();
    await append(acme, ["3", "4"]);
    const again = await client.until(
      "two",
      ({ AUDIT_TXN }) => AUDIT_TXN!.total === 2 && AUDIT_TXN!.recent.length === 2,
    );
    expect(idsOf(again)).toEqual(["3", "4"]);
  });
});

describe("a watcher", () => {
  it("that is full is given nothing, and then the newest snapshot", async () => {
    const counters = await start();
    let isFull = true;
    const slow = watch<Dashboard>(counters, "dashboard", acme, { takes: () => !isFull });
    const quick = watch<Dashboard>(counters, "dashboard", acme);
    await waitFor("the first snapshot", () => slow.texts.length === 1);
    for (let n = 0; n < 5; n++) {
      await append(acme, [n]);
      await quick.until(String(n), ({ counters: all }) => all["audit.txn"]?.total === n + 1);
    }
    expect(slow.texts).toHaveLength(1);
    isFull = false;
    slow.sink.onDrain();
    await slow.until("the newest", ({ counters: all }) => all["audit.txn"]?.total === 5);
    expect(slow.texts).toHaveLength(2);
  });

  it("that takes nothing for the idle timeout is ended", async () => {
    const counters = await start({ idleTimeoutMs: 100 });
    const stuck = watch(counters, "feed", acme, { takes: () => false });
    const fine = watch(counters, "feed", acme);
    await waitFor("the end", () => stuck.ends.length > 0);
    expect([stuck.ends, fine.ends]).toEqual([["idle"], []]);
    expect(counters.stats().watchers).toBe(1);
  });

  it("ends when it is told to, and one that is too old is sent back", async () => {
    const counters = await start({ maxConnectionAgeMs: 150 });
    const expiring = watch(counters, "dashboard", acme);
    const old = watch(counters, "dashboard", acme);
    expect(expiring.joined.notify("reauthenticate", {})).toBe(true);
    expiring.joined.end("expired");
    expect(expiring.joined.notify("reauthenticate", {})).toBe(false);
    await waitFor("both to end", () => old.ends.length + expiring.ends.length === 2);
    expect([expiring.ends, old.ends]).toEqual([["expired"], ["aged"]]);
    expect([expiring.notices, old.notices]).toEqual([["reauthenticate"], []]);
    expect(counters.stats()).toEqual({ watchers: 0, companies: 0 });
  });

  it("hears a heartbeat while there is nothing to say", async () => {
    const counters = await start({ heartbeatMs: 100 });
    const client = watch(counters, "dashboard", acme);
    await waitFor("heartbeats", () => client.heartbeats() >= 3);
    expect(client.texts).toHaveLength(1);
  });

  it("over the limit of its company is refused, and so is everyone while draining", async () => {
    const counters = await start({ maxConnectionsPerCompany: 2 });
    const clients = [watch(counters, "feed", acme), watch(counters, "dashboard", acme)];
    expect(counters.refusal(acme)).toBe("busy");
    expect(counters.refusal(globex)).toBeUndefined();
    expect([counters.refusal(acme, 3), counters.refusal(globex, 0)]).toEqual([undefined, "busy"]);
    clients[0]!.leave();
    clients[0]!.leave();
    expect(counters.refusal(acme)).toBeUndefined();
    await counters.drain(50);
    expect(clients.map(({ ends }) => ends)).toEqual([[], ["draining"]]);
    expect([counters.refusal(acme), counters.refusal(undefined)]).toEqual(["draining", "draining"]);
    expect(counters.stats().watchers).toBe(0);
  });
});

describe("a store that is away", () => {
  const away = new MillraceError("unavailable", "Cannot reach the store");

  it("fails a poll, and a watcher gets its first snapshot when it is back, and no old number meanwhile", async () => {
    store = await sqliteStore();
    log = await store.open();
    let isAway = true;
    let tries = 0;
    const shaky: EventLog = {
      ...log,
      tallies: async (company) => {
        tries++;
        if (isAway) throw away;
        return log.tallies(company);
      },
    };
    const counters = held.use(countersOn(shaky));
    const client = watch<Feed>(counters, "feed", acme);
    await expect(counters.poll(acme)).rejects.toBe(away);
    await append(acme, ["1"]);
    await waitFor("a warning", () => counters.logged().some(({ level }) => level === "warn"));
    expect(client.texts).toEqual([]);
    isAway = false;
    await client.until("it", ({ AUDIT_TXN }) => AUDIT_TXN!.total === 1);
    isAway = true;
    await append(acme, ["2"]);
    const tried = async (times: number) => {
      const before = tries;
      await waitFor("more tries", () => tries >= before + times);
    };
    // One snapshot may be on its way.
    await tried(2);
    const sent = client.texts.length;
    await tried(3);
    expect(client.texts).toHaveLength(sent);
    expect(client.ends).toEqual([]);
    isAway = false;
    await client.until("the second", ({ AUDIT_TXN }) => AUDIT_TXN!.total === 2);
  });
});

describe("idle", () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

  it("is when nobody watches: no tail, no timer, no read", async () => {
    const counters = await start({ lingerMs: 0 });
    await append(acme, ["1"]);
    const before = timers();
    const reads = (["tallies", "tail", "latest", "companies"] as const).map((name) => vi.spyOn(log, name));
    expect(counters.stats()).toEqual({ watchers: 0, companies: 0 });
    const clients = [watch(counters, "feed", acme), watch(counters, "dashboard", undefined)];
    for (const client of clients) await client.until("a snapshot", () => true);
    await counters.poll(acme);
    expect(counters.stats()).toEqual({ watchers: 2, companies: 1 });
    for (const client of clients) client.leave();
    await waitFor("the end of all", () => counters.stats().companies === 0);
    for (const read of reads) read.mockClear();
    await append(acme, ["2"]);
    await waitFor("timers to end", () => timers() <= before);
    await new Promise((resolve) => setTimeout(resolve, 5 * EVERY_MS));
    for (const read of reads) expect(read).not.toHaveBeenCalled();
  });

  it("comes a while after the last poll, in which polls share what was read", async () => {
    const counters = await start({ lingerMs: 300, everyMs: 100 });
    const reads = vi.spyOn(log, "tallies");
    for (let n = 0; n < 20; n++) await counters.poll(acme);
    expect(reads.mock.calls.length).toBeLessThanOrEqual(2);
    expect(counters.stats().companies).toBe(1);
    await waitFor("it to close", () => counters.stats().companies === 0);
    const looks = vi.spyOn(log, "latest");
    await append(acme, ["1"]);
    expect(idsOf(JSON.parse((await counters.poll(acme)).text) as Feed)).toEqual(["1"]);
    expect(looks).toHaveBeenCalledTimes(1);
  });

  it("is reached by a watched company that is quiet: no read, however long", async () => {
    const counters = await start();
    await append(acme, ["1"]);
    const client = watch<Feed>(counters, "feed", acme);
    await client.until("it", ({ AUDIT_TXN }) => AUDIT_TXN!.total === 1);
    // The tail reads once more when it begins.
    await waitFor("a quiet moment", async () => {
      const reads = vi.spyOn(log, "tallies");
      reads.mockClear();
      const before = client.texts.length;
      await waitFor("five turns", () => client.texts.length >= before + 5);
      return reads.mock.calls.length === 0;
    });
  });
});
