import { describe, expect, it } from "vitest";
import { runSource } from "../../bridge/run.ts";
import { createSourceMonitor } from "../../bridge/source-monitor.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { BrokerSource } from "../../functions/ports/broker-source.ts";
import { recordingLogger } from "../support/logger.ts";
import { waitFor } from "../support/wait.ts";
import {
  createMemoryDeadLetters,
  createMemoryLog,
  createMemoryTelemetry,
  good,
  poison,
  scriptedSource,
} from "./memory-log.ts";

const lost = () =>
  new MillraceError("unavailable", "Cannot read: the connection was closed, expected it open");
const refused = () => new MillraceError("unauthorized", "Cannot connect: refused, expected good credentials");

function setUp(connections: readonly ((connected: () => void) => BrokerSource)[]) {
  const log = createMemoryLog();
  const logger = recordingLogger();
  const monitor = createSourceMonitor("scripted", "test", logger);
  const startedAt: number[] = [];
  const source: BrokerSource = {
    name: "scripted",
    acknowledges: true,
    deliveries(signal) {
      startedAt.push(performance.now());
      const next = connections[startedAt.length - 1] ?? connections.at(-1)!;
      return next(() => monitor.connected()).deliveries(signal);
    },
  };
  const stop = new AbortController();
  const run = (more: { slowRetryMs?: number; random?: () => number; baseMs?: number } = {}) =>
    runSource(
      source,
      {
        log,
        telemetry: createMemoryTelemetry(),
        deadLetters: createMemoryDeadLetters(),
        monitor,
        slowRetryMs: more.slowRetryMs ?? 60_000,
        backoff: { baseMs: more.baseMs ?? 1, maxMs: 1000, random: more.random ?? (() => 0) },
      },
      stop.signal,
    );
  return { log, logger, stats: monitor.stats, run, stop, startedAt };
}

const failing = (error: unknown) => () => scriptedSource([], [], { thenThrow: error });

describe("runSource", () => {
  it("reconnects until it works, logging the failure once and the recovery once", async () => {
    const { run, stop, stats, logger, startedAt } = setUp([
      failing(lost()),
      failing(lost()),
      failing(lost()),
      (connected) => {
        connected();
        return scriptedSource([[good("a")]], []);
      },
    ]);
    const done = run();
    await waitFor("the event", () => stats.appended === 1);
    expect(stats).toMatchObject({ state: "up", reconnects: 3, lastError: undefined });
    stop.abort();
    await done;
    expect(stats.state).toBe("stopped");
    expect(startedAt).toHaveLength(4);
    expect(logger.lines.map(({ level, message }) => `${level} ${message}`)).toEqual([
      "warn Source is down, trying again",
      "info Source is up again",
    ]);
  });

  it("a failure of another kind is logged too", async () => {
    const { run, stop, stats, logger } = setUp([
      failing(lost()),
      failing(refused()),
      failing(refused()),
      failing(lost()),
    ]);
    const done = run({ slowRetryMs: 1 });
    await waitFor("four tries", () => stats.reconnects >= 4);
    stop.abort();
    await done;
    expect(logger.lines.slice(0, 3).map(({ fields }) => fields.error)).toEqual([
      lost().message,
      refused().message,
      lost().message,
    ]);
  });

  it("waits longer after each failure, and not after one that came behind messages", async () => {
    const failed = failing(lost());
    const delivered = () => scriptedSource([[good("a")]], [], { thenThrow: lost() });
    const { run, stop, stats, startedAt } = setUp([failed, failed, failed, failed, delivered, failed]);
    const done = run({ baseMs: 50 });
    await waitFor("six tries", () => stats.reconnects >= 6);
    stop.abort();
    await done;
    const waits = startedAt.slice(1, 6).map((at, i) => at - startedAt[i]!);
    // 50, 100, 200, 400 ms; then 50 again. A timer fires late, never early by more than a millisecond.
    for (const [i, ms] of [50, 100, 200, 400, 50].entries()) expect(waits[i]).toBeGreaterThanOrEqual(ms - 1);
    expect(waits[4]).toBeLessThan(waits[3]!);
  });

  it("an error that waiting does not repair is retried slowly, and shown", async () => {
    const { run, stop, stats, startedAt } = setUp([failing(refused())]);
    const done = run({ slowRetryMs: 3_600_000 });
    await waitFor("the failure", () => stats.state === "down");
    expect(stats.lastError).toBe(refused().message);
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(startedAt).toHaveLength(1);
    // And the wait ends with the abort.
    stop.abort();
    await done;
  });

  it("what a client library says is shown without the secrets of its URL", async () => {
    const library = new Error("connect amqp://user:hunter2@10.0.0.7/ failed");
    const { run, stop, stats, logger } = setUp([failing(library)]);
    const done = run();
    await waitFor("the failure", () => stats.state === "down");
    stop.abort();
    await done;
    expect(stats.lastError).toBe("connect amqp://***@10.0.0.7/ failed");
    expect(JSON.stringify(logger.lines)).not.toContain("hunter2");
  });

  it("what went to the dead letters is warned of with the command that lists it", async () => {
    const { run, stop, stats, logger } = setUp([() => scriptedSource([[poison("x")]], [])]);
    const done = run();
    await waitFor("the letter", () => stats.deadLettered === 1);
    stop.abort();
    await done;
    expect(logger.lines.map(({ level, message }) => `${level} ${message}`)).toContain(
      "warn Messages went to the dead letters (npx millrace dead-letters list)",
    );
  });

  it("never throws, whatever the source does", async () => {
    const { run, stop, stats } = setUp([
      failing("a text"),
      failing(null),
      () => {
        throw new TypeError("before the first batch");
      },
      () => ({ name: "ends", acknowledges: true, async *deliveries() {} }),
    ]);
    const done = run();
    await waitFor("all of them", () => stats.reconnects >= 5);
    stop.abort();
    await done;
    expect(stats.state).toBe("stopped");
  });

  it("with a signal aborted before, nothing is connected", async () => {
    const { run, stop, startedAt } = setUp([failing(lost())]);
    stop.abort();
    await run();
    expect(startedAt).toEqual([]);
  });
});
