import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HOUR_MS, hourOf, isCut, planPage } from "../../functions/core/telemetry-page.ts";

describe("hourOf", () => {
  it("is the beginning of the hour, before 1970 too", () => {
    expect([0, 1, HOUR_MS - 1, HOUR_MS, -1].map(hourOf)).toEqual([0, 0, 0, HOUR_MS, -HOUR_MS]);
  });
});

describe("isCut", () => {
  it("tells whether a range leaves out a millisecond of the hour", () => {
    const last = HOUR_MS - 1;
    expect([isCut(0, 0, last), isCut(0, undefined, undefined), isCut(0, -5, HOUR_MS)]).toEqual([
      false,
      false,
      false,
    ]);
    expect([isCut(0, 1, last), isCut(0, 0, last - 1), isCut(0, undefined, 0)]).toEqual([true, true, true]);
  });
});

describe("planPage", () => {
  it("names hours and what to skip in them, so that the page is what skipping everything would give", () => {
    const queries = fc.record({
      counts: fc.array(fc.nat(4), { maxLength: 12 }),
      order: fc.constantFrom("asc" as const, "desc" as const),
      offset: fc.nat(30),
      limit: fc.integer({ min: 1, max: 10 }),
    });
    fc.assert(
      fc.property(queries, ({ counts, order, offset, limit }) => {
        const items = counts.flatMap((n, hour) =>
          Array.from({ length: n }, (_, at) => ({ hourMs: hour * HOUR_MS, at })),
        );
        const inOrder = (some: typeof items) => (order === "asc" ? some : some.toReversed());
        const hours = counts.map((n, hour) => ({ hourMs: hour * HOUR_MS, n }));
        const plan = planPage(hours, { order, offset, limit });
        expect(plan.total).toBe(items.length);
        const [from, until] = plan.hours ?? [1, 0];
        const within = inOrder(items.filter(({ hourMs }) => hourMs >= from && hourMs <= until));
        expect(within.slice(plan.skip, plan.skip + limit)).toEqual(
          inOrder(items).slice(offset, offset + limit),
        );
        // What is skipped lies in one hour: the cost of a page does not grow with its offset.
        expect(plan.skip).toBeLessThanOrEqual(Math.max(0, ...counts));
      }),
    );
  });
});
