import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createSessions } from "../../functions/access/sessions.ts";
import type { Principal } from "../../functions/core/principal.ts";
import type { AccessWatcher } from "../../functions/ports/access-rules.ts";
import type { Scope } from "../../functions/ports/counters.ts";
import type { Sessions } from "../../functions/ports/sessions.ts";
import { waitFor } from "../support/wait.ts";
import { ACME, type AccessStore, GLOBEX, openAccessStore, principalOf } from "./access-support.ts";

type Said = [name: string, data: Readonly<Record<string, unknown>>];

/** A connection that keeps what it is told. */
function enter(sessions: Sessions, principal: Partial<Principal> = {}, scope: { of: Scope } = { of: ACME }) {
  const said: Said[] = [];
  const connection = {
    said,
    ended: undefined as string | undefined,
    isFull: false,
    tries: 0,
    leave: () => {},
  };
  connection.leave = sessions.enter({
    principal: principalOf(principal),
    scope: scope.of,
    membership: {
      notify(name, data) {
        connection.tries++;
        if (connection.isFull) return false;
        said.push([name, data]);
        return true;
      },
      end(reason) {
        connection.ended = reason;
        connection.leave();
      },
    },
  });
  return connection;
}

async function start(store: AccessStore) {
  const copy = store.copy();
  await copy.ready();
  return createSessions({ copy, logger: store.logger });
}
/** When connections end that were asked about once. */
const soon = (ms: number) => Date.now() + ms;
const idOf = ({ said }: { said: Said[] }) => said[0]![1].connectionId as string;

afterEach(() => {
  vi.useRealTimers();
});

describe("createSessions", () => {
  it("ends those a revocation concerns, and no others", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    const connections = {
      alice: enter(sessions),
      aliceElsewhere: enter(sessions, { companies: [ACME, GLOBEX] }, { of: GLOBEX }),
      aliceLater: enter(sessions, { issuedAtMs: 2_001 }),
      bob: enter(sessions, { subject: "bob" }),
      nobody: enter(sessions, { subject: undefined }),
      ops: enter(sessions, { subject: "operator", roles: ["ops"] }, { of: undefined }),
    };
    const ended = () =>
      Object.entries(connections)
        .filter(([, connection]) => connection.ended !== undefined)
        .map(([name, connection]) => `${name} ${connection.ended}`);
    await store.others.put({ kind: "subject-revoked", subject: "alice", atMs: 2_000 });
    await waitFor("an end", () => ended().length > 0);
    expect(ended()).toEqual(["alice revoked", "aliceElsewhere revoked"]);
    await store.others.put({ kind: "company-revoked", company: ACME, atMs: 2_000 });
    await waitFor("more ends", () => ended().length > 2);
    expect(ended().slice(2)).toEqual(["bob revoked", "nobody revoked"]);
    await store.others.changeFeatures(ACME, { streaming: false });
    await waitFor("the last end", () => ended().length > 4);
    expect(ended()).toContain("aliceLater disabled");
    expect(connections.ops.ended).toBeUndefined();
  });

  it("ends at once who was revoked while it was let in", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    enter(sessions, { subject: "witness" });
    await store.others.put({ kind: "subject-revoked", subject: "alice", atMs: 2_000 });
    await waitFor("the end", () => enter(sessions).ended === "revoked");
  });

  it("checks everybody anew when the store is back", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    const [alice, bob] = [enter(sessions), enter(sessions, { subject: "bob" })];
    store.cutOff();
    await store.others.put({ kind: "subject-revoked", subject: "alice", atMs: 2_000 });
    store.reconnect();
    await waitFor("the end", () => alice.ended);
    expect([alice.ended, bob.ended]).toEqual(["revoked", undefined]);
  });

  it("holds the copy while anybody is connected, and not for good", async () => {
    using store = openAccessStore();
    const copy = store.copy({ lingerMs: 1 });
    const sessions = createSessions({ copy, logger: store.logger });
    const [first, second] = [enter(sessions), enter(sessions)];
    await waitFor("the copy", () => store.state.watchers === 1);
    first.leave();
    first.leave();
    await store.others.changeFeatures(ACME, { streaming: false });
    await waitFor("the end", () => second.ended);
    await waitFor("it to be let go of", () => store.state.watchers === 0);
  });

  it("asks a minute before the end and ends at it, by one timer for all", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    vi.useFakeTimers();
    // The copy's own, which was set before.
    expect(vi.getTimerCount()).toBe(0);
    const forGood = enter(sessions);
    expect(vi.getTimerCount()).toBe(0);
    const many = Array.from({ length: 100 }, (_, n) =>
      enter(sessions, { expiresAtMs: soon(120_000 + n * 100) }),
    );
    expect(vi.getTimerCount()).toBe(1);
    const asked = () => many.filter(({ said }) => said.length > 0).length;
    const ended = () => many.filter((one) => one.ended === "expired").length;
    vi.advanceTimersByTime(59_999);
    expect([asked(), ended()]).toEqual([0, 0]);
    vi.advanceTimersByTime(5_001);
    expect(asked()).toBeGreaterThanOrEqual(46);
    expect(asked()).toBeLessThanOrEqual(51);
    vi.advanceTimersByTime(6_000);
    expect(asked()).toBe(100);
    expect(many[7]!.said).toEqual([
      [
        "reauthenticate",
        { connectionId: expect.stringMatching(/^[0-9a-f-]{36}$/), expiresAt: expect.any(String) },
      ],
    ]);
    expect(new Set(many.map(idOf)).size).toBe(100);
    vi.advanceTimersByTime(48_000);
    expect(ended()).toBe(0);
    vi.advanceTimersByTime(16_000);
    expect([asked(), ended(), forGood.ended]).toEqual([100, 100, undefined]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("has no timer once nobody is left, and takes one that is far away", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    vi.useFakeTimers();
    const far = enter(sessions, { expiresAtMs: soon(400 * 86_400_000) });
    vi.advanceTimersByTime(30 * 86_400_000);
    expect([far.ended, far.said]).toEqual([undefined, []]);
    far.leave();
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    vi.useFakeTimers();
    const never = enter(sessions, { expiresAtMs: 8.64e15 });
    vi.advanceTimersByTime(86_400_000);
    expect(never.ended).toBeUndefined();
    never.leave();
  });

  it("notices a clock that is set, forwards within half a minute", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    vi.useFakeTimers();
    const one = enter(sessions, { expiresAtMs: soon(3_600_000) });
    vi.advanceTimersByTime(1_000);
    vi.setSystemTime(Date.now() + 3_600_000);
    vi.advanceTimersByTime(30_000);
    expect(one.ended).toBe("expired");
    expect(vi.getTimerCount()).toBe(0);
  });

  it("ends in time by a clock that was set back", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    vi.useFakeTimers();
    enter(sessions, { expiresAtMs: soon(100) });
    vi.advanceTimersByTime(1_000);
    vi.setSystemTime(Date.now() - 3_600_000);
    const one = enter(sessions, { expiresAtMs: soon(10_000) });
    vi.advanceTimersByTime(10_250);
    expect(one.ended).toBe("expired");
  });

  it("asks at once who ends within the minute, and again while it cannot be told", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    vi.useFakeTimers();
    const stalled = enter(sessions, { expiresAtMs: soon(30_000) });
    stalled.isFull = true;
    vi.advanceTimersByTime(10_000);
    // Four times a second.
    expect(stalled.tries).toBeGreaterThan(38);
    expect(stalled.tries).toBeLessThanOrEqual(42);
    stalled.isFull = false;
    vi.advanceTimersByTime(1_000);
    expect(stalled.said.map(([name]) => name)).toEqual(["reauthenticate"]);
    vi.advanceTimersByTime(19_500);
    expect(stalled.ended).toBe("expired");
  });

  it("goes on under the fresh token of the same subject, on whichever instance it is, and says so", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    const elsewhere = createSessions({ copy: store.copy(), logger: store.logger });
    const bystander = enter(elsewhere, { expiresAtMs: soon(30_000) });
    const one = enter(sessions, { expiresAtMs: soon(1_000) });
    await waitFor("the question", () => one.said.length === 1);
    const expiresAtMs = soon(600_000);
    await store.others.announce({
      kind: "renewed",
      connection: idOf(one),
      principal: principalOf({ expiresAtMs, issuedAtMs: 5_000 }),
    });
    await waitFor("the answer", () => one.said.length === 2);
    expect(one.said[1]).toEqual([
      "renewed",
      { connectionId: idOf(one), expiresAt: new Date(expiresAtMs).toISOString() },
    ]);
    const witness = enter(sessions, { expiresAtMs: soon(1_500) });
    await waitFor("another's end", () => witness.ended);
    expect(one.ended).toBeUndefined();
    expect(bystander.said.map(([name]) => name)).toEqual(["reauthenticate"]);
    // It is the fresh token that is looked at from then on.
    await store.others.put({ kind: "subject-revoked", subject: "alice", atMs: 4_999 });
    await waitFor("the bystander's end", () => bystander.ended);
    expect(one.ended).toBeUndefined();
    await store.others.put({ kind: "subject-revoked", subject: "alice", atMs: 5_000 });
    await waitFor("the end", () => one.ended === "revoked");
  });

  it("asks half-way, not without end, who is renewed for less than a minute", async () => {
    using store = openAccessStore();
    const copy = store.copy();
    await copy.ready();
    let watcher: AccessWatcher | undefined;
    const hold: typeof copy.hold = (given) => {
      watcher = given;
      return copy.hold(given);
    };
    const sessions = createSessions({ copy: { ...copy, hold }, logger: store.logger });
    vi.useFakeTimers();
    const one = enter(sessions, { expiresAtMs: soon(40_000) });
    vi.advanceTimersByTime(1);
    const names = () => one.said.map(([name]) => name);
    expect(names()).toEqual(["reauthenticate"]);
    const principal = principalOf({ expiresAtMs: soon(40_000) });
    watcher?.changed({ kind: "renewed", connection: idOf(one), principal });
    vi.advanceTimersByTime(19_000);
    expect(names()).toEqual(["reauthenticate", "renewed"]);
    vi.advanceTimersByTime(2_000);
    expect(names()).toEqual(["reauthenticate", "renewed", "reauthenticate"]);
    vi.advanceTimersByTime(19_500);
    expect([names().length, one.ended]).toEqual([3, "expired"]);
  });

  it.each<[string, Partial<Principal>, Scope]>([
    ["another subject", { subject: "mallory" }, ACME],
    ["nobody", { subject: undefined }, ACME],
    ["another company", { companies: [GLOBEX] }, ACME],
    ["another role", { roles: ["admin"] }, undefined],
  ])("is not renewed by a token of %s", async (_name, change, scope) => {
    using store = openAccessStore();
    const sessions = await start(store);
    const one = enter(sessions, { expiresAtMs: soon(700), roles: ["ops"] }, { of: scope });
    await waitFor("the question", () => one.said.length === 1);
    const fresh = { roles: ["ops"], expiresAtMs: soon(60_000), ...change };
    await store.others.announce({ kind: "renewed", connection: idOf(one), principal: principalOf(fresh) });
    await waitFor("the end", () => one.ended === "expired");
    expect(one.said.length).toBe(1);
    expect(store.logged().some(({ connection }) => connection === idOf(one))).toBe(true);
  });

  it("ends a connection that is renewed by a token that was revoked meanwhile", async () => {
    using store = openAccessStore();
    const sessions = await start(store);
    const one = enter(sessions, { expiresAtMs: soon(30_000), issuedAtMs: 9_000 });
    await waitFor("the question", () => one.said.length === 1);
    await store.others.put({ kind: "subject-revoked", subject: "alice", atMs: 5_000 });
    const principal = principalOf({ issuedAtMs: 4_000, expiresAtMs: soon(60_000) });
    await store.others.announce({ kind: "renewed", connection: idOf(one), principal });
    await waitFor("the end", () => one.ended === "revoked");
  });

  it("ends everybody in time, whoever comes, goes, stalls or is renewed in whichever order", async () => {
    using store = openAccessStore();
    const copy = store.copy();
    await copy.ready();
    let watcher: AccessWatcher | undefined;
    const hold: typeof copy.hold = (given) => {
      watcher = given;
      return copy.hold(given);
    };
    const lifeMs = fc.integer({ min: -1_000, max: 150_000 });
    const step = fc.oneof(
      fc.record({ do: fc.constant("enter"), ms: lifeMs, which: fc.nat(50) }),
      fc.record({ do: fc.constant("renew"), ms: lifeMs, which: fc.nat(50) }),
      fc.record({
        do: fc.constantFrom("leave", "stall", "enter for good"),
        ms: fc.nat(0),
        which: fc.nat(50),
      }),
      fc.record({ do: fc.constant("wait"), ms: fc.integer({ min: 0, max: 70_000 }), which: fc.nat(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        vi.useFakeTimers();
        const sessions = createSessions({ copy: { ...copy, hold }, logger: store.logger });
        const open: { connection: ReturnType<typeof enter>; endMs: number; isGone: boolean }[] = [];
        for (const { do: what, ms, which } of steps) {
          const one = open[which % Math.max(open.length, 1)];
          if (what === "enter") {
            const expiresAtMs = soon(ms);
            open.push({ connection: enter(sessions, { expiresAtMs }), endMs: expiresAtMs, isGone: false });
          } else if (what === "enter for good") {
            open.push({ connection: enter(sessions), endMs: Number.POSITIVE_INFINITY, isGone: false });
          } else if (what === "wait") vi.advanceTimersByTime(ms);
          else if (one === undefined) continue;
          else if (what === "stall") one.connection.isFull = !one.connection.isFull;
          else if (what === "leave") {
            one.connection.leave();
            one.isGone = true;
          } else if (one.connection.said.length > 0 && !one.isGone && one.connection.ended === undefined) {
            const expiresAtMs = soon(ms);
            watcher?.changed({
              kind: "renewed",
              connection: idOf(one.connection),
              principal: principalOf({ expiresAtMs }),
            });
            one.endMs = expiresAtMs;
          }
          const nowMs = Date.now();
          for (const { connection, endMs, isGone } of open) {
            if (isGone) expect(connection.ended === undefined || endMs <= nowMs).toBe(true);
            else if (nowMs < endMs) expect(connection.ended).toBeUndefined();
            else if (nowMs > endMs + 250) expect(connection.ended).toBe("expired");
          }
        }
        for (const { connection } of open) connection.leave();
        expect(vi.getTimerCount()).toBe(0);
        vi.useRealTimers();
      }),
      { numRuns: 500 },
    );
  });

  it("leaves nothing behind after ten thousand comings and goings", async () => {
    using store = openAccessStore();
    const copy = store.copy();
    const sessions = createSessions({ copy, logger: store.logger });
    await copy.ready();
    vi.useFakeTimers();
    for (let n = 0; n < 10_000; n++) enter(sessions, { expiresAtMs: soon(90_000 + n) }).leave();
    expect(vi.getTimerCount()).toBe(0);
    expect(store.state).toMatchObject({ reads: 1, watchers: 1 });
  });
});
