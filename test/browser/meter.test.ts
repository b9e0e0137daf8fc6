import { describe, expect, test } from "vitest";
import { createMeter, SPAN_SECONDS } from "../../web/pages/index/meter.ts";

const START_MS = 1_000_000_000;
const at = (seconds: number): number => START_MS + seconds * 1000;

describe("createMeter", () => {
  test("countReceived counts every event and notices the one that came before", () => {
    const meter = createMeter(START_MS);
    expect(["a", "b", "a"].map((cursor) => meter.countReceived(cursor))).toEqual([false, false, true]);
    expect(meter.totals).toMatchObject({ received: 3, duplicates: 1 });
  });

  test("countReceived remembers the last 20,000 cursors and no more", () => {
    const meter = createMeter(START_MS);
    for (let n = 0; n <= 20_000; n++) meter.countReceived(String(n));
    expect(meter.countReceived("20000")).toBe(true);
    expect(meter.countReceived("1")).toBe(true);
    expect(meter.countReceived("0")).toBe(false);
  });

  test("rate is over the last whole seconds, the one under way left out", () => {
    const meter = createMeter(START_MS);
    for (let n = 0; n < 100; n++) meter.plot("live", at(n / 10));
    meter.plot("live", at(10));
    expect(meter.rate(at(10.5))).toBe(10);
    expect(meter.rate(at(11.5))).toBe(8.2);
    expect(meter.rate(at(100))).toBe(0);
  });

  test("rate of the first seconds is over those there are", () => {
    const meter = createMeter(START_MS);
    for (let n = 0; n < 20; n++) meter.plot("live", at(n / 10));
    expect(meter.rate(at(2))).toBe(10);
  });

  test("seconds: a replayed event stands where it happened, within what was away", () => {
    const meter = createMeter(START_MS);
    meter.plot("live", at(0));
    meter.setAway(true, at(1.5));
    expect(
      meter
        .seconds(at(2))
        .map(({ away }) => away)
        .slice(-3),
    ).toEqual([false, true, true]);
    meter.setAway(false, at(3.5));
    meter.plot("replayed", at(2.2));
    meter.plot("live", at(4));
    const seconds = meter.seconds(at(5));
    expect(seconds).toHaveLength(SPAN_SECONDS);
    expect(seconds.slice(-6)).toEqual([
      { live: 1, replayed: 0, away: false },
      { live: 0, replayed: 0, away: true },
      { live: 0, replayed: 1, away: true },
      { live: 0, replayed: 0, away: true },
      { live: 1, replayed: 0, away: false },
      { live: 0, replayed: 0, away: false },
    ]);
    expect(meter.totals.replayed).toBe(1);
  });

  test("seconds: an absence longer than the span fills it and costs no more", () => {
    const meter = createMeter(START_MS);
    meter.setAway(true, START_MS);
    const seconds = meter.seconds(at(86_400));
    expect(seconds).toHaveLength(SPAN_SECONDS);
    expect(seconds.every(({ away }) => away)).toBe(true);
  });
});
