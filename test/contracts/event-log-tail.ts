/** EventLog contract: tails, with one and two instances appending. */
import { describe, expect } from "vitest";
import { type Cursor, cursorParts, formatCursor, GENESIS } from "../../functions/core/cursor.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { waitFor } from "../support/wait.ts";
import {
  entriesOf,
  event,
  events,
  expectGrowing,
  idOf,
  ids,
  newCompany,
  type Reader,
  readAll,
  readTail,
  sum,
  type Tests,
} from "./event-log-support.ts";

export function describeTail({ test }: Tests): void {
  describe("tail", () => {
    test("gives the backlog, then every event as it is appended by either instance", async ({
      log,
      other,
    }) => {
      const company = newCompany();
      await log.append(events(company, 0, 5));
      const reader = readTail(log, company, GENESIS);
      await reader.has(5);
      await other.append(events(company, 5, 10));
      await reader.has(10);
      await log.append(events(company, 10, 15));
      await reader.has(15);
      expect(reader.ids()).toEqual(ids(0, 15));
      await reader.stop();
      expect(reader.gaps).toEqual([]);
    });

    test("of a company that has no log yet starts with its first event", async ({ log, other }) => {
      const company = newCompany();
      const readers = [readTail(log, company, await log.tip(company)), readTail(other, company, GENESIS)];
      await log.append(events(company, 0, 2));
      for (const reader of readers) {
        await reader.has(2);
        await reader.stop();
        expect(reader.ids()).toEqual(ids(0, 2));
        expect(reader.gaps).toEqual([]);
      }
    });

    test("catches up over many pages", async ({ log, other }) => {
      const company = newCompany();
      await log.append(events(company, 0, 1700));
      const reader = readTail(other, company, GENESIS);
      await reader.has(1700);
      await reader.stop();
      expect(reader.ids()).toEqual(ids(0, 1700));
    });

    test("hears of batches too large for one wake-up", async ({ log, other }) => {
      const company = newCompany();
      const dataText = `{"companyId":"${company}","pad":"${"x".repeat(100_000)}"}`;
      const readers = [readTail(log, company, GENESIS), readTail(other, company, GENESIS)];
      await log.append([event(company, "first")]);
      for (const reader of readers) await reader.has(1);
      await log.append(Array.from({ length: 30 }, (_, n) => event(company, n, { dataText })));
      for (const reader of readers) {
        await reader.has(31);
        await reader.stop();
        expect(reader.ids()).toEqual(["first", ...ids(0, 30)]);
      }
    });

    test("at the seam of backlog and live loses and repeats nothing, wherever it joins while both instances append", async ({
      log,
      other,
    }) => {
      const company = newCompany();
      const count = 1500;
      const cursors: Cursor[] = [GENESIS];
      let appending = true;
      const appendAll = async (to: EventLog, name: string) => {
        for (let n = 0; n < count; ) {
          const size = 1 + (n % 9);
          const batch = Array.from({ length: size }, (_, at) => event(company, `${name} ${n + at}`));
          cursors.push(...(await to.append(batch)).map(({ cursor }) => cursor));
          n += size;
          if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve));
        }
      };
      const readers: { reader: Reader; after: Cursor }[] = [];
      const joinAll = async () => {
        while (appending && readers.length < 60) {
          const after = cursors[Math.floor(Math.random() * cursors.length)]!;
          readers.push({ reader: readTail(readers.length % 2 ? log : other, company, after), after });
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      };
      const joined = joinAll();
      await Promise.all([appendAll(log, "log"), appendAll(other, "other")]);
      appending = false;
      await joined;
      const all = await readAll(log, company);
      expect(new Set(all.map(idOf)).size).toBe(all.length);
      expectGrowing(all.map(({ cursor }) => cursor));
      expect(readers.length).toBeGreaterThan(5);
      for (const { reader, after } of readers) {
        const expected = all
          .slice(all.findIndex(({ cursor }) => cursor === after) + 1)
          .map(({ cursor }) => cursor);
        await reader.has(expected.length);
        await reader.stop();
        expect(reader.gaps).toEqual([]);
        expect(reader.entries.map(({ cursor }) => cursor)).toEqual(expected);
      }
      for (const name of ["log", "other"]) {
        const own = all.map(idOf).filter((id) => id.startsWith(`${name} `));
        expect(own.slice(0, count)).toEqual(ids(0, count).map((id) => `${name} ${id}`));
      }
    });

    test("beyond the tip says reset once and goes on", async ({ log }) => {
      const company = newCompany();
      const [appended] = await log.append([event(company, 0)]);
      const { epoch } = cursorParts(appended!.cursor);
      const reader = readTail(log, company, formatCursor(epoch, "999999999999999-0"));
      await waitFor("the gap", () => reader.gaps.length > 0);
      await log.append([event(company, 1)]);
      await reader.has(1);
      await reader.stop();
      expect(reader.ids()).toEqual(["1"]);
      expect(reader.gaps).toEqual([{ kind: "reset", resumeAfter: appended!.cursor, oldest: undefined }]);
    });

    test("ends when its signal aborts, before, during and between events, and leaves nothing behind", async ({
      log,
      backend,
    }) => {
      const company = newCompany();
      await log.append([event(company, 0)]);
      const held = await backend.held();
      for await (const result of log.tail(company, GENESIS, AbortSignal.abort()))
        expect(result).toBeUndefined();
      const controller = new AbortController();
      for await (const result of log.tail(company, GENESIS, controller.signal)) {
        expect(entriesOf(result).map(idOf)).toEqual(["0"]);
        controller.abort();
      }
      const readers = Array.from({ length: 10 }, () => readTail(log, company, GENESIS));
      for (const reader of readers) await reader.has(1);
      for (const reader of readers) await reader.stop();
      // A consumer that walks away ends it too.
      for await (const _ of log.tail(company, GENESIS, new AbortController().signal)) break;
      await waitFor("everything given back", async () => (await backend.held()) === held);
      await log.append([event(company, 1)]);
    });

    test("ends when its log is disposed, and no other tail does", async ({ log, backend }) => {
      const company = newCompany();
      const closing = await backend.open();
      const controller = new AbortController();
      const ended = (async () => {
        for await (const _ of closing.tail(company, GENESIS, controller.signal));
      })();
      const reader = readTail(log, company, GENESIS);
      await log.append([event(company, 0)]);
      await reader.has(1);
      await closing[Symbol.asyncDispose]();
      await ended;
      await log.append([event(company, 1)]);
      await reader.has(2);
      await reader.stop();
    });
  });

  describe("two instances", () => {
    test("appending the same and different events at once: both tails see one order, every event once", async ({
      log,
      other,
    }) => {
      const company = newCompany();
      const readers = [readTail(log, company, GENESIS), readTail(other, company, GENESIS)];
      const count = 400;
      const appendTo = async (to: EventLog, name: string) => {
        let added = 0;
        for (let n = 0; n < count; n += 8) {
          const own = Array.from({ length: 8 }, (_, at) => event(company, `${name} ${n + at}`));
          const appended = await to.append([...own, ...events(company, n, n + 8)]);
          added += appended.filter(({ isNew }) => isNew).length;
          await new Promise((resolve) => setTimeout(resolve));
        }
        return added;
      };
      const added = await Promise.all([appendTo(log, "log"), appendTo(other, "other")]);
      expect(sum(added)).toBe(3 * count);
      for (const reader of readers) await reader.has(3 * count);
      for (const reader of readers) await reader.stop();
      expect(readers[0]!.entries).toEqual(readers[1]!.entries);
      expect(new Set(readers[0]!.ids()).size).toBe(3 * count);
      expect(readers[0]!.entries).toEqual(await readAll(log, company));
      expectGrowing(readers[0]!.entries.map(({ cursor }) => cursor));
      const { total, today, minutes } = await log.tallies(company);
      expect(total).toEqual({ metric_updated: 3 * count });
      // Less only where a day ended in between.
      expect(sum(Object.values(today))).toBeLessThanOrEqual(3 * count);
      expect(sum(minutes["metric_updated" as never])).toBe(3 * count);
    });
  });
}
