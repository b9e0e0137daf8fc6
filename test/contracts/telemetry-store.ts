/** The contract of the TelemetryStore port (functions/ports/telemetry-store.ts), run by every adapter on its real store. */
import { describe, expect, it } from "vitest";
import type { CompanyId } from "../../functions/core/ids.ts";
import { READING_LABELS, type Reading, type ReadingLabels } from "../../functions/core/reading.ts";
import type {
  Gpu,
  GpusQuery,
  Page,
  ReadingsQuery,
  TelemetryStore,
} from "../../functions/ports/telemetry-store.ts";
import { waitFor } from "../support/wait.ts";

/** One empty store. */
interface TelemetryStoreBackend extends AsyncDisposable {
  /** One more instance on this store. */
  open(): Promise<TelemetryStore>;
}

export interface TelemetryStoreContract {
  readonly name: string;
  readonly create: () => Promise<TelemetryStoreBackend>;
  readonly skip?: string | undefined;
}

const HOUR_MS = 3_600_000;
/** The newest time of a GPU may lag behind by this. */
const LAG_MS = 10_000;
const ACME = "acme" as CompanyId;
const GLOBEX = "globex" as CompanyId;
/** The beginning of an hour. Long ahead, so that nothing was written after it. */
const T0 = Date.parse("2126-01-31T12:00:00Z");

const labels = (change: Partial<ReadingLabels> = {}): ReadingLabels => ({
  ...(Object.fromEntries(READING_LABELS.map((name) => [name, `${name} 0`])) as ReadingLabels),
  ...change,
});

/** A reading of GPU-1 of acme, `n` seconds after {@link T0}. */
export const reading = (n: number, change: Partial<Reading> = {}): Reading => ({
  companyId: ACME,
  uuid: "GPU-1",
  metric_name: "DCGM_FI_DEV_GPU_UTIL",
  timeMs: T0 + n * 1000,
  value: n,
  labels: labels(),
  ...change,
});
/** Readings `from` until `to` of {@link reading}, `stepS` seconds apart. */
export const readings = (from: number, to: number, stepS = 1, change: Partial<Reading> = {}): Reading[] =>
  Array.from({ length: to - from }, (_, n) => reading((from + n) * stepS, change));

/** Everything of GPU-1 of acme in the order of time, unless told otherwise. */
export const ask = (change: Partial<ReadingsQuery> = {}): ReadingsQuery => ({
  companyId: ACME,
  uuid: "GPU-1",
  metric: undefined,
  fromMs: undefined,
  untilMs: undefined,
  order: "asc",
  offset: 0,
  limit: 1000,
  ...change,
});
const askGpus = (change: Partial<GpusQuery> = {}): GpusQuery => ({
  companies: "all",
  fromMs: undefined,
  untilMs: undefined,
  order: "asc",
  offset: 0,
  limit: 1000,
  ...change,
});

const byTime = (a: Reading, b: Reading) =>
  a.timeMs - b.timeMs || (a.metric_name < b.metric_name ? -1 : Number(a.metric_name > b.metric_name));

/** What the port says of a page, from all there is. */
function expected(all: readonly Reading[], query: ReadingsQuery): Page<Reading> {
  const { fromMs = -Infinity, untilMs = Infinity } = query;
  const matching = all
    .filter(({ companyId, uuid }) => companyId === query.companyId && uuid === query.uuid)
    .filter(({ metric_name }) => query.metric === undefined || metric_name === query.metric)
    .filter(({ timeMs }) => timeMs >= fromMs && timeMs <= untilMs)
    .sort(byTime);
  if (query.order === "desc") matching.reverse();
  return { total: matching.length, items: matching.slice(query.offset, query.offset + query.limit) };
}

/** Numbers from 0 to 1, the same in every run (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function describeTelemetryStore({ name, create, skip }: TelemetryStoreContract): void {
  describe(`TelemetryStore on ${name}`, () => {
    const test = (
      title: string,
      body: (own: TelemetryStore, other: TelemetryStore, backend: TelemetryStoreBackend) => Promise<void>,
    ) =>
      it(title, async (context) => {
        if (skip !== undefined) context.skip(skip);
        await using backend = await create();
        await using own = await backend.open();
        await using other = await backend.open();
        await body(own, other, backend);
      });

    test("ping: resolves; an empty store has nothing", async (own) => {
      await own.ping();
      expect(await own.readings(ask())).toEqual({ total: 0, items: [] });
      expect(await own.gpus(askGpus())).toEqual({ total: 0, items: [] });
      expect(await own.owners("GPU-1", "all")).toEqual([]);
      expect(await own.write([])).toEqual({ stored: 0 });
      await own.expire(T0);
    });

    test("write: every instance has it at once, and one that is opened later", async (own, other, backend) => {
      expect(await own.write(readings(0, 3))).toEqual({ stored: 3 });
      expect(await other.write(readings(3, 5))).toEqual({ stored: 2 });
      await using later = await backend.open();
      for (const store of [own, other, later]) {
        expect(await store.readings(ask())).toEqual({ total: 5, items: readings(0, 5) });
      }
    });

    test("write: a reading comes back as it was, whatever its texts, value and time", async (own) => {
      const text = 'a "quoted"\\ {line}\n\u2028 $é🚂 \'; DROP TABLE readings; --';
      const odd = [
        reading(0, { value: 0 }),
        reading(1, { value: -0.1 }),
        reading(2, { value: 1e300 }),
        reading(3, { value: 2 ** 53 - 1 }),
        reading(4, { value: -(2 ** 31) - 1 }),
        reading(5, { value: 5e-324 }),
        reading(6, { value: "" }),
        reading(7, { value: "N/A" }),
        reading(8, { value: "12" }),
        reading(9, { metric_name: "$a.b/c {d}" }),
        reading(10, { metric_name: "__proto__" }),
        reading(11, { metric_name: "é🚂".padEnd(128, "m") }),
        reading(12, { timeMs: T0 + 12_345 }),
        reading(13, { timeMs: Date.parse("0001-01-01T00:00:00Z") }),
        reading(14, { timeMs: -1 }),
        reading(15, { timeMs: Date.parse("9999-12-31T23:59:59.999Z") }),
        reading(16, { labels: labels({ labels_raw: text.repeat(100), pod: text, gpu_id: "" }) }),
        reading(17, {
          labels: Object.fromEntries(READING_LABELS.map((label) => [label, ""])) as ReadingLabels,
        }),
      ];
      expect(await own.write(odd)).toEqual({ stored: odd.length });
      expect(await own.readings(ask())).toEqual({ total: odd.length, items: [...odd].sort(byTime) });
      for (const { metric_name: metric } of odd.slice(9, 12)) {
        expect(await own.readings(ask({ metric }))).toEqual(expected(odd, ask({ metric })));
      }
    });

    test("write: a GPU is its company and uuid, nothing else, whatever characters they have", async (own, other) => {
      const companies = ["acme", "acme.b", "Acme", "a"] as CompanyId[];
      const uuids = [
        "GPU-1",
        "GPU",
        "GPU-1/2",
        "gpu-1",
        "1/GPU-1",
        "$GPU.1",
        "é🚂",
        "%",
        "_",
        "u".repeat(128),
      ];
      const all = companies.flatMap((companyId) =>
        uuids.flatMap((uuid) => [
          reading(0, { companyId, uuid, value: `${companyId} ${uuid}` }),
          reading(0, { companyId, uuid, metric_name: "2/m", value: `${companyId} ${uuid} 2/m` }),
        ]),
      );
      expect(await own.write(all)).toEqual({ stored: all.length });
      for (const companyId of companies) {
        for (const uuid of uuids) {
          const query = ask({ companyId, uuid });
          expect(await other.readings(query)).toEqual(expected(all, query));
        }
      }
    });

    test("write: the same again is stored once, and stays as it was", async (own, other) => {
      const first = readings(0, 200);
      expect(await own.write(first)).toEqual({ stored: 200 });
      expect(await own.write(first)).toEqual({ stored: 0 });
      const changed = readings(100, 300, 1, { value: "changed", labels: labels({ pod: "changed" }) });
      expect(await other.write(changed)).toEqual({ stored: 100 });
      const all = [...first, ...changed.slice(100)];
      expect(await own.readings(ask())).toEqual({ total: 300, items: all });
      // Within one batch as well.
      expect(await own.write([reading(500), reading(500), reading(500)])).toEqual({ stored: 1 });
      expect((await other.readings(ask())).total).toBe(301);
    });

    test("write: what two instances write at the same time is stored once", async (own, other) => {
      const all = readings(0, 600, 10);
      const results = await Promise.all(
        [own, other, own, other].map((store, n) => store.write(n % 2 === 0 ? all : [...all].reverse())),
      );
      expect(results.reduce((sum, { stored }) => sum + stored, 0)).toBe(600);
      const { total, items } = await own.readings(ask({ limit: 600 }));
      expect([total, items]).toEqual([600, all]);
    });

    test("write: any number of readings, of many GPUs and companies, in one call", async (own, other) => {
      const all = Array.from({ length: 2_400 }, (_, n) =>
        reading(Math.floor(n / 24), {
          companyId: n % 2 === 0 ? ACME : GLOBEX,
          uuid: `GPU-${n % 8}`,
          metric_name: `METRIC_${n % 3}`,
        }),
      );
      expect(await own.write(all)).toEqual({ stored: 2_400 });
      expect((await other.gpus(askGpus())).total).toBe(8);
      for (let n = 0; n < 8; n += 3) {
        const companyId = n % 2 === 0 ? ACME : GLOBEX;
        expect((await other.readings(ask({ companyId, uuid: `GPU-${n}`, limit: 1 }))).total).toBe(300);
      }
    });

    test("write: more GPUs than a server takes updates of in one command, or in many at once", async (own, other) => {
      const at = (n: number, gpus: number) =>
        Array.from({ length: gpus }, (_, gpu) => reading(n, { uuid: `GPU-${gpu}` }));
      expect(await own.write(at(0, 120))).toEqual({ stored: 120 });
      // Later by as much as makes a store say it of every GPU again.
      expect(await own.write(at(60, 120))).toEqual({ stored: 120 });
      const minutes = [2, 3, 4, 5, 6, 7];
      const results = await Promise.all(minutes.map((minute) => own.write(at(minute * 60, 20))));
      expect(results).toEqual(minutes.map(() => ({ stored: 20 })));
      const { total, items } = await other.gpus(askGpus());
      const seen = items.filter(({ firstSeenMs }) => firstSeenMs === T0).map(({ lastSeenMs }) => lastSeenMs);
      const [few, many] = [420_000, 60_000].map((ms) => seen.filter((lastSeenMs) => lastSeenMs === T0 + ms));
      expect([total, few!.length, many!.length]).toEqual([120, 20, 100]);
      expect((await other.readings(ask({ uuid: "GPU-119" }))).total).toBe(2);
    });

    test("readings: by time, then by metric name; desc is the same backwards", async (own) => {
      const all = readings(0, 20, 600).flatMap(({ timeMs }) =>
        ["b", "a", "c", "B", "a.1"].map((metric_name) => reading(0, { timeMs, metric_name })),
      );
      await own.write([...all].reverse());
      const sorted = [...all].sort(byTime);
      expect(await own.readings(ask())).toEqual({ total: 100, items: sorted });
      expect(await own.readings(ask({ order: "desc" }))).toEqual({ total: 100, items: sorted.reverse() });
    });

    test("readings: pages neither overlap nor leave anything out; past the end there is the total alone", async (own, other) => {
      // Several hours, one of them empty, and several in a second.
      const all = [
        ...readings(0, 50, 100),
        ...readings(0, 50, 100, { metric_name: "B" }),
        ...readings(100, 120, 100),
      ];
      await own.write(all);
      for (const order of ["asc", "desc"] as const) {
        const whole = expected(all, ask({ order })).items;
        for (const limit of [5, 7, 120]) {
          const pages: Reading[] = [];
          for (let offset = 0; offset < 120; offset += limit) {
            const { total, items } = await other.readings(ask({ order, offset, limit }));
            expect(total).toBe(120);
            pages.push(...items);
          }
          expect(pages).toEqual(whole);
        }
      }
      for (const offset of [120, 121, 1e9]) {
        expect(await own.readings(ask({ offset }))).toEqual({ total: 120, items: [] });
      }
    });

    test("readings: times are both included, to the millisecond", async (own) => {
      const all = [-1, 0, 1, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 3 * HOUR_MS].map((ms) =>
        reading(0, { timeMs: T0 + ms, value: ms }),
      );
      await own.write(all);
      const edges = [
        undefined,
        ...[-2, -1, 0, 1, 2, HOUR_MS - 1, HOUR_MS, HOUR_MS + 1, 2 * HOUR_MS].map((ms) => T0 + ms),
      ];
      for (const fromMs of edges) {
        for (const untilMs of edges) {
          const query = ask({ fromMs, untilMs });
          expect(await own.readings(query), JSON.stringify(query)).toEqual(expected(all, query));
        }
      }
    });

    test("readings: what any query says is right, with readings written in between", async (own, other) => {
      const random = randomOf(1);
      const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!;
      const metrics = ["A", "B", "C"];
      const all = new Map<string, Reading>();
      for (let round = 0; round < 12; round++) {
        const batch = Array.from({ length: 40 }, () =>
          reading(0, {
            companyId: pick([ACME, GLOBEX]),
            uuid: pick(["GPU-1", "GPU-2"]),
            metric_name: pick(metrics),
            timeMs: T0 + Math.floor(random() * 600) * 60_000,
            value: random(),
          }),
        );
        let fresh = 0;
        for (const one of batch) {
          const key = JSON.stringify([one.companyId, one.uuid, one.metric_name, one.timeMs]);
          if (all.has(key)) continue;
          all.set(key, one);
          fresh++;
        }
        const writer = pick([own, other]);
        if (random() < 0.5) {
          expect(await writer.write(batch)).toEqual({ stored: fresh });
        } else {
          await Promise.all([writer.write(batch), own.readings(ask())]);
        }
        const known = [...all.values()];
        for (let n = 0; n < 5; n++) {
          const [a, b] = [random(), random()].map((part) => T0 + Math.floor(part * 600) * 60_000);
          const query = ask({
            companyId: pick([ACME, GLOBEX]),
            uuid: pick(["GPU-1", "GPU-2"]),
            metric: pick([undefined, ...metrics]),
            fromMs: pick([undefined, a]),
            untilMs: pick([undefined, b]),
            order: pick(["asc", "desc"]),
            offset: pick([0, 1, 10, 60]),
            limit: pick([1, 10, 1000]),
          });
          expect(await pick([own, other]).readings(query), JSON.stringify(query)).toEqual(
            expected(known, query),
          );
        }
      }
    });

    test("gpus: by uuid with first, last and newest labels, of the companies named", async (own, other) => {
      const gpus = ["GPU-3", "GPU-1", "GPU-2", "GPU-10"];
      for (const uuid of gpus) {
        await own.write([reading(0, { uuid, labels: labels({ device: "middle", pod: "a" }) })]);
        await other.write([reading(-60, { uuid, labels: labels({ device: "oldest" }) })]);
        await own.write([reading(60, { uuid, labels: labels({ device: `of ${uuid}`, Hostname: "h" }) })]);
        await other.write([reading(30, { uuid, labels: labels({ device: "late" }) })]);
      }
      await own.write([reading(0, { companyId: GLOBEX, uuid: "GPU-2" })]);
      const gpu = (uuid: string): Gpu => ({
        companyId: ACME,
        uuid,
        gpu_id: "gpu_id 0",
        device: `of ${uuid}`,
        modelName: "modelName 0",
        Hostname: "h",
        firstSeenMs: T0 - 60_000,
        lastSeenMs: T0 + 60_000,
      });
      const sorted = [...gpus].sort().map(gpu);
      expect(await other.gpus(askGpus({ companies: [ACME] }))).toEqual({ total: 4, items: sorted });
      expect(await own.gpus(askGpus({ companies: [ACME], order: "desc" }))).toEqual({
        total: 4,
        items: [...sorted].reverse(),
      });
      expect(await own.gpus(askGpus({ companies: [ACME], offset: 1, limit: 2 }))).toEqual({
        total: 4,
        items: sorted.slice(1, 3),
      });
      expect(await own.gpus(askGpus({ companies: [] }))).toEqual({ total: 0, items: [] });
      expect((await own.gpus(askGpus({ companies: ["acm" as CompanyId, "other" as CompanyId] }))).total).toBe(
        0,
      );
      const names = async (change: Partial<GpusQuery>) =>
        (await own.gpus(askGpus(change))).items.map(({ companyId, uuid }) => `${companyId} ${uuid}`);
      expect(await names({ companies: [GLOBEX] })).toEqual(["globex GPU-2"]);
      const both = await names({ companies: [ACME, GLOBEX] });
      expect([...both].sort()).toEqual(
        ["acme GPU-1", "acme GPU-10", "acme GPU-2", "acme GPU-3", "globex GPU-2"].sort(),
      );
      // By uuid; two companies' GPUs of one uuid in an order that does not change.
      expect(both.map((text) => text.split(" ")[1])).toEqual(["GPU-1", "GPU-10", "GPU-2", "GPU-2", "GPU-3"]);
      expect(await names({})).toEqual(both);
      const pages: string[] = [];
      for (let offset = 0; offset < 5; offset++) pages.push(...(await names({ offset, limit: 1 })));
      expect(pages).toEqual(both);
      expect(await names({ order: "desc" })).toEqual([...both].reverse());
      expect(await own.gpus(askGpus({ offset: 5 }))).toEqual({ total: 5, items: [] });
    });

    test("gpus: with times, those seen in between", async (own) => {
      await own.write([
        ...[0, 3_600].map((n) => reading(n, { uuid: "long" })),
        reading(1_800, { uuid: "short" }),
        reading(7_200, { uuid: "later" }),
      ]);
      const names = async (from: number | undefined, until: number | undefined) => {
        const times = [from, until].map((n) => (n === undefined ? undefined : T0 + n * 1000));
        const { total, items } = await own.gpus(askGpus({ fromMs: times[0], untilMs: times[1] }));
        expect(total).toBe(items.length);
        return items.map(({ uuid }) => uuid);
      };
      expect(await names(undefined, undefined)).toEqual(["later", "long", "short"]);
      expect(await names(1_800, undefined)).toEqual(["later", "long", "short"]);
      expect(await names(1_801, 7_199)).toEqual(["long"]);
      expect(await names(undefined, 1_800)).toEqual(["long", "short"]);
      expect(await names(undefined, -1)).toEqual([]);
      expect(await names(7_200, 7_200)).toEqual(["later"]);
      expect(await names(7_201, undefined)).toEqual([]);
    });

    test("gpus: one that is written to again and again is seen until now, but for some seconds", async (own, other) => {
      for (let n = 0; n < 60; n++) await (n % 2 === 0 ? own : other).write([reading(n)]);
      const { items } = await own.gpus(askGpus());
      expect(items[0]!.firstSeenMs).toBe(T0);
      expect(items[0]!.lastSeenMs).toBeGreaterThanOrEqual(T0 + 59_000 - LAG_MS);
      expect(items[0]!.lastSeenMs).toBeLessThanOrEqual(T0 + 59_000);
    });

    test("owners: the companies, of those named, that have a GPU of this uuid", async (own, other) => {
      await own.write([reading(0), reading(0, { companyId: GLOBEX }), reading(0, { uuid: "GPU-2" })]);
      expect([...(await other.owners("GPU-1", "all"))].sort()).toEqual([ACME, GLOBEX]);
      expect(await own.owners("GPU-1", [GLOBEX, "x" as CompanyId])).toEqual([GLOBEX]);
      expect(await own.owners("GPU-2", "all")).toEqual([ACME]);
      expect(await own.owners("GPU-1", [])).toEqual([]);
      expect(await own.owners("GPU", "all")).toEqual([]);
    });

    test("expire: older readings are gone for every instance at once, newer ones stay", async (own, other) => {
      const all = readings(0, 100, 360);
      await own.write(all);
      await own.write(readings(0, 10, 360, { uuid: "GPU-old" }));
      // Both have asked before, so that a count that is kept would be wrong afterwards.
      for (const store of [own, other]) expect((await store.readings(ask())).total).toBe(100);
      const beforeMs = T0 + 5 * HOUR_MS;
      await Promise.all([own.expire(beforeMs), other.expire(beforeMs), own.expire(beforeMs)]);
      const kept = all.filter(({ timeMs }) => timeMs >= beforeMs);
      for (const store of [own, other]) {
        expect(await store.readings(ask())).toEqual({ total: 50, items: kept });
        expect(await store.readings(ask({ order: "desc", offset: 49 }))).toEqual({
          total: 50,
          items: [kept[0]],
        });
        expect(await store.readings(ask({ untilMs: beforeMs - 1 }))).toEqual({ total: 0, items: [] });
        expect(await store.readings(ask({ uuid: "GPU-old" }))).toEqual({ total: 0, items: [] });
      }
      // A GPU without any may stay until nobody can be writing to it.
      await waitFor("the GPU without readings to be forgotten", async () => {
        await other.expire(beforeMs);
        return (await own.gpus(askGpus())).total === 1;
      });
      expect(await other.owners("GPU-old", "all")).toEqual([]);
      const { uuid, firstSeenMs, lastSeenMs } = (await own.gpus(askGpus())).items[0]!;
      expect([uuid, lastSeenMs]).toEqual(["GPU-1", kept.at(-1)!.timeMs]);
      // Its oldest reading is gone.
      expect(firstSeenMs).toBeGreaterThan(beforeMs - HOUR_MS);
      expect(firstSeenMs).toBeLessThanOrEqual(kept[0]!.timeMs);
    });

    test("expire: at most an hour's readings stay that are older", async (own) => {
      await own.write(readings(0, 240, 60));
      await own.expire(T0 + 2.5 * HOUR_MS);
      const { total, items } = await own.readings(ask());
      expect(items.length).toBe(total);
      expect(total).toBeGreaterThanOrEqual(90);
      expect(total).toBeLessThanOrEqual(150);
      expect(items).toEqual(readings(240 - total, 240, 60));
    });

    describe("expire goes by when it was written as well", () => {
      const LAST_YEAR = Date.now() - 365 * 24 * HOUR_MS;
      const [before, after] = [-HOUR_MS, HOUR_MS];
      const expire = (store: TelemetryStore, shiftMs: number) => store.expire(Date.now() + shiftMs);
      const old = (n: number, change: Partial<Reading> = {}) =>
        reading(n, { timeMs: Math.floor(LAST_YEAR / HOUR_MS) * HOUR_MS + n * 1000, ...change });

      test("what is of last year and was written now stays, counted; and goes later", async (own, other) => {
        const all = [0, 60, 3_600, 7_200].flatMap((n) => [old(n, { metric_name: "A" }), old(n)]);
        await own.write(all);
        const fresh = reading(0, { uuid: "GPU-2" });
        await other.write([fresh]);
        const [gpus] = [await own.gpus(askGpus())];
        for (const store of [own, other]) await expire(store, before);
        for (const store of [own, other]) {
          for (const query of [ask(), ask({ metric: "A", order: "desc" }), ask({ offset: 5, limit: 2 })]) {
            expect(await store.readings(query)).toEqual(expected(all, query));
          }
          expect(await store.gpus(askGpus())).toEqual(gpus);
        }
        await waitFor("the GPU without readings to be forgotten", async () => {
          await expire(own, after);
          expect(await other.readings(ask())).toEqual({ total: 0, items: [] });
          return (await other.gpus(askGpus())).total === 1;
        });
        expect((await own.readings(ask({ uuid: "GPU-2" }))).items).toEqual([fresh]);
      });

      test("what is of an hour that has not ended stays, whenever it was written", async (own) => {
        const coming = reading(0, { timeMs: Date.now() + 2 * HOUR_MS });
        await own.write([coming]);
        await expire(own, after);
        expect((await own.readings(ask())).items).toEqual([coming]);
      });

      test("what is delivered again counts as written; the GPU is what is kept of it", async (own, other) => {
        const all = [0, 3_600, 7_200].map((n) => old(n, { labels: labels({ device: `of ${n}` }) }));
        const again = all[1]!;
        await own.write(all);
        const writtenMs = Date.now();
        await waitFor("some time to pass", () => Date.now() > writtenMs + 1_500);
        const beforeMs = Date.now();
        expect(await other.write([again])).toEqual({ stored: 0 });
        await waitFor("the rest to be forgotten, and what the GPU was by it", async () => {
          await own.expire(beforeMs);
          expect(await other.readings(ask())).toEqual({ total: 1, items: [again] });
          const { total, items } = await own.gpus(askGpus());
          expect(total).toBe(1);
          const { device, firstSeenMs, lastSeenMs } = items[0]!;
          expect(lastSeenMs).toBe(again.timeMs);
          return device === "of 3600" && firstSeenMs > again.timeMs - HOUR_MS && firstSeenMs <= again.timeMs;
        });
      });
    });

    test("gpus: a time is compared with the first and last reading, whatever was said of them when", async (own, other) => {
      // Within the seconds by which the newest time may lag, and then nothing more.
      for (const uuid of ["GPU-1", "GPU-2", "GPU-3"]) await own.write([reading(0, { uuid })]);
      await own.write([reading(4, { uuid: "GPU-2" })]);
      await own.write([reading(2, { uuid: "GPU-3" })]);
      await own.write([reading(60, { uuid: "GPU-4" })]);
      const seen = async (store: TelemetryStore, change: Partial<GpusQuery>) => {
        const { total, items } = await store.gpus(askGpus(change));
        return [total, ...items.map(({ uuid }) => uuid)];
      };
      for (const store of [own, other]) {
        const from = (n: number, change: Partial<GpusQuery> = {}) =>
          seen(store, { fromMs: reading(n).timeMs, ...change });
        expect(await from(0)).toEqual([4, "GPU-1", "GPU-2", "GPU-3", "GPU-4"]);
        expect(await from(1)).toEqual([3, "GPU-2", "GPU-3", "GPU-4"]);
        expect(await from(2)).toEqual([3, "GPU-2", "GPU-3", "GPU-4"]);
        expect(await from(3)).toEqual([2, "GPU-2", "GPU-4"]);
        expect(await from(4, { offset: 1, limit: 1 })).toEqual([2, "GPU-4"]);
        expect(await from(4, { untilMs: reading(59).timeMs })).toEqual([1, "GPU-2"]);
        expect(await from(1, { companies: [GLOBEX] })).toEqual([0]);
        expect(await from(4.5)).toEqual([1, "GPU-4"]);
        // Silent in between.
        expect(await from(0.001, { untilMs: reading(1).timeMs })).toEqual([2, "GPU-2", "GPU-3"]);
      }
    });

    test("expire: what is written afterwards, or at the same time, is there whatever its time", async (own, other) => {
      await own.write(readings(0, 10));
      await own.expire(T0 + 10 * HOUR_MS);
      expect(await own.write(readings(0, 5))).toEqual({ stored: 5 });
      expect(await other.readings(ask())).toEqual({ total: 5, items: readings(0, 5) });
      expect((await other.gpus(askGpus())).total).toBe(1);
      const fresh = readings(0, 500, 60, { uuid: "GPU-2" });
      const beforeMs = T0 - HOUR_MS;
      await Promise.all([
        ...[0, 1, 2, 3, 4].map((n) => own.write(fresh.slice(n * 100, n * 100 + 100))),
        ...[own, other, other].map((store) => store.expire(beforeMs)),
      ]);
      expect((await other.readings(ask({ uuid: "GPU-2" }))).total).toBe(500);
      expect(await own.owners("GPU-2", "all")).toEqual([ACME]);
    });
  });
}
