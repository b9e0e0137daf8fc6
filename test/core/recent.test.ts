import { afterEach, describe, expect, test, vi } from "vitest";
import { createRecent } from "../../functions/core/recent.ts";

afterEach(() => void vi.useRealTimers());

describe("createRecent", () => {
  const start = () => {
    vi.useFakeTimers({ toFake: ["Date", "performance"] });
    const recent = createRecent<string>(1_000);
    recent.set("a", "said", recent.now());
    return recent;
  };

  test("forgets what was set longer ago, and keeps what was set again", () => {
    const recent = start();
    vi.advanceTimersByTime(900);
    expect(recent.get("a")).toBe("said");
    recent.set("b", "too", recent.now());
    vi.advanceTimersByTime(200);
    expect([recent.get("a"), recent.get("b"), recent.get("c")]).toEqual([undefined, "too", undefined]);
  });

  test("forgets what the clock on the wall says is old: the other one stands still while a machine is suspended", () => {
    const recent = start();
    vi.setSystemTime(Date.now() + 60_000);
    expect(recent.get("a")).toBeUndefined();
  });

  test("forgets what the clock that nobody sets says is old, wherever the one on the wall was set to", () => {
    const recent = start();
    vi.setSystemTime(Date.now() - 60_000);
    expect(recent.get("a")).toBe("said");
    const behind = Date.now();
    vi.advanceTimersByTime(1_100);
    vi.setSystemTime(behind);
    expect(recent.get("a")).toBeUndefined();
  });
});
