/** The contract of the Hub port (functions/ports/hub.ts), on a real log with instances of its own. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cursor, GENESIS, parseCursor } from "../../functions/core/cursor.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { PAGE_EVENTS, RING_FRAMES } from "../../functions/core/limits.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { waitFor } from "../support/wait.ts";
import { type EventLogBackend, event, events, ids, newCompany } from "./event-log-support.ts";
import { type HubContract, type HubTimes, join, joined } from "./hub-support.ts";

/** `open` gives a store; its logs keep `maxEvents` events a company. */
export function describeHub(
  { name, create }: HubContract,
  openStore: (options: { maxEvents: number }) => Promise<EventLogBackend>,
): void {
  describe(`Hub ${name}`, () => {
    let store: EventLogBackend;
    let log: EventLog;
    beforeAll(async () => {
      store = await openStore({ maxEvents: 1_000_000 });
      log = await store.open();
    });
    afterAll(async () => {
      await store?.[Symbol.asyncDispose]();
    });
    const hubOf = (times: HubTimes = {}, on = log) => create(on, times);

    describe("a member", () => {
      it("who joins afresh is told where it stands at once, then gets what is appended, in order", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        await log.append(events(company, 0, 5));
        const client = await joined(join(hub, company));
        expect(client.text()).toBe(`retry: 3000\n\nid: ${await log.tip(company)}\n\n`);
        const second = join(hub, company);
        expect(second.parser.lastEventId).toBe(client.parser.lastEventId);
        await log.append(events(company, 5, 8));
        await log.append(events(company, 8, 20));
        for (const { has, ids: got, membership } of [client, second]) {
          await has(15);
          expect(got()).toEqual(ids(5, 20));
          membership.leave();
        }
        expect(client.cursor()).toBe(await log.tip(company));
      });

      it("of a company without a log gets its first event", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const client = await joined(join(hub, company));
        expect(client.cursor()).toBe(GENESIS);
        await log.append(events(company, 0, 2));
        await client.has(2);
        const late = join(hub, company, { after: GENESIS });
        await late.has(2);
        expect([client.ids(), late.ids()]).toEqual([ids(0, 2), ids(0, 2)]);
        client.membership.leave();
        late.membership.leave();
      });

      it("who resumes gets exactly what follows, from the ring and from the log", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const old = await log.append(events(company, 0, 1200));
        const live = await joined(join(hub, company));
        const young = await log.append(events(company, 1200, 1230));
        await live.has(30);
        for (const [at, { cursor }] of [...old, ...young].entries()) {
          if (at % 100 !== 0 && at < 1195) continue;
          const client = join(hub, company, { after: cursor });
          await client.has(1230 - at - 1);
          await waitFor("the opening", () => client.text().startsWith("retry: 3000\n\n"));
          expect(client.ids()).toEqual(ids(at + 1, 1230));
          client.membership.leave();
        }
        live.membership.leave();
      });

      it("loses and repeats nothing, wherever and whenever it joins while events are appended", async () => {
        const [hub, company] = [hubOf({ bufferEvents: 7 }), newCompany("hub")];
        const cursors: Cursor[] = [GENESIS];
        const clients: { client: ReturnType<typeof join>; at: number }[] = [];
        for (let n = 0; n < 3000; ) {
          const size = 1 + (n % 13);
          cursors.push(...(await log.append(events(company, n, n + size))).map(({ cursor }) => cursor));
          n += size;
          if (clients.length < 80) {
            const at = Math.floor(Math.random() * cursors.length);
            clients.push({ client: join(hub, company, { after: cursors[at]! }), at });
          }
          await new Promise((resolve) => setTimeout(resolve));
        }
        for (const { client, at } of clients) {
          await client.has(cursors.length - 1 - at);
          expect(client.ids()).toEqual(ids(at, cursors.length - 1));
          expect(client.gaps()).toEqual([]);
          expect(client.largestBatch()).toBeLessThanOrEqual(7);
          client.membership.leave();
        }
      });

      it("gets the whole event where it asks for it", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const client = await joined(join(hub, company, { format: "cloudevents" }));
        await log.append([event(company, "one")]);
        await client.has(1);
        expect(JSON.parse(client.parser.events[0]!.data)).toMatchObject({
          specversion: "1.0",
          id: "one",
          companyid: company,
          data: { id: "one", companyId: company },
        });
        client.membership.leave();
      });

      it("is given no byte of another company", async () => {
        const hub = hubOf();
        const companies = [newCompany("hub"), newCompany("hub")] as const;
        const clients = companies.map((company) => join(hub, company));
        await Promise.all(clients.map(joined));
        for (let n = 0; n < 50; n++) await log.append(companies.map((company) => event(company, n)));
        for (const [at, client] of clients.entries()) {
          await client.has(50);
          expect(client.ids()).toEqual(ids(0, 50));
          expect(client.text()).not.toContain(`"${companies[1 - at]}"`);
          client.membership.leave();
        }
      });
    });

    describe("a filter", () => {
      it("lets its types through, moves the cursor past the rest, and nothing is replayed to it", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const client = await joined(join(hub, company, { types: ["wanted"] }));
        const types = ["other", "wanted", "other", "wanted", "other", "other"];
        await log.append(types.map((type, n) => event(company, n, { type })));
        const tip = await log.tip(company);
        await waitFor("the cursor to move", () => client.parser.lastEventId === tip);
        expect(client.ids()).toEqual(["1", "3"]);
        client.membership.leave();
        const again = join(hub, company, { types: ["wanted"], after: client.cursor() });
        await log.append([event(company, "last", { type: "wanted" })]);
        await again.has(1);
        expect(again.ids()).toEqual(["last"]);
        again.membership.leave();
      });

      it("that lets nothing of a long backlog through moves the cursor to the tip", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        await log.append(events(company, 0, 1300));
        const client = join(hub, company, { types: ["wanted"], after: GENESIS });
        const tip = await log.tip(company);
        await waitFor("the cursor to move", () => client.parser.lastEventId === tip);
        expect(client.parser.events).toEqual([]);
        client.membership.leave();
      });
    });

    describe("a slow member", () => {
      it("is given nothing while it is full, costs the others nothing and catches up in order", async () => {
        const [hub, company] = [hubOf({ bufferEvents: 50 }), newCompany("hub")];
        const slow = await joined(join(hub, company));
        const fast = await joined(join(hub, company));
        slow.stall();
        await log.append(events(company, 0, 10));
        await slow.has(10);
        const written = slow.writes.length;
        for (let n = 10; n < 500; n += 10) await log.append(events(company, n, n + 10));
        await fast.has(500);
        expect(slow.writes).toHaveLength(written);
        slow.drain();
        await slow.has(500);
        expect(slow.ids()).toEqual(ids(0, 500));
        expect(slow.largestBatch()).toBeLessThanOrEqual(50);
        for (const { membership } of [slow, fast]) membership.leave();
      });

      it("reads the log when the ring has moved on, and loses nothing", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const slow = await joined(join(hub, company));
        const fast = await joined(join(hub, company));
        slow.stall();
        const count = RING_FRAMES + 1000;
        for (let n = 0; n < count; n += 100) await log.append(events(company, n, n + 100));
        await fast.has(count);
        expect(hub.stats().counters.pageReads).toBe(0);
        slow.drain();
        await slow.has(count);
        expect(slow.ids()).toEqual(ids(0, Math.ceil(count / 100) * 100).slice(0, slow.ids().length));
        expect(slow.gaps()).toEqual([]);
        expect(hub.stats().counters.pageReads).toBeGreaterThan(0);
        for (const { membership } of [slow, fast]) membership.leave();
      });

      it("alone, that fills up in the middle of a burst, does not stop the tail for who comes after it", async () => {
        const [hub, company] = [hubOf({ bufferEvents: 50 }), newCompany("hub")];
        const slow = await joined(join(hub, company));
        for (let n = 0; n < 2 * RING_FRAMES; n += 500) {
          await log.append(events(company, n, n + 500));
          if (n === RING_FRAMES / 2) slow.stall();
        }
        const late = await joined(join(hub, company));
        await log.append(events(company, 10_000, 10_010));
        await waitFor("the newest event", () => late.ids().at(-1) === "10009");
        expect(late.ids().slice(-10)).toEqual(ids(10_000, 10_010));
        for (const { membership } of [slow, late]) membership.leave();
      });

      it("holds no page of the log while it is full", async () => {
        const [hub, company] = [hubOf({ bufferEvents: 10 }), newCompany("hub")];
        const appended = await log.append(events(company, 0, 8 * PAGE_EVENTS));
        const slow = join(hub, company, { after: GENESIS, isStalled: true });
        await slow.has(10);
        // Pages that push out the one it was in.
        for (let page = 1; page < 7; page++) {
          const other = join(hub, company, { after: appended[page * PAGE_EVENTS]!.cursor });
          await other.has(PAGE_EVENTS / 2);
          other.membership.leave();
        }
        const before = hub.stats().counters.pageReads;
        slow.drain();
        await slow.has(PAGE_EVENTS / 2);
        expect(slow.ids().length).toBeLessThan(PAGE_EVENTS);
        expect(hub.stats().counters.pageReads).toBeGreaterThan(before);
        await slow.has(8 * PAGE_EVENTS);
        expect(slow.ids()).toEqual(ids(0, 8 * PAGE_EVENTS));
        slow.membership.leave();
      });

      it("that drops the oldest is told so, and goes on with the newest", async () => {
        const [hub, company] = [hubOf({ bufferEvents: 20 }), newCompany("hub")];
        const slow = await joined(join(hub, company, { overflow: "drop-oldest" }));
        const fast = await joined(join(hub, company));
        slow.stall();
        await log.append([event(company, "first")]);
        await slow.has(1);
        const requested = slow.cursor();
        const appended = await log.append(events(company, 0, 300));
        await fast.has(301);
        slow.drain();
        await slow.has(22);
        expect(slow.gaps()).toEqual([{ reason: "dropped", requested, resumedAt: appended[280]!.cursor }]);
        expect(slow.ids()).toEqual(["first", ...ids(280, 300)]);
        expect(hub.stats().counters.gaps.dropped).toBe(1);
        for (const { membership } of [slow, fast]) membership.leave();
      });

      it("that drops the oldest and cannot follow reads nothing again, however far behind", async () => {
        const [hub, company] = [hubOf({ bufferEvents: 5 }), newCompany("hub")];
        const late = await joined(join(hub, company, { overflow: "drop-oldest" }));
        // The tail goes as fast as this one.
        const fast = await joined(join(hub, company, { types: ["wanted"] }));
        const count = 3 * RING_FRAMES;
        await log.append(events(company, 0, count));
        await log.append([event(company, "last", { type: "wanted" })]);
        await fast.has(1);
        await waitFor("the last", () => late.ids().at(-1) === "last");
        const got = late.ids().map((id) => (id === "last" ? count : Number(id)));
        expect(got.every((n, at) => at === 0 || n > got[at - 1]!)).toBe(true);
        expect(late.gaps().length).toBeGreaterThan(0);
        expect(new Set(late.gaps().map(({ reason }) => reason))).toEqual(new Set(["dropped"]));
        expect(hub.stats().counters.pageReads).toBe(0);
        for (const { membership } of [late, fast]) membership.leave();
      });

      it("that drops the oldest is still given what is no longer in the ring when it comes for it, as slowly as it takes it", async () => {
        const [hub, company] = [hubOf({ bufferEvents: 20 }), newCompany("hub")];
        const [first] = await log.append(events(company, 0, 1_000));
        const live = await joined(join(hub, company));
        await log.append(events(company, 1_000, 1_010));
        await live.has(10);
        const slow = join(hub, company, { after: first!.cursor, overflow: "drop-oldest", isStalled: true });
        for (let writes = 1; slow.ids().length < 1_009; writes++) {
          await waitFor("the next write", () => slow.writes.length === writes);
          slow.drain();
          slow.stall();
        }
        expect([slow.ids(), slow.gaps()]).toEqual([ids(1, 1_010), []]);
        for (const { membership } of [slow, live]) membership.leave();
      });

      it("that drops the oldest is given all it came for also where the ring holds that, and what came meanwhile is skipped", async () => {
        const [hub, company] = [hubOf({ bufferEvents: 20 }), newCompany("hub")];
        const live = await joined(join(hub, company));
        const [first] = await log.append(events(company, 0, 300));
        await live.has(300);
        const slow = join(hub, company, { after: first!.cursor, overflow: "drop-oldest", isStalled: true });
        await waitFor("the first write", () => slow.writes.length === 1);
        // Whoever is still being replayed to is no reason to skip; what it came for ends where the log did when it joined.
        const fresh = await log.append(events(company, 300, 500));
        await live.has(500);
        for (let writes = 1; slow.ids().at(-1) !== "499"; ) {
          slow.drain();
          slow.stall();
          await waitFor("the next write", () => slow.writes.length > writes);
          writes = slow.writes.length;
        }
        const got = slow.ids().map(Number);
        expect(got.slice(0, 299).map(String)).toEqual(ids(1, 300));
        expect(got.length).toBeLessThan(400);
        expect(slow.gaps()).toMatchObject([{ reason: "dropped", resumedAt: fresh[180]!.cursor }]);
        expect(hub.stats().counters.pageReads).toBe(0);
        for (const { membership } of [slow, live]) membership.leave();
      });

      it("that drops the oldest and is replayed to for longer than the ring goes back is moved on when it has all it came for", async () => {
        const [hub, company] = [hubOf({ bufferEvents: 20 }), newCompany("hub")];
        const live = await joined(join(hub, company));
        const [first] = await log.append(events(company, 0, 100));
        await live.has(100);
        const slow = join(hub, company, { after: first!.cursor, overflow: "drop-oldest", isStalled: true });
        await waitFor("the first write", () => slow.writes.length === 1);
        // By then nothing of what it came for is in the ring.
        const count = 100 + RING_FRAMES + 10;
        await log.append(events(company, 100, count));
        await live.has(count);
        for (let writes = 1; Number(slow.ids().at(-1)) !== count - 1; ) {
          slow.drain();
          slow.stall();
          await waitFor("the next write", () => slow.writes.length > writes);
          writes = slow.writes.length;
        }
        const got = slow.ids();
        expect(got.slice(0, 99)).toEqual(ids(1, 100));
        expect(got.length).toBeLessThan(200);
        expect(slow.gaps()).toMatchObject([{ reason: "dropped" }]);
        for (const { membership } of [slow, live]) membership.leave();
      });

      it("that drops the oldest and comes with more than the ring has is given nothing twice, and no gap", async () => {
        const company = newCompany("hub");
        const held = Promise.withResolvers<void>();
        // The tail is behind the log, as that of an instance may be behind that of another.
        const hub = hubOf(
          { bufferEvents: 20 },
          {
            ...log,
            tip: (of) => log.tip(of),
            read: (...asked) => log.read(...asked),
            async *tail(...asked) {
              let isFirst = true;
              for await (const result of log.tail(...asked)) {
                if (!isFirst) await held.promise;
                isFirst = false;
                yield result;
              }
            },
          },
        );
        const live = await joined(join(hub, company));
        await log.append(events(company, 0, 10));
        await live.has(10);
        const last = (await log.append(events(company, 10, 50))).at(-1)!;
        const ahead = join(hub, company, { after: last.cursor, overflow: "drop-oldest" });
        await log.append(events(company, 50, 55));
        await ahead.has(5);
        held.resolve();
        await log.append(events(company, 55, 60));
        await ahead.has(10);
        await live.has(60);
        expect([ahead.ids(), ahead.gaps()]).toEqual([ids(50, 60), []]);
        for (const { membership } of [ahead, live]) membership.leave();
      });
    });

    // A million events to parse in the first: seconds of computing, and the clients are served in turn.
    describe("a storm", { timeout: 120_000 }, () => {
      const patient = { timeoutMs: 60_000 };
      it("of clients at different cursors costs as many reads as there are pages", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const count = 3 * PAGE_EVENTS;
        const appended = await log.append(events(company, 0, count));
        const clients = appended.map(({ cursor }) => join(hub, company, { after: cursor }));
        for (const [at, client] of clients.entries()) {
          await client.has(count - 1 - at, patient);
          expect(client.ids()).toEqual(ids(at + 1, count));
          client.membership.leave();
        }
        expect(hub.stats().counters.pageReads).toBeLessThanOrEqual(6);
      });

      it("over more pages than are kept costs no more than each of them a few times", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const [pages, count] = [20, 20 * PAGE_EVENTS];
        const appended = await log.append(events(company, 0, count));
        const clients = Array.from({ length: pages }, (_, page) => ({
          from: page * PAGE_EVENTS + 1,
          client: join(hub, company, { after: appended[page * PAGE_EVENTS]!.cursor }),
        }));
        for (const { from, client } of clients) {
          await client.has(count - from, patient);
          expect(client.ids()).toEqual(ids(from, count));
          client.membership.leave();
        }
        expect(hub.stats().counters.pageReads).toBeLessThanOrEqual(5 * pages);
      });
    });

    describe("a gap", () => {
      it("is said for a cursor of another log, beyond the tip, and one whose events were trimmed", async () => {
        await using own = await openStore({ maxEvents: 300 });
        const small = await own.open();
        const [hub, company] = [hubOf({}, small), newCompany("hub")];
        const [first] = await small.append(events(company, 0, 1));
        for (let n = 1; n < 1000; n += 100) await small.append(events(company, n, n + 100));
        const tip = await small.tip(company);
        const beyond = parseCursor(`${tip.slice(0, tip.indexOf("."))}.999999999999999-0`);
        const cases = [
          { after: first!.cursor, reason: "expired", isAtTip: false },
          { after: parseCursor("another0log.17-0"), reason: "reset", isAtTip: false },
          { after: beyond, reason: "reset", isAtTip: true },
        ];
        for (const { after, reason, isAtTip } of cases) {
          const client = join(hub, company, { after });
          await waitFor("the gap", () => client.gaps().length > 0);
          const [gap] = client.gaps();
          expect(gap).toMatchObject({ reason, requested: after });
          if (isAtTip) expect([gap!.resumedAt, client.cursor()]).toEqual([tip, tip]);
          else {
            await waitFor("the tip", () => client.parser.lastEventId === tip);
            expect(client.parser.events[1]!.lastEventId).toBe(gap!.resumedAt);
            expect(client.ids().at(-1)).toBe("1000");
          }
          expect(client.gaps()).toHaveLength(1);
          client.membership.leave();
        }
        expect(hub.stats().counters.gaps).toEqual({ expired: 1, reset: 2, dropped: 0 });
      });

      it("that concerns many costs a few reads, and each is told of the cursor it came with", async () => {
        await using own = await openStore({ maxEvents: 300 });
        const small = await own.open();
        const [hub, company] = [hubOf({}, small), newCompany("hub")];
        const old = await small.append(events(company, 0, 200));
        for (let n = 200; n < 1200; n += 100) await small.append(events(company, n, n + 100));
        const lost = Array.from({ length: 200 }, (_, n) => parseCursor(`another0log.${n + 1}-0`));
        const clients = [...old.map(({ cursor }) => cursor), ...lost].map((after) => ({
          after,
          client: join(hub, company, { after }),
        }));
        for (const [at, { after, client }] of clients.entries()) {
          await waitFor("the newest event", () => client.ids().at(-1) === "1199");
          const reason = at < old.length ? "expired" : "reset";
          expect(client.gaps()).toEqual([expect.objectContaining({ reason, requested: after })]);
          expect(client.ids()).toEqual(ids(1200 - client.ids().length, 1200));
          client.membership.leave();
        }
        expect(hub.stats().counters.pageReads).toBeLessThanOrEqual(12);
      });

      it("is said to everyone who is connected when the log is lost, also to filtered ones", async () => {
        await using own = await openStore({ maxEvents: 1_000_000 });
        const doomed = await own.open();
        const [hub, company] = [hubOf({}, doomed), newCompany("hub")];
        const clients = [join(hub, company), join(hub, company, { types: ["wanted"] })];
        await Promise.all(clients.map(joined));
        await doomed.append(events(company, 0, 3));
        await clients[0]!.has(3);
        await own.wipe();
        await waitFor("the store", () => doomed.append([event(company, "new", { type: "wanted" })]));
        for (const client of clients) {
          await waitFor("the new event", () => client.ids().at(-1) === "new");
          expect(client.gaps().length).toBeGreaterThanOrEqual(1);
          expect(client.gaps().every(({ reason }) => reason === "reset")).toBe(true);
          expect(client.cursor()).toBe(await doomed.tip(company));
          client.membership.leave();
        }
      });
    });

    describe("time", () => {
      it("brings a heartbeat to a quiet stream", async () => {
        const [hub, company] = [hubOf({ heartbeatMs: 100 }), newCompany("hub")];
        const client = await joined(join(hub, company));
        await waitFor("heartbeats", () =>
          client.text().endsWith(":heartbeat\n\n:heartbeat\n\n:heartbeat\n\n"),
        );
        client.membership.leave();
      });

      it("closes a member that takes nothing, and sends one away that is too old", async () => {
        const company = newCompany("hub");
        const idle = hubOf({ heartbeatMs: 100, idleTimeoutMs: 200 });
        const stuck = join(idle, company, { isStalled: true });
        const old = hubOf({ heartbeatMs: 100, maxConnectionAgeMs: 200 });
        const aged = join(old, company);
        for (const client of [stuck, aged]) await waitFor("the end", client.isEnded);
        expect(idle.stats()).toMatchObject({ totalConnections: 0, counters: { idleTimeouts: 1 } });
        expect(aged.text()).toMatch(/retry: \d+\n\n$/);
      });
    });

    describe("a membership", () => {
      it("is told what concerns it alone once it is open, and not while it is full", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const client = join(hub, company);
        const other = await joined(join(hub, company));
        await waitFor("the notice", () => client.membership.notify("reauthenticate", { connectionId: "c" }));
        expect(client.text()).toMatch(/event: reauthenticate\ndata: {"connectionId":"c"}\n\n$/);
        expect(other.text()).not.toContain("reauthenticate");
        const stuck = join(hub, company, { isStalled: true });
        await waitFor("the opening", () => stuck.text() !== "");
        expect(stuck.membership.notify("reauthenticate", {})).toBe(false);
        for (const { membership } of [client, other, stuck]) membership.leave();
        expect(client.membership.notify("reauthenticate", {})).toBe(false);
      });

      it("is ended without a word when its right has ended, with a refusal where it will be back", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const [expired, disabled] = [await joined(join(hub, company)), await joined(join(hub, company))];
        const before = expired.text();
        expired.membership.end("expired");
        disabled.membership.end("disabled");
        disabled.membership.end("disabled");
        expect([expired.isEnded(), disabled.isEnded()]).toEqual([true, true]);
        expect(expired.text()).toBe(before);
        expect(disabled.text()).toMatch(
          /retry: \d+\n\nevent: disabled\ndata: {"reason":"disabled","message":"[^"]+"}\n\n$/,
        );
        expect(hub.stats().totalConnections).toBe(0);
      });
    });

    describe("the hub", () => {
      it("refuses with `busy` at its cap, and only that company", async () => {
        const [hub, company] = [hubOf({ maxConnectionsPerCompany: 2 }), newCompany("hub")];
        const clients = [join(hub, company), join(hub, company)];
        expect(hub.refusal(company)).toBe("busy");
        expect(hub.refusal(company, 3)).toBeUndefined();
        const other = newCompany("hub");
        clients.push(join(hub, other));
        expect(hub.stats()).toMatchObject({
          totalConnections: 3,
          connectionsByCompany: { [company]: 2, [other]: 1 },
        });
        clients[0]!.membership.leave();
        expect(hub.refusal(company)).toBeUndefined();
        for (const { membership } of clients) membership.leave();
        expect(hub.stats().totalConnections).toBe(0);
      });

      it("drains: refuses, and sends everyone away with a retry of his own", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        const clients = Array.from({ length: 20 }, (_, n) => join(hub, company, { isStalled: n === 0 }));
        await joined(clients[1]!);
        const drained = hub.drain(100);
        expect(hub.refusal(company)).toBe("draining");
        expect(hub.stats().isDraining).toBe(true);
        await drained;
        expect(clients.every(({ isEnded }) => isEnded())).toBe(true);
        const retries = clients.slice(1).map((client) => /retry: (\d+)\n\n$/.exec(client.text())?.[1]);
        expect(new Set(retries).size).toBeGreaterThan(10);
        expect(hub.stats().totalConnections).toBe(0);
      });

      it("holds one tail a company while it has members, and none after", async () => {
        const [hub, company] = [hubOf(), newCompany("hub")];
        let tails = 0;
        const counting = create(
          {
            ...log,
            tail: (of, after, signal) => {
              tails++;
              signal.addEventListener("abort", () => tails--);
              return log.tail(of, after, signal);
            },
          },
          {},
        );
        const clients = await Promise.all(Array.from({ length: 10 }, () => joined(join(counting, company))));
        expect(tails).toBe(1);
        for (const { membership } of clients) {
          membership.leave();
          membership.leave();
        }
        expect(tails).toBe(0);
        expect(hub.stats().connectionsByCompany).toEqual({});
      });

      it("opens streams while the log is away, and goes on when it is back", async () => {
        const company = newCompany("hub");
        let isAway = true;
        const fail = () => {
          if (isAway) throw new MillraceError("unavailable", "away");
        };
        const hub = create(
          {
            ...log,
            async tip(of) {
              fail();
              return log.tip(of);
            },
            async read(of, after, limit) {
              fail();
              return log.read(of, after, limit);
            },
          },
          { heartbeatMs: 200 },
        );
        await log.append(events(company, 0, 3));
        const fresh = join(hub, company);
        const resumed = join(hub, company, { after: GENESIS });
        for (const client of [fresh, resumed]) {
          await waitFor("the opening", () => client.text().startsWith("retry: 3000\n\n"));
        }
        isAway = false;
        await joined(fresh);
        await log.append(events(company, 3, 5));
        await fresh.has(2);
        await resumed.has(5);
        expect([fresh.ids(), resumed.ids()]).toEqual([ids(3, 5), ids(0, 5)]);
        for (const { membership } of [fresh, resumed]) membership.leave();
      });
    });
  });
}
