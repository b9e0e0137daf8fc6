import { describe, expect, it } from "vitest";
import { createLineLimit } from "../../bridge/line-limit.ts";

const open = (linesPerSecond = 100) => {
  const clock = { ms: 0 };
  const limit = createLineLimit<string>({ linesPerSecond, now: () => clock.ms });
  /** Lines let in of so many. */
  const send = (service: string, lines: number, cost = 1) => {
    let letIn = 0;
    for (let n = 0; n < lines; n++) if (limit.admits(service, cost, () => `${service} ${n}`)) letIn++;
    return letIn;
  };
  return { clock, limit, send };
};

describe("createLineLimit", () => {
  it("lets a burst of ten seconds' worth in, then the rate", () => {
    const { clock, send } = open();
    expect(send("a", 5_000)).toBe(1_000);
    clock.ms = 1_000;
    expect(send("a", 5_000)).toBe(100);
    clock.ms = 1_005;
    expect(send("a", 5)).toBe(0);
    clock.ms = 3_600_000;
    expect(send("a", 5_000)).toBe(1_000);
  });

  it("a service that floods takes nothing from another", () => {
    const { send } = open();
    send("flood", 100_000);
    expect(send("quiet", 1_000)).toBe(1_000);
  });

  it("what was left out is told once, with the first of it", () => {
    const { clock, limit, send } = open(10);
    send("a", 130);
    send("b", 101);
    expect(limit.leftOut()).toEqual([
      { service: "a", lines: 30, first: "a 100" },
      { service: "b", lines: 1, first: "b 100" },
    ]);
    expect(limit.leftOut()).toEqual([]);
    send("a", 1);
    clock.ms = 100;
    send("a", 2);
    expect(limit.leftOut()).toEqual([{ service: "a", lines: 2, first: "a 0" }]);
  });

  it("a large line counts for several", () => {
    const { send } = open();
    // The last is let in with what is left, and paid off later.
    expect(send("a", 1_000, 16)).toBe(Math.ceil(1_000 / 16));
  });

  it("names made up for every line are bounded by what strangers share, and said of one that is unknown", () => {
    const { clock, limit } = open();
    let letIn = 0;
    for (let n = 0; n < 50_000; n++) {
      clock.ms = n / 10;
      if (limit.admits(`made-up-${n}`, 1, () => String(n))) letIn++;
    }
    expect(letIn).toBeGreaterThan(1_400);
    expect(letIn).toBeLessThan(1_600);
    expect(limit.leftOut()).toEqual([
      { service: "unknown", lines: 50_000 - letIn, first: expect.any(String) },
    ]);
    // One that was heard before it is forgotten by then, and a stranger too.
    expect(limit.admits("made-up-0", 1, () => "")).toBe(false);
  });

  it("what a forgotten service had left out is still told", () => {
    const { clock, limit, send } = open();
    const letIn = send("early", 1_500);
    clock.ms = 10_000;
    for (let n = 0; n < 1_000; n++) send(`later-${n}`, 1);
    expect(limit.leftOut()).toEqual([{ service: "unknown", lines: 1_500 - letIn, first: "early 1000" }]);
  });
});
