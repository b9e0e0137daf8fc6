/** The contract of the DeadLetters port (functions/ports/dead-letters.ts), run by every adapter on its real store. */
import { describe, expect, it } from "vitest";
import type { DeadLetter, DeadLetters, StoredDeadLetter } from "../../functions/ports/dead-letters.ts";

/** One empty store. */
interface DeadLettersBackend extends AsyncDisposable {
  /** One more instance on this store. */
  open(): Promise<DeadLetters>;
}

export interface DeadLettersContract {
  readonly name: string;
  readonly create: (options: { maxLetters: number }) => Promise<DeadLettersBackend>;
  readonly skip?: string | undefined;
}

const letter = (n: number, change: Partial<DeadLetter> = {}): DeadLetter => ({
  source: "nats",
  reason: `Cannot read event companyId: no company in the message (${n})`,
  subject: "metrics.calculated",
  headers: { "content-type": "application/json" },
  bodyBase64: "eyJhIjoxfQ==",
  time: "2026-01-31T12:00:00Z",
  ...change,
});
const letters = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => letter(from + n));
const withoutIds = (stored: readonly StoredDeadLetter[]) => stored.map(({ id: _, ...rest }) => rest);

export function describeDeadLetters({ name, create, skip }: DeadLettersContract): void {
  describe(`DeadLetters on ${name}`, () => {
    const test = (
      title: string,
      body: (own: DeadLetters, other: DeadLetters, backend: DeadLettersBackend) => Promise<void>,
      maxLetters = 100_000,
    ) =>
      it(title, async (context) => {
        if (skip !== undefined) context.skip(skip);
        await using backend = await create({ maxLetters });
        await body(await backend.open(), await backend.open(), backend);
      });

    test("lists what was put, oldest first, on every instance and after it is opened again", async (own, other, backend) => {
      expect(await own.list({ limit: 10 })).toEqual([]);
      await own.put([]);
      await own.put(letters(0, 3));
      await other.put(letters(3, 5));
      for (const instance of [own, other, await backend.open()]) {
        expect(withoutIds(await instance.list({ limit: 10 }))).toEqual(letters(0, 5));
      }
    });

    test("returns a letter as it was put", async (own) => {
      const odd = [
        letter(1, { reason: 'a "quoted"\nreason \u2028 🚂', subject: "", headers: {}, bodyBase64: "" }),
        letter(2, { headers: JSON.parse('{"__proto__":"x","a":"\\u0000"}') as Record<string, string> }),
        letter(3, { bodyBase64: "QUJD".repeat(350_000) }),
      ];
      await own.put(odd);
      const stored = withoutIds(await own.list({ limit: 10 }));
      expect(stored.map((one) => JSON.stringify(one))).toEqual(odd.map((one) => JSON.stringify(one)));
    });

    test("pages by the last id, also when letters were put since", async (own, other) => {
      await own.put(letters(0, 25));
      const listed: StoredDeadLetter[] = [];
      for (;;) {
        const after = listed.at(-1)?.id;
        const page = await own.list({ limit: 10, ...(after === undefined ? {} : { after }) });
        expect(page.length).toBeLessThanOrEqual(10);
        if (page.length === 0) break;
        listed.push(...page);
        if (listed.length === 10) await other.put(letters(25, 28));
      }
      expect(withoutIds(listed)).toEqual(letters(0, 28));
      expect(new Set(listed.map(({ id }) => id)).size).toBe(28);
    });

    test("refuses an id that is none", async (own) => {
      for (const after of ["", "x", "-", "(1", "1; DROP TABLE dead_letters", "1\n"]) {
        await expect(own.list({ limit: 1, after })).rejects.toThrow(
          /^Cannot read dead letter id ".*": expected the id/,
        );
      }
    });

    test("drops the oldest over its limit and never the newest", async (own) => {
      for (let n = 0; n < 1000; n += 100) await own.put(letters(n, n + 100));
      const kept = await own.list({ limit: 2000 });
      // Redis frees whole nodes of 100 letters (XADD, MAXLEN ~).
      expect(kept.length).toBeGreaterThanOrEqual(200);
      expect(kept.length).toBeLessThanOrEqual(300);
      expect(withoutIds(kept)).toEqual(letters(1000 - kept.length, 1000));
    }, 200);
  });
}
