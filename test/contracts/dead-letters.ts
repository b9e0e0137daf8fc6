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
  readonly create: (options: { maxLetters: number; maxBytes: number }) => Promise<DeadLettersBackend>;
  readonly skip?: string | undefined;
}

const letter = (n: number, change: Partial<DeadLetter> = {}): DeadLetter => ({
  source: "nats",
  reason: `Cannot read event companyId: no company in the message (${n})`,
  subject: "metrics.calculated",
  headers: { "content-type": "application/json" },
  bodyBase64: "eyJhIjoxfQ==",
  randomId: `0c2f-${n}`,
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
      { maxLetters = 100_000, maxBytes = 100_000_000 } = {},
    ) =>
      it(title, async (context) => {
        if (skip !== undefined) context.skip(skip);
        await using backend = await create({ maxLetters, maxBytes });
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
        letter(4, { messageId: "ORDERS.7.1767225600000" }),
      ];
      await own.put(odd);
      const stored = withoutIds(await own.list({ limit: 10 }));
      expect(stored.map((one) => JSON.stringify(one))).toEqual(odd.map((one) => JSON.stringify(one)));
    });

    test("takes more at once than any request may hold, in order", async (own) => {
      const many = letters(0, 100).map((one) => ({ ...one, bodyBase64: "QUJD".repeat(43_000) }));
      await own.put(many);
      const stored = await own.list({ limit: 1_000 });
      expect(stored.map(({ randomId }) => randomId)).toEqual(many.map(({ randomId }) => randomId));
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
        const refused = /^Cannot read dead letter id ".*": expected the id/;
        await expect(own.list({ limit: 1, after })).rejects.toThrow(refused);
        await expect(own.get(after)).rejects.toThrow(refused);
        await expect(own.remove([after])).rejects.toThrow(refused);
      }
    });

    test("get: the letter of the id, on every instance; undefined for one that is not there", async (own, other) => {
      await own.put(letters(0, 3));
      const listed = await own.list({ limit: 10 });
      for (const stored of listed) expect(await other.get(stored.id)).toEqual(stored);
      await own.remove([listed[1]!.id]);
      expect(await other.get(listed[1]!.id)).toBeUndefined();
      expect(await other.get(listed[2]!.id)).toEqual(listed[2]);
    });

    test("remove: those of the ids and no others; one that is not there does no harm", async (own, other) => {
      await own.put(letters(0, 6));
      expect(await other.count()).toBe(6);
      const ids = (await own.list({ limit: 10 })).map(({ id }) => id);
      await own.remove([]);
      await other.remove([ids[0]!, ids[3]!, ids[5]!]);
      await own.remove([ids[3]!, ids[4]!]);
      expect(await own.count()).toBe(2);
      expect(withoutIds(await other.list({ limit: 10 }))).toEqual(letters(1, 3));
      // An id is not used again, and what was removed may be where the next page begins.
      await other.put(letters(6, 7));
      const [page, ...none] = [await own.list({ limit: 10, after: ids[5]! }), await own.get(ids[5]!)];
      expect([withoutIds(page), none]).toEqual([letters(6, 7), [undefined]]);
    });

    test(
      "remove makes room: the oldest stay while there are no more than the limit",
      async (own) => {
        await own.put(letters(0, 200));
        await own.remove((await own.list({ limit: 200 })).slice(50).map(({ id }) => id));
        await own.put(letters(200, 350));
        expect(withoutIds(await own.list({ limit: 1000 }))).toEqual([
          ...letters(0, 50),
          ...letters(200, 350),
        ]);
      },
      { maxLetters: 200 },
    );

    test(
      "drops the oldest over its limit and never the newest",
      async (own) => {
        for (let n = 0; n < 1000; n += 100) await own.put(letters(n, n + 100));
        const kept = await own.list({ limit: 2000 });
        expect(withoutIds(kept)).toEqual(letters(800, 1000));
      },
      { maxLetters: 200 },
    );

    test(
      "drops the oldest over its bytes and never the newest, and what was removed makes room",
      async (own) => {
        const large = (n: number) => letter(n, { bodyBase64: "A".repeat(10_000) });
        const numbers = async () =>
          (await own.list({ limit: 100 })).map(({ randomId }) => Number(randomId.split("-")[1]));
        for (let n = 0; n < 20; n++) await own.put([large(n)]);
        expect(await numbers()).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19]);
        await own.remove((await own.list({ limit: 4 })).map(({ id }) => id));
        for (let n = 20; n < 24; n++) await own.put([large(n)]);
        expect(await numbers()).toEqual([15, 16, 17, 18, 19, 20, 21, 22, 23]);
        await own.put([letter(24, { bodyBase64: "A".repeat(200_000) })]);
        expect(await numbers()).toEqual([24]);
      },
      { maxBytes: 100_000 },
    );
  });
}
