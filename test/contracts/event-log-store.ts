/** EventLog contract: what becomes of a store that is closed, lost, put back, trimmed or restarted. */
import { describe, expect } from "vitest";
import {
  comparePositions,
  cursorParts,
  formatCursor,
  GENESIS,
  positionParts,
} from "../../functions/core/cursor.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import { waitFor } from "../support/wait.ts";
import {
  entriesOf,
  event,
  events,
  expectGrowing,
  idOf,
  ids,
  newCompany,
  readAll,
  readTail,
  type Tests,
} from "./event-log-support.ts";

export function describeStore({ testStore }: Tests, { restarts }: { restarts: boolean }): void {
  describe("a store that", () => {
    testStore("counts what it keeps over all companies", {}, async (_own, a, b) => {
      expect(await a.stats()).toEqual({ companies: 0, totalEvents: 0, eventsByCompany: {} });
      const [acme, globex] = [parseCompanyId("acme"), parseCompanyId("globex")];
      await a.append([...events(acme, 0, 5), ...events(globex, 0, 2)]);
      await b.append([...events(acme, 0, 6)]);
      expect(await a.stats()).toEqual({
        companies: 2,
        totalEvents: 8,
        eventsByCompany: { acme: 6, globex: 2 },
      });
    });

    testStore("is closed and opened again goes on where it was", {}, async (own, a, b) => {
      const company = newCompany();
      const [first] = await a.append(events(company, 0, 3));
      await a[Symbol.asyncDispose]();
      await b[Symbol.asyncDispose]();
      const again = await own.open();
      expect(entriesOf(await again.read(company, first!.cursor, 10)).map(idOf)).toEqual(ids(1, 3));
      const appended = await again.append(events(company, 0, 4));
      expect(appended.map(({ isNew }) => isNew)).toEqual([false, false, false, true]);
      expect(appended[0]!.cursor).toBe(first!.cursor);
      expectGrowing(appended.map(({ cursor }) => cursor));
      expect((await again.tallies(company)).total).toEqual({ metric_updated: 4 });
    });

    testStore(
      "lost everything gets a new epoch: old cursors are reset, tails say so once and go on",
      {},
      async (own, a, b) => {
        const company = newCompany();
        const before = await a.append(events(company, 0, 5));
        const readers = [readTail(a, company, GENESIS), readTail(b, company, GENESIS)];
        for (const reader of readers) await reader.has(5);
        await own.wipe();
        // The same events: the memory of duplicates is lost too.
        // Not by the append itself: one that was answered with an error may have been done, and the next would find its events.
        await waitFor("the store", () => Promise.all([a.ping(), a.stats()]));
        const after = await a.append(events(company, 0, 2));
        expect(after.every(({ isNew }) => isNew)).toBe(true);
        expect(cursorParts(after[0]!.cursor).epoch).not.toBe(cursorParts(before[0]!.cursor).epoch);
        for (const reader of readers) {
          await reader.has(7);
          await reader.stop();
          expect(reader.ids()).toEqual([...ids(0, 5), ...ids(0, 2)]);
          // What was lost may be noticed while the store is empty, and then again when the company has a log.
          expect(reader.gaps.length).toBeGreaterThanOrEqual(1);
          expect(reader.gaps.every(({ kind }) => kind === "reset")).toBe(true);
        }
        for (const { cursor } of before) {
          const result = await b.read(company, cursor, 10);
          expect(result).toMatchObject({ kind: "reset", oldest: after[0]!.cursor });
          if (result.kind === "reset") {
            expect(entriesOf(await b.read(company, result.resumeAfter, 10)).map(idOf)).toEqual(ids(0, 2));
          }
        }
        expect((await b.tallies(company)).total).toEqual({ metric_updated: 2 });
      },
    );

    testStore(
      "was put back to an older state resets the cursors it never gave, before and after it goes on",
      {},
      async (own, a) => {
        const company = newCompany();
        const kept = await a.append(events(company, 0, 3));
        const putBack = await own.snapshot();
        const lost = await a.append(events(company, 3, 6));
        await putBack();
        const tip = kept.at(-1)!.cursor;
        for (const { cursor } of lost) {
          expect(await a.read(company, cursor, 10)).toEqual({
            kind: "reset",
            resumeAfter: tip,
            oldest: undefined,
          });
        }
        // The lost events come again with others: no cursor given before may stand for one of them unnoticed.
        await waitFor(
          "the clock to move on",
          () => Date.now() > positionParts(cursorParts(lost[2]!.cursor).position)[0],
        );
        const again = await a.append([event(company, "between"), ...events(company, 3, 6)]);
        expect(again.every(({ isNew }) => isNew)).toBe(true);
        const result = await a.read(company, lost[2]!.cursor, 10);
        expect(result).toEqual({ kind: "reset", resumeAfter: tip, oldest: again[0]!.cursor });
        expect(entriesOf(await a.read(company, tip, 10)).map(idOf)).toEqual(["between", ...ids(3, 6)]);
      },
    );

    testStore(
      "trimmed by age says expired, and goes on behind the gap",
      { retentionMs: 2000 },
      async (_own, a, b) => {
        const company = newCompany();
        const old = await a.append(events(company, 0, 700));
        let next = 700;
        // Age takes what is old; the appends that follow find it.
        await waitFor("the first entry to go", async () => {
          await a.append([event(company, next++)]);
          return (await b.read(company, GENESIS, 1)).kind === "expired";
        });
        const result = await b.read(company, GENESIS, 10);
        if (result.kind !== "expired") throw new Error(result.kind);
        const kept = await readAll(b, company, result.resumeAfter);
        expect(kept[0]!.cursor).toBe(result.oldest);
        expect(kept.map(idOf)).toEqual(ids(Number(idOf(kept[0]!)), next));
        const { epoch, position } = cursorParts(result.resumeAfter);
        const dropped = old.filter(
          ({ cursor }) => comparePositions(cursorParts(cursor).position, position) < 0,
        );
        expect(dropped.length).toBeGreaterThan(0);
        expect(epoch).toBe(cursorParts(old[0]!.cursor).epoch);
        for (const { cursor } of dropped.slice(-3)) {
          expect((await b.read(company, cursor, 10)).kind).toBe("expired");
        }
        const reader = readTail(b, company, old[0]!.cursor);
        await reader.has(1);
        await reader.stop();
        expect(reader.gaps).toHaveLength(1);
        expect(reader.gaps[0]).toMatchObject({ kind: "expired", resumeAfter: result.resumeAfter });
        expect((await b.tallies(company)).total).toEqual({ metric_updated: next });
      },
    );

    testStore(
      "trimmed everything remembers tip, epoch and counts",
      { retentionMs: 2000 },
      async (_own, a, b) => {
        const [company, busy] = [newCompany(), newCompany()];
        const old = await a.append(events(company, 0, 5));
        let next = 0;
        await waitFor("every entry to go", async () => {
          await a.append([event(busy, next++)]);
          return (await b.read(company, old[0]!.cursor, 1)).kind === "expired";
        });
        const tip = old.at(-1)!.cursor;
        const nothingKept = { kind: "expired", resumeAfter: tip, oldest: undefined };
        for (const cursor of [GENESIS, old[0]!.cursor]) {
          expect(await b.read(company, cursor, 10)).toEqual(nothingKept);
        }
        expect(await b.read(company, formatCursor("other0epoch", "1-1"), 10)).toEqual({
          ...nothingKept,
          kind: "reset",
        });
        expect(await b.read(company, tip, 10)).toEqual({ kind: "events", entries: [], more: false });
        expect(await b.tip(company)).toBe(tip);
        expect((await b.tallies(company)).total).toEqual({ metric_updated: 5 });
        expect(Object.keys((await b.stats()).eventsByCompany)).not.toContain(company);
        const [again] = await a.append([event(company, "later")]);
        expectGrowing([tip, again!.cursor]);
        expect(entriesOf(await b.read(company, tip, 10)).map(idOf)).toEqual(["later"]);
      },
    );

    testStore(
      "keeps at most its cap of events a company, and still knows a duplicate of a dropped one",
      { maxEvents: 300 },
      async (_own, a) => {
        const [company, sibling] = [newCompany(), newCompany()];
        await a.append(events(sibling, 0, 10));
        for (let n = 0; n < 2000; n += 100) await a.append(events(company, n, n + 100));
        const result = await a.read(company, GENESIS, 10);
        if (result.kind !== "expired") throw new Error(result.kind);
        const kept = (await readAll(a, company, result.resumeAfter)).map(idOf);
        // Redis frees whole nodes of 100 entries (XADD, MAXLEN ~).
        expect(kept.length).toBeGreaterThanOrEqual(300);
        expect(kept.length).toBeLessThan(500);
        expect(kept).toEqual(ids(2000 - kept.length, 2000));
        expect((await a.append(events(company, 0, 100))).some(({ isNew }) => isNew)).toBe(false);
        expect((await a.stats()).eventsByCompany).toEqual({ [company]: kept.length, [sibling]: 10 });
        expect((await a.tallies(company)).total).toEqual({ metric_updated: 2000 });
      },
    );

    if (!restarts) return;

    testStore("went away and came back: tails go on, nothing is lost or repeated", {}, async (own, a, b) => {
      const company = newCompany();
      const readers = [readTail(a, company, GENESIS), readTail(b, company, GENESIS)];
      await a.append(events(company, 0, 50));
      for (const reader of readers) await reader.has(50);
      await own.restart!();
      for (let n = 50; n < 100; n += 10) {
        await waitFor("the store to take it", () => a.append(events(company, n, n + 10)));
      }
      for (const reader of readers) {
        await reader.has(100);
        await reader.stop();
        expect(reader.ids()).toEqual(ids(0, 100));
        expect(reader.gaps).toEqual([]);
      }
    });
  });
}
