/** EventLog contract: what append keeps, drops as a duplicate, keeps apart and counts. */
import { describe, expect } from "vitest";
import { GENESIS, parseCursor } from "../../functions/core/cursor.ts";
import { encodeRecord, recordData, recordType } from "../../functions/core/event.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import { MAX_APPEND_EVENTS, MAX_COUNTED_TYPES, MAX_DATA_BYTES } from "../../functions/core/limits.ts";
import {
  event,
  events,
  expectGrowing,
  idOf,
  ids,
  newCompany,
  readAll,
  readTail,
  sum,
  type Tests,
} from "./event-log-support.ts";

export function describeAppend({ test }: Tests): void {
  describe("append", () => {
    test("keeps the order, and cursors grow strictly", async ({ log }) => {
      const company = newCompany();
      const first = await log.append(events(company, 0, 10));
      const second = await log.append(events(company, 10, 20));
      const appended = [...first, ...second];
      expect(appended.every(({ isNew }) => isNew)).toBe(true);
      expectGrowing(appended.map(({ cursor }) => cursor));
      for (const { cursor } of appended) expect(parseCursor(cursor)).toBe(cursor);
      const entries = await readAll(log, company);
      expect(entries.map(idOf)).toEqual(ids(0, 20));
      expect(entries.map(({ cursor }) => cursor)).toEqual(appended.map(({ cursor }) => cursor));
      expect(await log.tip(company)).toBe(appended.at(-1)!.cursor);
    });

    test("takes a batch that is larger than any request may be, and keeps its order", async ({ log }) => {
      const company = newCompany();
      const data = JSON.stringify("x".repeat(MAX_DATA_BYTES - 100));
      const batch = ids(0, 100).map((id) => event(company, id, { dataText: data }));
      const appended = await log.append(batch);
      expectGrowing(appended.map(({ cursor }) => cursor));
      expect((await readAll(log, company)).map(idOf)).toEqual(ids(0, 100));
    });

    for (const [kind, text, bytes] of [
      ["three bytes a character", "日", 3],
      ["a quote, escaped in the data", '\\"', 2],
      ["a backslash, escaped in the data", "\\\\", 2],
      ["a control character, escaped in the data", "\\u0000", 6],
      ["four bytes a character", "🚂", 4],
      ["what is no character", "\ud800", 3],
    ] as const) {
      test(`takes a batch larger than any request may be, of ${kind}`, async ({ log }) => {
        const company = newCompany();
        const data = `{"t":"${text.repeat(Math.floor((MAX_DATA_BYTES - 100) / bytes))}"}`;
        const batch = ids(0, 100).map((id) => event(company, id, { dataText: data }));
        expectGrowing((await log.append(batch)).map(({ cursor }) => cursor));
        expect((await readAll(log, company)).map(idOf)).toEqual(ids(0, 100));
      });
    }

    test("takes as many events as one request has, of the longest names there are", async ({ log }) => {
      for (const character of ["\\", '"', "漢"]) {
        const company = newCompany();
        const of = (n: number) => `${character.repeat(250)}${String(n).padStart(6, "0")}`;
        const dataText = JSON.stringify({ pad: character.repeat(1_000) });
        const batch = Array.from({ length: MAX_APPEND_EVENTS }, (_, n) => ({
          ...event(company, of(n), { source: of(0), dataText }),
          subject: of(n),
        }));
        expectGrowing((await log.append(batch)).map(({ cursor }) => cursor));
        expect((await readAll(log, company)).map(idOf)).toEqual(batch.map(({ id }) => id));
      }
    });

    test("stores a duplicate once and answers with the first copy's cursor: in a batch, across batches, across instances", async ({
      log,
      other,
    }) => {
      const company = newCompany();
      const [a, b, aAgain] = await log.append([
        event(company, "a"),
        event(company, "b"),
        event(company, "a"),
      ]);
      expect([a!.isNew, b!.isNew, aAgain!.isNew]).toEqual([true, true, false]);
      expect(aAgain!.cursor).toBe(a!.cursor);
      const again = await other.append([event(company, "b"), event(company, "c"), event(company, "a")]);
      expect(again.map(({ isNew }) => isNew)).toEqual([false, true, false]);
      expect([again[0]!.cursor, again[2]!.cursor]).toEqual([b!.cursor, a!.cursor]);
      expect((await readAll(log, company)).map(idOf)).toEqual(["a", "b", "c"]);
      expect(await log.append([event(company, "c")])).toEqual([{ cursor: again[1]!.cursor, isNew: false }]);
    });

    test("tells events apart by company, source and id, whatever characters join them", async ({ log }) => {
      const [company, sibling] = [newCompany(), newCompany()];
      const all = [
        event(company, "b", { source: "a" }),
        event(company, "a", { source: "b" }),
        event(company, "b|c", { source: "a" }),
        event(company, "c", { source: "a|b" }),
        event(company, "b\\", { source: "a" }),
        event(company, "B", { source: "a" }),
        event(company, "é", { source: "a" }),
        event(company, "e\u0301", { source: "a" }),
        event(company, "1", { source: "a" }),
        event(company, "1.0", { source: "a" }),
        event(company, "01", { source: "a" }),
        event(sibling, "b", { source: "a" }),
      ];
      expect((await log.append(all)).map(({ isNew }) => isNew)).toEqual(all.map(() => true));
      expect((await log.append(all)).map(({ isNew }) => isNew)).toEqual(all.map(() => false));
    });

    test("keeps what a duplicate came with first", async ({ log }) => {
      const company = newCompany();
      await log.append([event(company, 1, { dataText: '{"v":1}' })]);
      await log.append([event(company, 1, { dataText: '{"v":2}', type: "other_type" })]);
      const [entry] = await readAll(log, company);
      expect(recordData(entry!.record)).toBe(`{"companyId":"${company}","v":1}`);
    });

    test("does nothing for an empty batch", async ({ log }) => {
      const before = await log.stats();
      expect(await log.append([])).toEqual([]);
      expect(await log.stats()).toEqual(before);
    });

    test("takes several companies in one batch, results in the batch's order", async ({ log }) => {
      const [a, b] = [newCompany(), newCompany()];
      const appended = await log.append([event(a, 1), event(b, 1), event(a, 2), event(b, 1), event(b, 2)]);
      expect(appended.map(({ isNew }) => isNew)).toEqual([true, true, true, false, true]);
      const ofA = await readAll(log, a);
      const ofB = await readAll(log, b);
      expect(ofA.map(({ cursor }) => cursor)).toEqual([appended[0]!.cursor, appended[2]!.cursor]);
      expect(ofB.map(({ cursor }) => cursor)).toEqual([appended[1]!.cursor, appended[4]!.cursor]);
    });

    test("takes more than MAX_APPEND_EVENTS at once, in order, a duplicate far apart included", async ({
      log,
    }) => {
      const company = newCompany();
      const count = 2 * MAX_APPEND_EVENTS + 7;
      const appended = await log.append([...events(company, 0, count), event(company, 0)]);
      expect(appended).toHaveLength(count + 1);
      expect(appended.at(-1)).toEqual({ cursor: appended[0]!.cursor, isNew: false });
      expectGrowing(appended.slice(0, -1).map(({ cursor }) => cursor));
      expect((await readAll(log, company)).map(idOf)).toEqual(ids(0, count));
    });

    test("returns every event byte for byte", async ({ log }) => {
      const company = newCompany();
      const own = `{"companyId":"${company}",`;
      const texts = [
        `${own}"n":123456789012345678901234567890.10,"m":-0,"x":1e-400}`,
        `${own}"s":"\u2028\u2029 é 漢 🚂 \\u0000 \\ud800 \\"","b":[1, 2 ,3 ]}`,
        `${own}"nul":"\\u0000","del":"\u007f","c1":"\u0085","bom":"\ufeff"}`,
        `${own}"z":1,"a":2,"__proto__":{"x":1}, "":null}`,
        `${own}"%s":"%d {1} $1 ' ; -- ]]> </script>"}`,
        `${own}"pad":"${"x".repeat(MAX_DATA_BYTES - own.length - 9)}"}`,
      ];
      const originals = texts.map((dataText, n) =>
        event(company, `🚂 "${n}"`, { dataText, source: "/a\\b" }),
      );
      await log.append(originals);
      const entries = await readAll(log, company);
      expect(entries.map(({ record }) => record)).toEqual(originals.map(encodeRecord));
      expect(entries.map(({ record }) => recordData(record))).toEqual(texts);
      expect(entries.map(({ record }) => recordType(record))).toEqual(texts.map(() => "metric_updated"));
    });
  });

  describe("isolation", () => {
    test("nothing of a company is reached by a name that is its prefix, its case or a pattern of it", async ({
      log,
      other,
    }) => {
      const base = newCompany("iso");
      const names = [
        base,
        `${base}x`,
        `${base}.x`,
        `${base}-1`,
        base.toUpperCase(),
        `${base}_`,
        "__proto__",
        "constructor",
        "0",
        "00",
        `${base}..`,
        "events",
        "x".repeat(64),
      ].map(parseCompanyId);
      await log.append(
        names.flatMap((company) => [event(company, `of ${company}`), event(company, "same id")]),
      );
      for (const company of names) {
        expect((await readAll(other, company)).map(idOf)).toEqual([`of ${company}`, "same id"]);
        const { total } = await log.tallies(company);
        expect(total).toEqual({ metric_updated: 2 });
      }
      const { eventsByCompany } = await log.stats();
      for (const company of names) expect(Object.entries(eventsByCompany)).toContainEqual([company, 2]);
    });

    test("a tail of one company hears nothing of another", async ({ log, other }) => {
      const [company, sibling] = [newCompany(), newCompany()];
      const reader = readTail(log, company, GENESIS);
      await log.append([event(sibling, "foreign"), event(company, "own"), event(sibling, "foreign 2")]);
      await other.append([event(sibling, "foreign 3"), event(company, "own 2")]);
      await reader.has(2);
      expect(reader.ids()).toEqual(["own", "own 2"]);
      await reader.stop();
      // Its cursor means nothing there: positions of another log, another epoch.
      const foreign = await log.read(sibling, reader.entries[1]!.cursor, 10);
      expect(foreign.kind).toBe("reset");
    });
  });

  describe("tallies", () => {
    test("of a company without a log are empty, at GENESIS", async ({ log }) => {
      const tallies = await log.tallies(newCompany());
      expect(tallies).toMatchObject({ at: GENESIS, total: {}, today: {}, minutes: {} });
      expect(Math.abs(tallies.nowMs - Date.now())).toBeLessThan(60_000);
    });

    test("count distinct events by type: all-time, today and by minute", async ({ log, other }) => {
      const company = newCompany();
      const of = (type: string, from: number, to: number) =>
        Array.from({ length: to - from }, (_, n) => event(company, `${type} ${from + n}`, { type }));
      await log.append([
        ...of("a", 0, 7),
        ...of("b.c", 0, 3),
        ...of("constructor", 0, 2),
        ...of("__proto__", 0, 1),
      ]);
      await other.append([...of("a", 5, 10), ...of("b.c", 0, 3), ...of("a", 0, 2)]);
      const appended = await log.append(of("other_type", 0, 1));
      const { at, total, today, minutes } = await other.tallies(company);
      const expected = [
        ["__proto__", 1],
        ["a", 10],
        ["b.c", 3],
        ["constructor", 2],
        ["other_type", 1],
      ];
      const sorted = (counts: object) => Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
      expect(sorted(total)).toEqual(expected);
      expect(sorted(today)).toEqual(expected);
      expect(sorted(minutes).map(([type, series]) => [type, sum(series)])).toEqual(expected);
      for (const series of Object.values(minutes)) {
        expect(series).toHaveLength(60);
        expect(sum(series.slice(0, 58))).toBe(0);
      }
      expect(at).toBe(appended[0]!.cursor);
    });

    test("count types over MAX_COUNTED_TYPES together, so that the sum stays exact", async ({
      log,
      other,
    }) => {
      const company = newCompany();
      const count = MAX_COUNTED_TYPES + 5;
      await log.append(Array.from({ length: count }, (_, n) => event(company, n, { type: `type_${n}` })));
      await other.append([
        event(company, "known", { type: "type_0" }),
        event(company, "new", { type: "new" }),
      ]);
      const { total, today, minutes } = await log.tallies(company);
      for (const counts of [total, today] as Record<string, number>[]) {
        expect(counts.type_0).toBe(2);
        expect(counts.new).toBeUndefined();
        expect(counts.other).toBe(6);
        expect(sum(Object.values(counts))).toBe(count + 2);
      }
      expect(sum(Object.values(minutes).map(sum))).toBe(count + 2);
    });
  });
}
