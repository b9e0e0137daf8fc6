/** The contract of the AccessRules port (functions/ports/access-rules.ts), run by every adapter on its real store. */
import { describe, expect, it, vi } from "vitest";
import {
  type AccessRule,
  LONGEST_TOKEN_MS,
  type Renewal,
  type Revocation,
  ruleName,
} from "../../functions/core/access-rule.ts";
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
const subject = (name: string, atMs: number): Revocation => ({
  kind: "subject-revoked",
  subject: name,
  atMs,
});
const company = (name: CompanyId, atMs: number): Revocation => ({
  kind: "company-revoked",
  company: name,
  atMs,
});
const features = (name: CompanyId, streaming: boolean, maxConnections?: number) => ({
  kind: "features" as const,
  company: name,
  features: { streaming, maxConnections },
});
/** Puts it, whatever it is. */
const decide = async (rules: AccessRules, rule: Revocation | ReturnType<typeof features>) => {
  if (rule.kind !== "features") await rules.put(rule);
  else await rules.changeFeatures(rule.company, rule.features);
};
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
const byName = (rules: readonly AccessRule[]) =>
  Object.fromEntries(rules.map((rule) => [ruleName(rule), rule]));

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
      for (const [at, rule] of rules.entries()) await decide(at % 2 === 0 ? own : other, rule);
      for (const instance of [own, other, await backend.open()]) {
        expect(byName(await instance.read())).toEqual(byName(rules));
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
        expect(byName(read)).toEqual(byName(rules));
      },
      { maxRules: 5_000 },
    );

    test("put: replaces a revocation unless it is later than the new one", async (own, other) => {
      for (const rule of [subject("alice", 20), company(acme, 20)]) await own.put(rule);
      for (const rule of [subject("alice", 30), company(acme, 10)]) await other.put(rule);
      expect(byName(await own.read())).toEqual(byName([subject("alice", 30), company(acme, 20)]));
    });

    test("changeFeatures: changes what is named and leaves the rest; what is as without it is not kept", async (own, other) => {
      const changes = [
        [{}, { streaming: true, maxConnections: undefined }],
        [{ maxConnections: 0 }, { streaming: true, maxConnections: 0 }],
        [{ streaming: false }, { streaming: false, maxConnections: 0 }],
        [{ maxConnections: 10_000_000 }, { streaming: false, maxConnections: 10_000_000 }],
        [
          { streaming: undefined, maxConnections: null },
          { streaming: false, maxConnections: undefined },
        ],
      ] as const;
      const { hears, heard, end } = await listen(other);
      for (const [at, [change, then]] of changes.entries()) {
        expect(await (at % 2 === 0 ? own : other).changeFeatures(acme, change)).toEqual(then);
        await hears(at + 1);
        expect(heard.at(-1)).toEqual({ kind: "features", company: acme, features: then });
      }
      expect(await other.read()).toEqual([features(acme, false)]);
      await own.changeFeatures(acme, { streaming: true });
      expect(await other.read()).toEqual([]);
      end();
    });

    test("changeFeatures: of two at the same time both have their way", async (own, other) => {
      for (let round = 0; round < 20; round++) {
        await own.changeFeatures(acme, { streaming: true, maxConnections: null });
        await Promise.all([
          own.changeFeatures(acme, { streaming: false }),
          other.changeFeatures(acme, { maxConnections: 5 }),
        ]);
        expect(await own.read()).toEqual([features(acme, false, 5)]);
      }
    });

    test("version: another one after every change of the rules, on every instance", async (own, other) => {
      const versions = [await own.version()];
      const changes = [
        () => own.put(subject("alice", 5)),
        () => own.put(subject("alice", 6)),
        () => other.changeFeatures(acme, { streaming: false }),
        () => other.changeFeatures(acme, { streaming: true }),
      ];
      for (const change of changes) {
        await change();
        versions.push(await own.version());
        expect(await other.version()).toBe(versions.at(-1));
      }
      expect(new Set(versions).size).toBe(5);
      await own.read();
      expect(await own.version()).toBe(versions.at(-1));
    });

    test("put: of two at the same time the later revocation stands", async (own, other) => {
      await Promise.all(
        Array.from({ length: 40 }, (_, n) => (n % 2 ? own : other).put(subject("alice", 1_000 + n))),
      );
      expect(await own.read()).toEqual([subject("alice", 1_039)]);
    });

    test(
      "put: is never refused; the oldest gives way, and everybody's tokens of its time are revoked in its place",
      async (own, other) => {
        const nowMs = Date.now();
        const at = (n: number) => nowMs - 1_000 + n;
        // Features are no way to keep revocations out.
        for (const name of [acme, globex, "initech" as CompanyId])
          await own.changeFeatures(name, { streaming: false });
        await expect(own.changeFeatures("hooli" as CompanyId, { streaming: false })).rejects.toMatchObject({
          code: "invalid-input",
        });
        await own.changeFeatures(acme, { streaming: true });
        const hooli = await own.changeFeatures("hooli" as CompanyId, { maxConnections: 1 });
        expect(hooli).toEqual({ streaming: true, maxConnections: 1 });

        const { hears, heard, end } = await listen(other);
        for (const [n, name] of ["c", "a", "b"].entries()) {
          expect(await own.put(subject(name, at([3, 1, 2][n]!)))).toBeUndefined();
        }
        expect(await own.put(subject("c", at(4)))).toBeUndefined();
        expect(await own.put(company(acme, at(5)))).toBe(at(1));
        expect(await own.put(subject("late", at(0)))).toBe(at(2));
        expect(await own.put(subject("e", at(6)))).toBe(at(2));
        const revoked = (await other.read()).filter(({ kind }) => kind !== "features");
        expect(byName(revoked)).toEqual(
          byName([
            { kind: "all-revoked", atMs: at(2) },
            subject("c", at(4)),
            company(acme, at(5)),
            subject("e", at(6)),
          ]),
        );
        await hears(10);
        expect(heard.filter((one) => one !== "restored" && one.kind === "all-revoked")).toEqual(
          [1, 2, 2].map((n) => ({ kind: "all-revoked", atMs: at(n) })),
        );
        // It takes no company's room.
        await own.changeFeatures(globex, { streaming: true });
        await own.changeFeatures("umbrella" as CompanyId, { streaming: false });
        end();
      },
      { maxRules: 6 },
    );

    test(
      "put: a revocation that can concern no token any more leaves alone",
      async (own) => {
        const longAgo = Date.now() - LONGEST_TOKEN_MS;
        for (let n = 0; n < 3; n++) await own.put(subject(`s-${n}`, longAgo - 60_000 + n));
        expect(await own.put(subject("now", Date.now()))).toBeUndefined();
        expect(
          (await own.read()).map((rule) => rule.kind === "subject-revoked" && rule.subject).sort(),
        ).toEqual(["now", "s-1", "s-2"]);
      },
      { maxRules: 6 },
    );

    test(
      "put: what stands for older revocations leaves when they would have",
      async (own) => {
        const kinds = async () => (await own.read()).map(({ kind }) => kind).sort();
        for (let n = 0; n < 4; n++) await own.put(subject(`s-${n}`, Date.now()));
        expect(await kinds()).toEqual(["all-revoked", ...Array(3).fill("subject-revoked")]);
        try {
          vi.useFakeTimers({ toFake: ["Date"] });
          vi.setSystemTime(Date.now() + LONGEST_TOKEN_MS + 1_000);
          expect(await own.put(subject("s-5", Date.now()))).toBeUndefined();
          expect(await kinds()).toEqual(Array(3).fill("subject-revoked"));
        } finally {
          vi.useRealTimers();
        }
      },
      { maxRules: 6 },
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
        await (one.kind === "renewed" ? instance.announce(one) : decide(instance, one));
      }
      for (const { hears, heard } of watchers) {
        await hears(news.length);
        expect(heard).toEqual(news);
      }
      // A renewal is no rule.
      expect((await own.read()).length).toBe(3);
      for (const { end } of watchers) end();
    });

    test("watch: nothing of what was put before, and nothing after its end", async (own, other) => {
      await decide(own, features(acme, false));
      await own.announce(renewal("early"));
      const [first, second] = [await listen(own), await listen(other)];
      await decide(other, features(globex, false));
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
