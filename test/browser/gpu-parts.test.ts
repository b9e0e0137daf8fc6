import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFleet, type Reading, readReading } from "../../web/pages/gpus/fleet.ts";
import {
  compareMetrics,
  formatFull,
  LEVELS,
  levelOf,
  metricOf,
  scaleOf,
} from "../../web/pages/gpus/metrics.ts";
import { createPoints } from "../../web/pages/gpus/points.ts";

const labels = {
  gpu_id: "0",
  device: "",
  modelName: "",
  Hostname: "h",
  container: "",
  pod: "",
  namespace: "",
};
const reading = (over: Partial<Reading>): Reading => ({
  ...{ uuid: "u", metric: "m", value: 1, timeMs: 1_000, labels },
  ...over,
});

describe("createFleet", () => {
  test("keeps the newest of each metric, whatever the order and how often they come", () => {
    const one = fc.record({
      uuid: fc.constantFrom("a", "b"),
      metric: fc.constantFrom("x", "y"),
      timeMs: fc.integer({ min: 1, max: 20 }),
    });
    fc.assert(
      fc.property(fc.array(one), (all) => {
        const fleet = createFleet();
        // The value is the time: the same reading is the same value.
        for (const item of all) fleet.take(reading({ ...item, value: item.timeMs }));
        for (const { uuid, metric } of all) {
          const newest = Math.max(
            ...all.filter((o) => o.uuid === uuid && o.metric === metric).map(({ timeMs }) => timeMs),
          );
          expect(fleet.gpus.get(uuid)?.metrics.get(metric)).toEqual({ value: newest, timeMs: newest });
        }
        expect(fleet.newestMs).toBe(Math.max(0, ...all.map(({ timeMs }) => timeMs)));
      }),
    );
  });

  test("sorts hosts and GPUs as people count, and has room for 1,000", () => {
    const fleet = createFleet();
    for (const [Hostname, gpu_id] of [
      ["n-10", "0"],
      ["n-9", "10"],
      ["n-9", "9"],
    ] as const) {
      fleet.add(`${Hostname}/${gpu_id}`, { ...labels, Hostname, gpu_id });
    }
    expect(fleet.hosts().map(({ gpus }) => gpus.map(({ uuid }) => uuid))).toEqual([
      ["n-9/9", "n-9/10"],
      ["n-10/0"],
    ]);
    for (let n = 0; n < 2_000; n++) fleet.take(reading({ uuid: `u-${n}` }));
    expect(fleet.gpus.size).toBe(1_000);
    for (let n = 0; n < 2_000; n++) fleet.take(reading({ uuid: "u-1", metric: `m-${n}` }));
    expect(fleet.metrics().length).toBe(200);
  });
});

describe("readReading", () => {
  test("takes what is a reading, a number that was written as text too, and nothing else", () => {
    const row = {
      uuid: "u",
      metric_name: "m",
      value: "12.5",
      timestamp: "2026-01-31T12:00:00Z",
      Hostname: 7,
    };
    expect(readReading(row)).toEqual(
      reading({
        value: 12.5,
        timeMs: Date.UTC(2026, 0, 31, 12),
        labels: { ...labels, Hostname: "", gpu_id: "" },
      }),
    );
    expect(readReading({ ...row, value: "n/a" })?.value).toBe("n/a");
    for (const bad of [
      null,
      1,
      "x",
      [],
      {},
      { ...row, uuid: "" },
      { ...row, timestamp: "x" },
      { ...row, value: {} },
    ])
      expect(readReading(bad)).toBeUndefined();
  });
});

describe("scaleOf", () => {
  test("has every value between its ends, and its colours rise with the values", () => {
    const value = fc.double({ min: -1e9, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(fc.array(value, { minLength: 1 }), (values) => {
        const scale = scaleOf(metricOf("anything"), values);
        const levels = values.sort((a, b) => a - b).map((one) => levelOf(scale, one));
        for (const one of values) {
          expect(one).toBeGreaterThanOrEqual(scale.least);
          expect(one).toBeLessThanOrEqual(scale.most);
        }
        expect(levels).toEqual([...levels].sort((a, b) => a - b));
        expect(levels.every((level) => Number.isInteger(level) && level >= 0 && level < LEVELS)).toBe(true);
      }),
    );
  });

  test("knows DCGM's metrics, and makes the best of others", () => {
    expect(scaleOf(metricOf("DCGM_FI_DEV_GPU_UTIL"), [3])).toEqual({ least: 0, most: 100 });
    expect(scaleOf(metricOf("DCGM_FI_DEV_POWER_USAGE"), [640])).toEqual({ least: 0, most: 800 });
    expect(formatFull(metricOf("DCGM_FI_DEV_FB_USED"), 76_345)).toBe("74.6 GiB");
    expect(formatFull(metricOf("DCGM_FI_PROF_DRAM_ACTIVE"), 0.42)).toBe("42 %");
    expect(metricOf("DCGM_FI_DEV_FAN_SPEED").label).toBe("fan speed");
    expect(formatFull(metricOf("constructor"), 1.234)).toBe("1.23");
    expect(["zeta", "DCGM_FI_DEV_POWER_USAGE", "alpha", "DCGM_FI_DEV_GPU_UTIL"].sort(compareMetrics)).toEqual(
      [...["DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE", "alpha", "zeta"]],
    );
  });
});

describe("createPoints", () => {
  const NOW_MS = 10_000_000;
  const SPAN_MS = 3_600_000;

  test("is the same whatever way the readings come: pages, live, twice", () => {
    const times = fc.array(fc.integer({ min: 0, max: NOW_MS }), { maxLength: 50 });
    fc.assert(
      fc.property(times, times, (paged, live) => {
        const points = createPoints(SPAN_MS);
        points.add(
          paged.map((timeMs) => ({ timeMs, value: timeMs })),
          NOW_MS,
        );
        for (const timeMs of [...live, ...paged]) points.add([{ timeMs, value: timeMs }], NOW_MS);
        const expected = [...new Set([...paged, ...live])]
          .filter((timeMs) => timeMs >= NOW_MS - SPAN_MS)
          .sort((a, b) => a - b);
        expect(points.all.map(({ timeMs }) => timeMs)).toEqual(expected);
        const { times: columns, values } = points.columns(NOW_MS);
        expect(columns).toEqual([...columns].sort((a, b) => a - b));
        expect(values.filter((value) => value !== null)).toEqual(expected);
      }),
    );
  });

  test("a silence is a hole in the line, and the oldest go", () => {
    const points = createPoints(SPAN_MS);
    const at = (...seconds: number[]) => seconds.map((s) => ({ timeMs: NOW_MS - s * 1000, value: s }));
    points.add(at(400, 390, 380, 370, 100, 90), NOW_MS);
    expect(points.columns(NOW_MS).values).toEqual([null, 400, 390, 380, 370, null, 100, 90, null]);
    points.add([{ timeMs: NOW_MS + SPAN_MS, value: 0 }], NOW_MS + SPAN_MS);
    expect(points.all).toEqual([{ timeMs: NOW_MS + SPAN_MS, value: 0 }]);
    expect(createPoints(SPAN_MS).columns(NOW_MS).values).toEqual([null, null]);
  });
});
