/** EventLog contract: what read answers, for any cursor. */
import fc from "fast-check";
import { describe, expect } from "vitest";
import {
  type Cursor,
  cursorParts,
  formatCursor,
  GENESIS,
  positionParts,
} from "../../functions/core/cursor.ts";
import { MAX_DATA_BYTES, PAGE_BYTES } from "../../functions/core/limits.ts";
import {
  entriesOf,
  event,
  events,
  expectGrowing,
  idOf,
  ids,
  newCompany,
  readAll,
  sum,
  type Tests,
} from "./event-log-support.ts";

export function describeRead({ test }: Tests): void {
  describe("read", () => {
    test("of a company without a log is empty after GENESIS, reset after anything else", async ({ log }) => {
      const company = newCompany();
      expect(await log.read(company, GENESIS, 10)).toEqual({ kind: "events", entries: [], more: false });
      expect(await log.tip(company)).toBe(GENESIS);
      expect(await log.read(company, formatCursor("gone", "17-0"), 10)).toEqual({
        kind: "reset",
        resumeAfter: GENESIS,
        oldest: undefined,
      });
    });

    test("after GENESIS gives everything from the first event", async ({ log }) => {
      const company = newCompany();
      await log.append(events(company, 0, 3));
      expect((await readAll(log, company, GENESIS)).map(idOf)).toEqual(ids(0, 3));
    });

    test("after any entry gives exactly what follows; at the tip nothing", async ({ log }) => {
      const company = newCompany();
      const appended = await log.append(events(company, 0, 12));
      for (const [at, { cursor }] of appended.entries()) {
        const result = await log.read(company, cursor, 100);
        expect(entriesOf(result).map(idOf)).toEqual(ids(at + 1, 12));
        expect(result).toMatchObject({ kind: "events", more: false });
      }
    });

    test("gives at most `limit` entries, and `more` until the tip is reached", async ({ log }) => {
      const company = newCompany();
      await log.append(events(company, 0, 10));
      const pages: [string[], boolean][] = [];
      let after = GENESIS;
      for (;;) {
        const result = await log.read(company, after, 4);
        if (result.kind !== "events") throw new Error(result.kind);
        pages.push([result.entries.map(idOf), result.more]);
        if (!result.more) break;
        after = result.entries.at(-1)!.cursor;
      }
      expect(pages).toEqual([
        [ids(0, 4), true],
        [ids(4, 8), true],
        [ids(8, 10), false],
      ]);
      expect(await log.read(company, await log.tip(company), 4)).toEqual({
        kind: "events",
        entries: [],
        more: false,
      });
      const exact = await log.read(company, GENESIS, 10);
      expect(exact).toMatchObject({ kind: "events", more: false });
    });

    test("gives pages of at most PAGE_BYTES, and at least one entry", async ({ log }) => {
      const company = newCompany();
      // Two bytes a character: bytes are counted, not characters.
      const dataText = `{"companyId":"${company}","pad":"${"é".repeat((MAX_DATA_BYTES - 60) / 2)}"}`;
      await log.append(Array.from({ length: 20 }, (_, n) => event(company, n, { dataText })));
      const seen: string[] = [];
      let after: Cursor = GENESIS;
      for (let more = true; more; ) {
        const result = await log.read(company, after, 500);
        if (result.kind !== "events") throw new Error(result.kind);
        expect(result.entries.length).toBeGreaterThan(0);
        expect(sum(result.entries.map(({ record }) => Buffer.byteLength(record)))).toBeLessThanOrEqual(
          PAGE_BYTES,
        );
        if (result.more) expect(result.entries.length).toBeGreaterThanOrEqual(6);
        seen.push(...result.entries.map(idOf));
        after = result.entries.at(-1)!.cursor;
        more = result.more;
      }
      expect(seen).toEqual(ids(0, 20));
    });

    test("beyond the tip is reset to the tip, so that the client does not starve", async ({ log }) => {
      const company = newCompany();
      const [appended] = await log.append([event(company, 0)]);
      const { epoch, position } = cursorParts(appended!.cursor);
      const [ms, seq] = positionParts(position);
      for (const beyond of [`${ms}-${seq + 1}`, `${ms + 1}-0`, "999999999999999-999999999999999"]) {
        expect(await log.read(company, formatCursor(epoch, beyond), 10)).toEqual({
          kind: "reset",
          resumeAfter: appended!.cursor,
          oldest: undefined,
        });
      }
    });

    test("of another epoch is reset to the oldest entry kept", async ({ log }) => {
      const company = newCompany();
      const appended = await log.append(events(company, 0, 3));
      const result = await log.read(company, formatCursor("another0epoch", "1-1"), 10);
      expect(result).toMatchObject({ kind: "reset", oldest: appended[0]!.cursor });
      if (result.kind === "events") throw new Error("expected a reset");
      expect(entriesOf(await log.read(company, result.resumeAfter, 10)).map(idOf)).toEqual(ids(0, 3));
    });

    test("after a position that never was is never silence", async ({ log }) => {
      const company = newCompany();
      await log.append([event(company, 0)]);
      const middle = await log.append([event(company, 1)]);
      await log.append([event(company, 2)]);
      const { epoch, position } = cursorParts(middle[0]!.cursor);
      const [ms, seq] = positionParts(position);
      const forged = [formatCursor(epoch, `${ms}-${seq + 999_999}`), formatCursor(epoch, "1-0")];
      for (const cursor of forged) {
        const result = await log.read(company, cursor, 10);
        if (result.kind === "events") throw new Error("expected a gap");
        // It goes on somewhere, and gets to the tip.
        const rest = await readAll(log, company, result.resumeAfter);
        expect(["2", undefined]).toContain(rest.map(idOf).at(-1));
      }
    });
  });

  describe("ping", () => {
    test("resolves while the store answers", async ({ log }) => {
      await log.ping();
    });
  });

  describe("any history", () => {
    test("of appends, duplicates and reads at any cursor equals a list in memory", async ({ log, other }) => {
      const step = fc.oneof(
        fc.record({
          kind: fc.constant("append" as const),
          by: fc.boolean(),
          batch: fc.array(fc.tuple(fc.nat(1), fc.nat(25)), { maxLength: 8 }),
        }),
        fc.record({
          kind: fc.constant("read" as const),
          by: fc.boolean(),
          company: fc.nat(1),
          at: fc.nat(100),
          limit: fc.integer({ min: 1, max: 6 }),
        }),
      );
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
          const names = [newCompany("model"), newCompany("model")];
          const model: { id: string; cursor: Cursor }[][] = [[], []];
          for (const action of steps) {
            const by = action.by ? log : other;
            if (action.kind === "append") {
              const batch = action.batch.map(([company, id]) => event(names[company]!, id));
              const appended = await by.append(batch);
              for (const [at, [company, number]] of action.batch.entries()) {
                const id = String(number);
                const stored = model[company]!.find((entry) => entry.id === id);
                expect(appended[at]).toEqual({
                  cursor: stored?.cursor ?? appended[at]!.cursor,
                  isNew: stored === undefined,
                });
                if (stored === undefined) model[company]!.push({ id, cursor: appended[at]!.cursor });
              }
              continue;
            }
            const list = model[action.company]!;
            const at = action.at % (list.length + 1);
            const after = list[at - 1]?.cursor ?? GENESIS;
            const result = await by.read(names[action.company]!, after, action.limit);
            const expected = list.slice(at, at + action.limit);
            expect(entriesOf(result).map((entry) => ({ id: idOf(entry), cursor: entry.cursor }))).toEqual(
              expected,
            );
            expect(result).toMatchObject({ more: at + expected.length < list.length });
          }
          for (const [company, list] of model.entries()) {
            expect(await log.tip(names[company]!)).toBe(list.at(-1)?.cursor ?? GENESIS);
            expectGrowing(list.map(({ cursor }) => cursor));
            expect((await log.tallies(names[company]!)).total).toEqual(
              list.length === 0 ? {} : { metric_updated: list.length },
            );
          }
        }),
        { numRuns: 15 },
      );
    });
  });
}
