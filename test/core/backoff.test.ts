import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffMs, jitter, sleep } from "../../functions/core/backoff.ts";

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe("backoffMs", () => {
  it("doubles its bound with every attempt up to the largest", () => {
    const bounds = [0, 1, 2, 3, 4, 100, 1e9].map((attempt) =>
      backoffMs(attempt, { baseMs: 10, maxMs: 100, random: () => 0 }),
    );
    expect(bounds).toEqual([10, 20, 40, 80, 100, 100, 100]);
  });

  it("is a whole number of milliseconds in (0, bound], whatever the randomness", () => {
    fc.assert(
      fc.property(fc.nat(100), random, (attempt, value) => {
        const ms = backoffMs(attempt, { random: () => value });
        expect(Number.isInteger(ms)).toBe(true);
        expect(ms).toBeGreaterThan(0);
        expect(ms).toBeLessThanOrEqual(Math.min(10_000, 100 * 2 ** attempt));
      }),
    );
  });

  it("spreads many callers over the whole range", () => {
    const tries = Array.from({ length: 2000 }, () => backoffMs(0, { baseMs: 1000 }));
    expect(Math.min(...tries)).toBeLessThan(100);
    expect(Math.max(...tries)).toBeGreaterThan(900);
  });
});

describe("jitter", () => {
  it("stays within half either way", () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), random, (ms, value) => {
        expect(jitter(ms, () => value)).toBeGreaterThanOrEqual(Math.floor(ms * 0.5));
        expect(jitter(ms, () => value)).toBeLessThanOrEqual(Math.ceil(ms * 1.5));
      }),
    );
  });
});

describe("sleep", () => {
  it("resolves when the time has passed", async () => {
    const startedAt = performance.now();
    await sleep(20);
    expect(performance.now() - startedAt).toBeGreaterThan(18);
  });

  it("resolves at once when the signal aborts, before or during", async () => {
    await sleep(1e9, AbortSignal.abort());
    const controller = new AbortController();
    const slept = sleep(1e9, controller.signal);
    controller.abort();
    await slept;
  });
});
