/** The contract of the AccessRules port (functions/ports/access-rules.ts), run by every adapter on its real store. */
import { describe, expect, it } from "vitest";
import type { AccessRule, Renewal } from "../../functions/core/access-rule.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { AccessRules } from "../../functions/ports/access-rules.ts";
import { waitFor } from "../support/wait.ts";

/** One empty store. */
interface AccessRulesBackend extends AsyncDisposable {
  /** One more instance on this store. */
  open(): Promise<AccessRules>;
}

export interface AccessRulesContract {
  readonly name: string;
  readonly create: (options: { maxRules: number }) => Promise<AccessRulesBackend>;
  readonly skip?: string | undefined;
}

const acme = "acme" as CompanyId;
const globex = "globex" as CompanyId;
const subject = (name: string, atMs: number): AccessRule => ({
  kind: "subject-revoked",
  subject: name,
  atMs,
});
const company = (name: CompanyId, atMs: number): AccessRule => ({
  kind: "company-revoked",
  company: name,
  atMs,
});
const features = (name: CompanyId, streaming: boolean, maxConnections?: number): AccessRule => ({
  kind: "features",
  company: name,
  features: { streaming, maxConnections },
});
const renewal = (connection: string): Renewal => ({
  kind: "renewed",
  connection,
  principal: { subject: "alice", companies: [acme], roles: [], issuedAtMs: 1, expiresAtMs: 2 },
});

/** Watches, and keeps what it hears. */
async function listen(rules: AccessRules) {
  const heard: (AccessRule | Renewal | "restored")[] = [];
  const end = await rules.watch({
    changed: (news) => void heard.push(news),
    restored: () => void heard.push("restored"),
  });
  return { heard, end, hears: (count: number) => waitFor(`${count} news`, () => heard.length >= count) };
}
const sorted = (rules: readonly AccessRule[]) => rules.map((rule) => JSON.stringify(rule)).sort();

export function describeAccessRules({ name, create, skip }: AccessRulesContract): void {
  describe(`AccessRules on ${name}`, () => {
    const test = (
      title: string,
      body: (own: AccessRules, other: AccessRules, backend: AccessRulesBackend) => Promise<void>,
      { maxRules = 1_000 } = {},
    ) =>
      it(title, async (context) => {
        if (skip !== undefined) context.skip(skip);
        await using backend = await create({ maxRules });
        await body(await backend.open(), await backend.open(), backend);
      });

    test("read: every rule that was put, on every instance and after it is opened again", async (own, other, backend) => {
      expect(await own.read()).toEqual([]);
      const rules = [
        subject("alice", 5),
        subject('a "quoted" \n🚂', 6),
        // Of one name and three kinds.
        subject("acme", 7),
        company(acme, 8),
        features(acme, false),
        features(globex, true, 3),
      ];
      for (const [at, rule] of rules.entries()) await (at % 2 === 0 ? own : other).put(rule);
      for (const instance of [own, other, await backend.open()]) {
        expect(sorted(await instance.read())).toEqual(sorted(rules));
      }
    });

    test(
      "read: all of them, when there are many",
      async (own, other) => {
        const rules = Array.from({ length: 2_500 }, (_, n) => subject(`subject-${n}`, n));
        for (let from = 0; from < rules.length; from += 500) {
          await Promise.all(rules.slice(from, from + 500).map((rule) => own.put(rule)));
        }
        const read = await other.read();
        expect(new Set(sorted(read))).toEqual(new Set(sorted(rules)));
      },
      { maxRules: 5_000 },
    );

    test("put: replaces the features of a company, and a revocation unless it is later than the new one", async (own, other) => {
      for (const rule of [features(acme, false, 3), subject("alice", 20), company(acme, 20)]) {
        await own.put(rule);
      }
      for (const rule of [features(acme, true), subject("alice", 30), company(acme, 10)]) {
        await other.put(rule);
      }
      expect(sorted(await own.read())).toEqual(
        sorted([features(acme, true), subject("alice", 30), company(acme, 20)]),
      );
    });

    test("put: of two at the same time the later revocation stands", async (own, other) => {
      await Promise.all(
        Array.from({ length: 40 }, (_, n) => (n % 2 ? own : other).put(subject("alice", 1_000 + n))),
      );
      expect(await own.read()).toEqual([subject("alice", 1_039)]);
    });

    test(
      "put: no more than the limit, and what is there can still be replaced",
      async (own) => {
        for (let n = 0; n < 5; n++) await own.put(subject(`s-${n}`, 1));
        await expect(own.put(features(acme, false))).rejects.toMatchObject({ code: "invalid-input" });
        await own.put(subject("s-4", 2));
        expect(sorted(await own.read())).toEqual(
          sorted([...Array.from({ length: 4 }, (_, n) => subject(`s-${n}`, 1)), subject("s-4", 2)]),
        );
      },
      { maxRules: 5 },
    );

    test("watch: every change and renewal, in order, on every instance, the one that made it too", async (own, other, backend) => {
      const watchers = [await listen(own), await listen(other), await listen(await backend.open())];
      const news = [
        features(acme, false, 3),
        renewal("a"),
        subject("alice", 5),
        company(globex, 6),
        renewal("b"),
      ];
      for (const [at, one] of news.entries()) {
        const instance = at % 2 === 0 ? own : other;
        await (one.kind === "renewed" ? instance.announce(one) : instance.put(one));
      }
      for (const { hears, heard } of watchers) {
        await hears(news.length);
        expect(heard.map((one) => JSON.stringify(one))).toEqual(news.map((one) => JSON.stringify(one)));
      }
      // A renewal is no rule.
      expect((await own.read()).length).toBe(3);
      for (const { end } of watchers) end();
    });

    test("watch: nothing of what was put before, and nothing after its end", async (own, other) => {
      await own.put(features(acme, false));
      await own.announce(renewal("early"));
      const [first, second] = [await listen(own), await listen(other)];
      await other.put(features(globex, false));
      await second.hears(1);
      await first.hears(1);
      first.end();
      first.end();
      await other.announce(renewal("late"));
      await second.hears(2);
      expect(first.heard).toEqual([features(globex, false)]);
      expect(second.heard).toEqual([features(globex, false), renewal("late")]);
      const again = await listen(own);
      await other.announce(renewal("later"));
      await again.hears(1);
      expect(again.heard).toEqual([renewal("later")]);
      again.end();
      second.end();
    });
  });
}
