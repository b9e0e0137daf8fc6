import { describe, expect, test, vi } from "vitest";
import type { HistoryEntry } from "../../web/pages/index/history.ts";
import {
  createReplayCheck,
  type ReplayCheck,
  type ReplayReport,
} from "../../web/pages/index/replay-check.ts";
import { waitFor } from "../support/wait.ts";

const SINCE_MS = 1000;

function setUp(history: readonly string[] | Error | Promise<HistoryEntry[]>, deadlineMs?: number) {
  const onReport = vi.fn<(report: ReplayReport) => void>();
  const check = createReplayCheck({
    sinceMs: SINCE_MS,
    onReport,
    async readHistory() {
      if (history instanceof Error) throw history;
      if (history instanceof Promise) return history;
      return history.map((cursor, index) => ({ cursor, timeMs: index }));
    },
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
  return { check, onReport, report: () => onReport.mock.calls[0]?.[0] };
}

function hold(check: ReplayCheck, cursor: string, isDuplicate = false): void {
  check.hold({ event: { type: "a", data: "{}", cursor }, atMs: 2000, isDuplicate });
}

describe("createReplayCheck", () => {
  test("nothing lost: reports when the last event of the log has come", async () => {
    const { check, onReport, report } = setUp(["1", "2"]);
    check.ask();
    check.back(3500);
    hold(check, "1");
    await waitFor("the log's answer", () => new Promise((resolve) => setImmediate(() => resolve(true))));
    expect(onReport).not.toHaveBeenCalled();
    hold(check, "2");
    expect(report()).toMatchObject({ awayMs: 2500, lost: 0, twice: 0, gaps: [], problem: undefined });
    expect([...(report()?.missed.keys() ?? [])]).toEqual(["1", "2"]);
    expect(report()?.held.map(({ event }) => event.cursor)).toEqual(["1", "2"]);
  });

  test("everything came before the log answered", async () => {
    const { check, report } = setUp(["1", "2"]);
    check.ask();
    check.back(3500);
    for (const cursor of ["1", "2", "3"]) hold(check, cursor);
    await waitFor("the report", report);
    expect(report()).toMatchObject({ lost: 0 });
    expect(report()?.held).toHaveLength(3);
  });

  test("an event skipped in the middle is lost", async () => {
    const { check, report } = setUp(["1", "2", "3"]);
    check.ask();
    check.back(3500);
    hold(check, "1");
    hold(check, "3");
    await waitFor("the report", report);
    expect(report()).toMatchObject({ lost: 1 });
  });

  test("an event beyond the log's answer means that the rest is lost", async () => {
    const { check, report } = setUp(["1", "2"]);
    check.ask();
    check.back(3500);
    hold(check, "3");
    await waitFor("the report", report);
    expect(report()).toMatchObject({ lost: 2 });
  });

  test("an event that comes twice is counted, and is not beyond the log's answer", async () => {
    const { check, report } = setUp(["1", "2"]);
    check.ask();
    check.back(3500);
    hold(check, "0", true);
    hold(check, "1");
    hold(check, "2");
    await waitFor("the report", report);
    expect(report()).toMatchObject({ lost: 0, twice: 1 });
  });

  test("nothing missed: reports with no event at all", async () => {
    const { check, report } = setUp([]);
    check.ask();
    check.back(3500);
    await waitFor("the report", report);
    expect(report()).toMatchObject({ lost: 0, problem: undefined });
    expect(report()?.missed.size).toBe(0);
  });

  test("events that never come are lost when the deadline passes", async () => {
    const { check, report } = setUp(["1", "2"], 50);
    check.ask();
    check.back(3500);
    hold(check, "1");
    await waitFor("the report", report);
    expect(report()).toMatchObject({ lost: 1, problem: undefined });
  });

  test("a log that cannot be asked is said, and nothing is claimed", async () => {
    const { check, report } = setUp(new Error("the history answered 500"));
    check.ask();
    hold(check, "1");
    check.back(3500);
    await waitFor("the report", report);
    expect(report()).toMatchObject({ problem: "the history answered 500", lost: 0 });
    expect(report()?.missed.size).toBe(0);
    expect(report()?.held).toHaveLength(1);
  });

  test("a log that does not answer is said when the deadline passes", async () => {
    const { check, report } = setUp(new Promise<HistoryEntry[]>(() => {}), 50);
    check.ask();
    check.back(3500);
    await waitFor("the report", report);
    expect(report()?.problem).toBe("the history did not answer in time");
  });

  test("asks again at each new try, and the last answer counts", async () => {
    const { check, report } = setUp(["1"]);
    check.ask();
    check.ask();
    check.back(3500);
    hold(check, "1");
    await waitFor("the report", report);
    expect(report()).toMatchObject({ lost: 0 });
  });

  test("lost again before the report: the deadline waits, and what was owed still counts", async () => {
    const { check, onReport, report } = setUp(["1", "2"], 20);
    check.ask();
    check.back(3500);
    hold(check, "1");
    check.away();
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(onReport).not.toHaveBeenCalled();
    check.ask();
    check.back(4000);
    hold(check, "2");
    await waitFor("the report", report);
    expect(report()).toMatchObject({ awayMs: 3000, lost: 0, problem: undefined });
  });

  test("cancel: no report", async () => {
    const { check, onReport } = setUp([], 20);
    check.ask();
    check.back(3500);
    check.cancel();
    await new Promise((resolve) => setTimeout(resolve, 40));
    expect(onReport).not.toHaveBeenCalled();
  });
});
