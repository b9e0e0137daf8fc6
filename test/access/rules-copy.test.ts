import { afterEach, describe, expect, it, vi } from "vitest";
import { createRuleSet } from "../../functions/access/rule-set.ts";
import { createPolledRules } from "../../functions/access/rules-polled.ts";
import type { AccessRule, Renewal, Revocation } from "../../functions/core/access-rule.ts";
import { waitFor } from "../support/wait.ts";
import { ACME, GLOBEX, openAccessStore, principalOf } from "./access-support.ts";

const alice = principalOf();
const revoke = (atMs: number): Revocation => ({ kind: "subject-revoked", subject: "alice", atMs });
const close = (atMs: number): Revocation => ({ kind: "company-revoked", company: ACME, atMs });
const SWITCH_OFF = { streaming: false, maxConnections: 3 };
/** Holds it, and keeps what it hears. */
const holder = () => {
  const heard: string[] = [];
  return {
    heard,
    changed: ({ kind }: AccessRule | Renewal) => void heard.push(kind),
    restored: () => void heard.push("restored"),
  };
};

afterEach(() => {
  vi.useRealTimers();
});

describe("createRulesCopy", () => {
  it("says what was decided before it was read and since, by issue time", async () => {
    using store = openAccessStore();
    const copy = store.copy();
    await store.others.put(revoke(500));
    await copy.ready();
    expect([copy.isRevoked(alice), copy.isRevokedFor(alice, ACME)]).toEqual([false, false]);
    expect(copy.features(ACME)).toEqual({ streaming: true, maxConnections: undefined });

    await store.others.put(revoke(1_000));
    await store.others.put(close(1_000));
    await store.others.changeFeatures(ACME, SWITCH_OFF);
    await waitFor("the changes", () => !copy.features(ACME).streaming);
    expect([copy.isRevoked(alice), copy.isRevokedFor(alice, ACME)]).toEqual([true, true]);
    expect(copy.isRevokedFor(alice, GLOBEX)).toBe(false);
    const later = principalOf({ issuedAtMs: 1_001 });
    expect([copy.isRevoked(later), copy.isRevokedFor(later, ACME)]).toEqual([false, false]);
    expect(copy.isRevoked(principalOf({ subject: "bob" }))).toBe(false);
    // Nobody in particular: no subject's revocation concerns it, its company's does.
    const nobody = principalOf({ subject: undefined, issuedAtMs: 0 });
    expect([copy.isRevoked(nobody), copy.isRevokedFor(nobody, ACME)]).toEqual([false, true]);
  });

  it("reads once for all who ask, and never for a join", async () => {
    using store = openAccessStore();
    const copy = store.copy();
    await Promise.all(Array.from({ length: 1_000 }, () => copy.ready()));
    for (let n = 0; n < 1_000; n++) copy.hold(holder())();
    await copy.ready();
    expect(store.state).toMatchObject({ reads: 1, watchers: 1 });
  });

  it("fails closed where there never was one, and is read by the next who asks", async () => {
    using store = openAccessStore();
    const copy = store.copy();
    store.cutOff();
    for (let n = 0; n < 3; n++) await expect(copy.ready()).rejects.toMatchObject({ code: "unavailable" });
    await store.others.put(revoke(1_000));
    store.reconnect();
    await copy.ready();
    expect(copy.isRevoked(alice)).toBe(true);
  });

  it("stands while the store is away, and is read anew when it is back", async () => {
    using store = openAccessStore();
    const copy = store.copy();
    await store.others.changeFeatures(ACME, SWITCH_OFF);
    await copy.ready();
    const held = holder();
    copy.hold(held);
    store.cutOff();
    await store.others.put(revoke(1_000));
    await copy.ready();
    expect([copy.features(ACME).streaming, copy.isRevoked(alice)]).toEqual([false, false]);
    store.reconnect();
    await waitFor("the revocation", () => copy.isRevoked(alice));
    expect(held.heard).toContain("restored");
  });

  it("is read again until that succeeds, when the store goes away at once again", async () => {
    using store = openAccessStore();
    const copy = store.copy();
    await copy.ready();
    store.cutOff();
    await store.others.put(revoke(1_000));
    const { reads } = store.state;
    store.reconnect({ isAway: true });
    await waitFor("tries", () => store.state.reads > reads + 2);
    expect(copy.isRevoked(alice)).toBe(false);
    store.state.isAway = false;
    await waitFor("the revocation", () => copy.isRevoked(alice));
  });

  it("is let go of when nobody has needed it for a while, and comes back", async () => {
    using store = openAccessStore();
    const copy = store.copy({ lingerMs: 30 });
    await copy.ready();
    expect(store.state.watchers).toBe(1);
    await waitFor("it to be let go of", () => store.state.watchers === 0);
    await store.others.put(revoke(1_000));
    await copy.ready();
    expect(copy.isRevoked(alice)).toBe(true);
    expect(store.state).toMatchObject({ reads: 2, watchers: 1 });
  });

  it("lets nobody in once it is let go of: a request may outlast it", async () => {
    using store = openAccessStore();
    const copy = store.copy({ lingerMs: 1 });
    await store.others.put(revoke(1_000));
    await copy.ready();
    expect(copy.isRevoked(alice)).toBe(true);
    await waitFor("it to be let go of", () => store.state.watchers === 0);
    const unavailable = expect.objectContaining({ code: "unavailable" });
    expect(() => copy.isRevoked(alice)).toThrow(unavailable);
    expect(() => copy.isRevokedFor(alice, ACME)).toThrow(unavailable);
    expect(() => copy.features(ACME)).toThrow(unavailable);
    expect(copy.current()).toBeUndefined();
  });

  it("is kept while it is held, and no longer", async () => {
    using store = openAccessStore();
    const copy = store.copy({ lingerMs: 10 });
    const held = holder();
    const release = copy.hold(held);
    const sameTime = store.copy({ lingerMs: 10 });
    await sameTime.ready();
    await waitFor("the one that is not held to go", () => store.state.watchers === 1);
    await store.others.put(revoke(1_000));
    await waitFor("the change", () => held.heard.includes("subject-revoked"));
    expect(copy.isRevoked(alice)).toBe(true);
    release();
    release();
    await waitFor("it to be let go of", () => store.state.watchers === 0);
  });

  it("has no timer while it is held, one while it is not, and none once it is gone", async () => {
    using store = openAccessStore();
    vi.useFakeTimers();
    const copy = store.copy({ lingerMs: 1_000 });
    await copy.ready();
    expect(vi.getTimerCount()).toBe(1);
    const release = copy.hold(holder());
    vi.advanceTimersByTime(5_000);
    expect([vi.getTimerCount(), store.state.watchers]).toEqual([0, 1]);
    release();
    vi.advanceTimersByTime(999);
    expect([vi.getTimerCount(), store.state.watchers]).toEqual([1, 1]);
    vi.advanceTimersByTime(1);
    expect([vi.getTimerCount(), store.state.watchers]).toEqual([0, 0]);
  });

  it("is read in the end for who holds it, without being asked", async () => {
    using store = openAccessStore();
    const copy = store.copy();
    store.cutOff();
    await store.others.put(revoke(1_000));
    const held = holder();
    copy.hold(held);
    await waitFor("a line about it", () => store.logged().length > 0);
    store.state.isAway = false;
    await waitFor("the first reading", () => held.heard.includes("restored"));
    expect(copy.isRevoked(alice)).toBe(true);
  });

  it("hears of changes that come while it is being read", async () => {
    using store = openAccessStore();
    let decide: () => Promise<unknown> = async () => {};
    const copy = store.copy({
      rules: {
        ...store.rules,
        async read() {
          const before = await store.rules.read();
          await decide();
          return before;
        },
      },
    });
    decide = () => store.others.changeFeatures(ACME, SWITCH_OFF);
    await copy.ready();
    expect(copy.features(ACME).streaming).toBe(false);
  });
});

it("createRulesCopy reads again when the store was away during its first reading", async () => {
  using store = openAccessStore();
  let meanwhile = async () => {};
  const copy = store.copy({
    rules: {
      ...store.rules,
      async read() {
        const before = await store.rules.read();
        await meanwhile();
        return before;
      },
    },
  });
  meanwhile = async () => {
    meanwhile = async () => {};
    store.cutOff();
    await store.others.put(revoke(1_000));
    store.reconnect();
  };
  await copy.ready();
  await waitFor("the revocation", () => copy.isRevoked(alice));
});

describe("createRuleSet", () => {
  it("lets one moment stand for everybody's, and forgets what says no more than that", () => {
    const set = createRuleSet();
    set.add(revoke(1_000));
    set.add({ kind: "subject-revoked", subject: "bob", atMs: 3_000 });
    set.add({ kind: "all-revoked", atMs: 2_000 });
    set.add({ kind: "all-revoked", atMs: 1_500 });
    for (const [subject, issuedAtMs, isRevoked] of [
      ["alice", 2_000, true],
      ["alice", 2_001, false],
      ["bob", 3_000, true],
      [undefined, 2_000, true],
      [undefined, 2_001, false],
    ] as const) {
      expect(set.isRevoked(principalOf({ subject, issuedAtMs }))).toBe(isRevoked);
    }
  });
});

describe("createPolledRules", () => {
  it("reads when what it has is old, and fails closed", async () => {
    using store = openAccessStore();
    const polled = createPolledRules({ rules: store.rules, maxAgeMs: 20 });
    store.cutOff();
    await expect(polled.ready()).rejects.toMatchObject({ code: "unavailable" });
    store.reconnect();
    await polled.ready();
    await store.others.put(revoke(1_000));
    await waitFor("the change", async () => {
      await polled.ready();
      return polled.isRevoked(alice);
    });
    expect(polled.features(ACME).streaming).toBe(true);
    expect(store.state.watchers).toBe(0);
    store.cutOff();
    await waitFor("its age", async () =>
      polled.ready().then(
        () => false,
        () => true,
      ),
    );
  });

  it("reads what has changed only, and finds what has", async () => {
    using store = openAccessStore();
    const polled = createPolledRules({ rules: store.rules, maxAgeMs: 0 });
    expect(() => polled.isRevoked(alice)).toThrow(expect.objectContaining({ code: "unavailable" }));
    for (let n = 0; n < 10; n++) await polled.ready();
    expect(store.state.reads).toBe(1);
    await store.others.put(revoke(1_000));
    for (let n = 0; n < 10; n++) await polled.ready();
    expect([store.state.reads, polled.isRevoked(alice)]).toEqual([2, true]);
    store.cutOff();
    await expect(polled.ready()).rejects.toMatchObject({ code: "unavailable" });
  });

  it("keeps what was asked for later, when an earlier request is answered last", async () => {
    using store = openAccessStore();
    vi.useFakeTimers({ toFake: ["Date"] });
    const gates: (() => void)[] = [];
    const polled = createPolledRules({
      rules: {
        version: () => store.rules.version(),
        async read() {
          const before = await store.rules.read();
          await new Promise<void>((resolve) => gates.push(resolve));
          return before;
        },
      },
      maxAgeMs: 0,
    });
    const first = polled.ready();
    await vi.waitFor(() => expect(gates.length).toBe(1));
    await store.others.put(revoke(1_000));
    vi.setSystemTime(Date.now() + 100);
    const second = polled.ready();
    await vi.waitFor(() => expect(gates.length).toBe(2));
    gates[1]!();
    await second;
    gates[0]!();
    await first;
    expect(polled.isRevoked(alice)).toBe(true);
  });

  it("costs no read for what comes at once", async () => {
    using store = openAccessStore();
    const polled = createPolledRules({ rules: store.rules, maxAgeMs: 60_000 });
    await polled.ready();
    await Promise.all(Array.from({ length: 1_000 }, () => polled.ready()));
    expect(store.state.reads).toBe(1);
  });
});
