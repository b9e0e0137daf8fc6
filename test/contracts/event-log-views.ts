/** EventLog contract: what views over a log are made of - its companies, the newest entries of a type, counts by the second. */
import { describe, expect } from "vitest";
import type { EventType } from "../../functions/core/ids.ts";
import { LOOK_BACK_EVENTS, MAX_DATA_BYTES } from "../../functions/core/limits.ts";
import { TALLIED_SECONDS } from "../../functions/core/tallies.ts";
import { waitFor } from "../support/wait.ts";
import {
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

const types = (...names: string[]) => new Set(names as EventType[]);

export function describeViews({ test, testStore }: Tests): void {
  describe("latest", () => {
    test("of a company without a log is nothing", async ({ log }) => {
      expect(await log.latest(newCompany(), types("a"), 10)).toEqual([]);
    });

    test("gives the newest of each type as they are in the log, oldest first", async ({ log, other }) => {
      const [company, sibling] = [newCompany(), newCompany()];
      const of = (type: string, from: number, to: number) =>
        Array.from({ length: to - from }, (_, n) => event(company, `${type}${from + n}`, { type }));
      await log.append([...of("a", 0, 3), ...of("b", 0, 5), ...of("a", 3, 5), ...of("c", 0, 20)]);
      await other.append([...of("b", 5, 7), ...of("b", 0, 2), event(sibling, "foreign", { type: "a" })]);
      const found = await log.latest(company, types("a", "b", "none", "__proto__"), 4);
      expect(found.map(idOf)).toEqual(["a1", "a2", "b3", "b4", "a3", "a4", "b5", "b6"]);
      expectGrowing(found.map(({ cursor }) => cursor));
      const all = await readAll(log, company);
      expect(all).toEqual(expect.arrayContaining(found as unknown[]));
      expect(await log.latest(company, types(), 4)).toEqual([]);
      expect(await log.latest(company, types("a"), 0)).toEqual([]);
    });

    test("takes no type for another that begins like it, and none from what a payload says", async ({
      log,
    }) => {
      const company = newCompany();
      await log.append([
        event(company, "1", { type: "audit.txn" }),
        event(company, "2", { type: "audit.txn.v2" }),
        event(company, "3", { type: "x", dataText: '{"type":"audit.txn"}', source: '"type":"audit.txn"' }),
        event(company, "4", { type: "auditxtxn" }),
      ]);
      expect((await log.latest(company, types("audit.txn"), 10)).map(idOf)).toEqual(["1"]);
    });

    test("looks back over LOOK_BACK_EVENTS and no further", async ({ log }) => {
      const company = newCompany();
      await log.append([
        event(company, "too far", { type: "rare" }),
        event(company, "just", { type: "rare" }),
        ...events(company, 0, LOOK_BACK_EVENTS - 1),
      ]);
      expect((await log.latest(company, types("rare"), 10)).map(idOf)).toEqual(["just"]);
      expect((await log.latest(company, types("metric_updated"), LOOK_BACK_EVENTS)).map(idOf)).toEqual(
        ids(0, LOOK_BACK_EVENTS - 1),
      );
    });

    test("finds them among the largest events, byte for byte", async ({ log }) => {
      const company = newCompany();
      const dataText = JSON.stringify({ companyId: company, pad: "x".repeat(MAX_DATA_BYTES - 200) });
      await log.append([
        ...events(company, 0, 3),
        ...Array.from({ length: 40 }, (_, n) => event(company, `large ${n}`, { type: "large", dataText })),
        ...events(company, 3, 5),
      ]);
      const found = await log.latest(company, types("metric_updated", "large"), 4);
      const all = await readAll(log, company);
      expect(found.map(idOf)).toEqual(["1", "2", "large 36", "large 37", "large 38", "large 39", "3", "4"]);
      expect(found).toEqual(all.filter((entry) => found.some(({ cursor }) => cursor === entry.cursor)));
    });
  });

  describe("companies", () => {
    testStore("names every company that has a log", {}, async (_own, a, b) => {
      expect(await a.companies()).toEqual([]);
      const [acme, globex] = [newCompany(), newCompany()];
      await a.append([event(acme, 1)]);
      await b.append([event(globex, 1), event(acme, 2)]);
      expect([...(await a.companies())].sort()).toEqual([acme, globex].sort());
    });

    testStore(
      "names a company whose events have all been trimmed",
      { retentionMs: 1000 },
      async (_own, a, b) => {
        const [gone, busy] = [newCompany(), newCompany()];
        await a.append([event(gone, 1)]);
        let next = 0;
        await waitFor("the event to go", async () => {
          await a.append([event(busy, next++)]);
          return !((await b.stats()).eventsByCompany as Record<string, number>)[gone];
        });
        expect(await b.companies()).toContain(gone);
        expect((await b.tallies(gone)).total).toEqual({ metric_updated: 1 });
      },
    );
  });

  describe("tallies by the second", () => {
    test("count distinct events in the second they were appended in", async ({ log, other }) => {
      const company = newCompany();
      const counted = async () => {
        const { nowMs, seconds } = await other.tallies(company);
        const second = Math.floor(nowMs / 1000);
        const counts = (seconds as Record<string, readonly number[]>).metric_updated;
        if (counts !== undefined) expect(counts).toHaveLength(TALLIED_SECONDS);
        /** By the number of the second. */
        const at = (wanted: number) => counts?.[TALLIED_SECONDS - 1 - (second - wanted)];
        return { second, at, all: sum(counts) };
      };
      const secondOf = (cursor: string) => Math.floor(Number(cursor.split(".")[1]!.split("-")[0]) / 1000);
      const [first] = await log.append(events(company, 0, 5));
      await other.append([...events(company, 0, 5), ...events(company, 3, 5)]);
      const start = secondOf(first!.cursor);
      expect((await counted()).at(start)).toBe(5);
      await waitFor("the next second", async () => (await counted()).second > start);
      const [next] = await log.append(events(company, 4, 7));
      const [, new5] = await log.append([event(company, 4), event(company, "another")]);
      const later = secondOf(new5!.cursor);
      expect(next!.isNew).toBe(false);
      const after = await counted();
      expect(after.all).toBe(8);
      expect(after.at(start)).toBe(5);
      // All three in one second, but when it ended between the two appends.
      if (secondOf((await log.tip(company)) as string) === later && later === start + 1) {
        expect(after.at(later)).toBe(3);
      }
    });
  });
}
