import { describe, expect, test } from "vitest";
import { createTrail } from "../../web/kit/trail.ts";

describe("createTrail", () => {
  test("the axis is as long from the first value on, with nothing before it", () => {
    const trail = createTrail(5, 1000);
    trail.record(10_400, 7);
    expect(trail.at(10_900)).toEqual({ times: [6, 7, 8, 9, 10], values: [null, null, null, null, 7] });
  });

  test("with a least length the axis grows to its whole one", () => {
    const trail = createTrail(4, 2000, 2);
    for (const second of [20, 22, 24, 26, 28]) trail.record(second * 1000, second);
    const short = createTrail(4, 2000, 2);
    short.record(20_000, 1);
    expect(short.at(20_000)).toEqual({ times: [18, 20], values: [null, 1] });
    expect(trail.at(28_000)).toEqual({ times: [22, 24, 26, 28], values: [22, 24, 26, 28] });
  });

  test("the newest of a step counts", () => {
    const trail = createTrail(2, 1000);
    trail.record(1000, 1);
    trail.record(1900, 2);
    expect(trail.at(1900).values).toEqual([null, 2]);
  });

  test("a late value is bridged with the one before; a longer silence is a hole", () => {
    const trail = createTrail(9, 1000);
    trail.record(1000, 1);
    trail.record(4000, 4);
    trail.record(8000, 8);
    expect(trail.at(9500).values).toEqual([1, 1, 1, 4, null, null, null, 8, null]);
  });

  test("a silence longer than all costs no more than its steps", () => {
    const trail = createTrail(3, 1000);
    trail.record(1000, 1);
    trail.record(1e12, 2);
    expect(trail.at(1e12).values).toEqual([null, null, 2]);
  });

  test("a clock that is set back changes the newest value alone", () => {
    const trail = createTrail(3, 1000);
    trail.record(5000, 5);
    trail.record(3000, 3);
    expect(trail.at(5000)).toEqual({ times: [3, 4, 5], values: [null, null, 3] });
  });
});
