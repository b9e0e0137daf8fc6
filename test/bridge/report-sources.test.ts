/** What a bridge tells of its sources: a bridge with sources that a test moves, a registry that keeps what it is told. */
import { describe, expect, it } from "vitest";
import type { BridgeSource } from "../../bridge/main.ts";
import { startSourceReports } from "../../bridge/report-sources.ts";
import { createSourceMonitor, type SourceStats } from "../../bridge/source-monitor.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { BridgeReport } from "../../functions/core/pipeline.ts";
import { recordingLogger, silent } from "../support/logger.ts";
import { waitFor } from "../support/wait.ts";

/** A look every 20 ms instead of every second, and all that goes with it. */
const LOOK_MS = 20;

function setUp(more: Partial<BridgeSource> = {}) {
  const monitor = createSourceMonitor("orders", "rabbitmq", silent);
  const stats = monitor.stats as { -readonly [K in keyof SourceStats]: SourceStats[K] };
  const told: BridgeReport[] = [];
  const withdrawn: string[] = [];
  const logger = recordingLogger();
  const store = { isAway: false };
  const reports = startSourceReports({
    bridge: { stats: () => [{ ...stats, acknowledges: true, ...more }] },
    registry: {
      async reportBridge(name, report) {
        if (store.isAway) throw new MillraceError("unavailable", "Cannot reach the store");
        expect(name).toBe("b");
        told.push(report);
      },
      withdrawBridge: async (name) => void withdrawn.push(name),
    },
    ...{ name: "b", logger, lookMs: LOOK_MS },
  });
  return {
    ...{ monitor, stats, told, withdrawn, logger, store, reports },
    last: () => told.at(-1)?.sources[0],
    [Symbol.asyncDispose]: () => reports[Symbol.asyncDispose](),
  };
}

describe("startSourceReports", () => {
  it("tells at once what there is, and of a state when it changes, with a reason of a bounded length", async () => {
    await using test = setUp();
    await waitFor("the first report", () => test.last());
    expect(test.told[0]).toEqual({
      upMs: expect.any(Number),
      sources: [
        {
          ...{ name: "orders", kind: "rabbitmq", state: "starting", rate: 0, appended: 0, redelivered: 0 },
          ...{ deadLetters: 0, lag: null, lastEventAt: null },
        },
      ],
    });
    test.monitor.disconnected(
      new Error(`refused amqp://u:secret@h${"x".repeat(1_000)} again${" and again".repeat(100)}`),
    );
    await waitFor("it to be down", () => test.last()?.state === "down");
    expect(test.last()!.reason).toHaveLength(300);
    expect(test.last()!.reason).not.toContain("secret");
    test.monitor.connected();
    await waitFor("it to be up", () => test.last()?.state === "up");
    expect(test.last()).not.toHaveProperty("reason");
  });

  it("tells the rate while events come, that it became 0, and when the last one came", async () => {
    await using test = setUp();
    test.monitor.connected();
    test.stats.appended = 40;
    Object.assign(test.stats, { duplicates: 3, deadLettered: 2 });
    await waitFor("a rate", () => (test.last()?.rate ?? 0) > 0);
    expect(test.last()).toMatchObject({ appended: 40, redelivered: 3, deadLetters: 2 });
    expect(test.last()!.lastEventAt).toMatch(/^20\d\d-.*:\d\d\.000Z$/);
    await waitFor("none", () => test.last()?.rate === 0);
    expect(test.last()).toMatchObject({ appended: 40 });
  });

  it("renews its lease while nothing changes, and no more often than that", async () => {
    await using test = setUp();
    test.monitor.connected();
    await waitFor("it to be up", () => test.last()?.state === "up");
    const [reported, sinceMs] = [test.told.length, performance.now()];
    await waitFor("two renewals", () => test.told.length >= reported + 2);
    // A third of the lease of 60 s is 20 looks.
    expect(performance.now() - sinceMs).toBeGreaterThan(1.5 * 20 * LOOK_MS);
    expect(test.told.at(-1)!.upMs).toBeGreaterThan(test.told[0]!.upMs);
  });

  it("tells what the broker holds, and null where it does not say", async () => {
    let answer: Promise<number | undefined> = Promise.resolve(7);
    let asked = 0;
    await using test = setUp({
      lag: () => {
        asked++;
        return answer;
      },
    });
    await waitFor("the lag", () => test.last()?.lag === 7);
    answer = Promise.reject(new Error("closed"));
    answer.catch(() => {});
    await waitFor("none", () => test.last()?.lag === null);
    answer = Promise.resolve(8);
    await waitFor("the next one", () => test.last()?.lag === 8);
    // A broker that hangs is not asked again, and what it said before is old.
    answer = new Promise(() => {});
    await waitFor("no answer", () => test.last()?.lag === null);
    const before = asked;
    const reported = test.told.length;
    await waitFor("a renewal", () => test.told.length > reported);
    expect(asked).toBe(before);
  });

  it("goes on when the store was away, with one warning; takes its report back at the end", async () => {
    await using test = setUp();
    await waitFor("the first report", () => test.last());
    test.store.isAway = true;
    test.monitor.connected();
    await waitFor("the warning", () => test.logger.lines.some(({ level }) => level === "warn"));
    test.store.isAway = false;
    await waitFor("it to be up", () => test.last()?.state === "up");
    expect(test.logger.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    await test.reports[Symbol.asyncDispose]();
    expect(test.withdrawn).toEqual(["b"]);
  });
});
