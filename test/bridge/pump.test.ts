import { describe, expect, it } from "vitest";
import { type PumpDeps, pump } from "../../bridge/pump.ts";
import { createSourceMonitor } from "../../bridge/source-monitor.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { BrokerSource, Undecodable } from "../../functions/ports/broker-source.ts";
import { recordingLogger } from "../support/logger.ts";
import { waitFor } from "../support/wait.ts";
import {
  createMemoryDeadLetters,
  createMemoryLog,
  createMemoryTelemetry,
  good,
  poison,
  reading,
  scriptedSource,
} from "./memory-log.ts";

const away = () => new MillraceError("unavailable", "Cannot append: the log is away, expected it to answer");

function setUp(more: Partial<PumpDeps> = {}) {
  const log = createMemoryLog();
  const deadLetters = createMemoryDeadLetters();
  const logger = recordingLogger();
  const monitor = createSourceMonitor("scripted", "test", logger);
  const telemetry = createMemoryTelemetry();
  const deps = { log, telemetry, deadLetters, monitor, backoff: { baseMs: 1, maxMs: 2 }, ...more };
  return {
    log,
    telemetry,
    deadLetters,
    logger,
    monitor,
    deps,
    happened: log.happened,
    stop: new AbortController(),
  };
}

describe("pump", () => {
  it("appends, then acks, batch after batch", async () => {
    const { deps, happened, log, stop } = setUp();
    const source = scriptedSource([[good("a"), good("b")], [good("c")]], happened);
    const done = pump(source, deps, stop.signal);
    await waitFor("both batches", () => happened.includes("ack 1"));
    stop.abort();
    await done;
    expect(happened).toEqual(["append", "ack 0", "append", "ack 1"]);
    expect(log.ids).toEqual(["a", "b", "c"]);
  });

  it("never acks before the append has resolved", async () => {
    const { deps, happened, log, stop } = setUp();
    const gate = Promise.withResolvers<void>();
    log.before = () => gate.promise;
    const done = pump(scriptedSource([[good("a")]], happened), deps, stop.signal);
    await waitFor("the append", () => happened.includes("append"));
    // Every turn an ack could have come in.
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(happened).toEqual(["append"]);
    gate.resolve();
    await waitFor("the ack", () => happened.includes("ack 0"));
    stop.abort();
    await done;
  });

  it("holds a batch the log refuses and tries again, saying so once, and that it is over once", async () => {
    const { deps, happened, log, logger, monitor, stop } = setUp();
    let refusals = 5;
    log.before = () => {
      if (refusals-- > 0) throw away();
    };
    const done = pump(scriptedSource([[good("a")], [good("b")]], happened), deps, stop.signal);
    await waitFor("both batches", () => happened.includes("ack 1"));
    stop.abort();
    await done;
    expect(happened).toEqual([...Array(6).fill("append"), "ack 0", "append", "ack 1"]);
    expect(log.ids).toEqual(["a", "b"]);
    expect(monitor.stats).toMatchObject({ retries: 5, appended: 2, lastError: undefined });
    expect(logger.lines.map(({ level }) => level)).toEqual(["warn", "info"]);
  });

  it("an error that is not retryable is waited for like any other: the messages stay", async () => {
    const { deps, happened, log, stop } = setUp();
    let refusals = 2;
    log.before = () => {
      if (refusals-- > 0) throw new TypeError("surprise");
    };
    const done = pump(scriptedSource([[good("a")]], happened), deps, stop.signal);
    await waitFor("the ack", () => happened.includes("ack 0"));
    stop.abort();
    await done;
    expect(log.ids).toEqual(["a"]);
  });

  it("an abort between two tries gives the batch back", async () => {
    const { deps, happened, log, monitor, stop } = setUp({
      backoff: { baseMs: 60_000, maxMs: 60_000, random: () => 0 },
    });
    log.before = () => {
      throw away();
    };
    const done = pump(scriptedSource([[good("a")], [good("b")]], happened), deps, stop.signal);
    await waitFor("the first try", () => monitor.stats.retries === 1);
    expect(monitor.stats.lastError).toContain("the log is away");
    expect(monitor.stats.oldestUnackedAtMs).toBeGreaterThan(0);
    stop.abort();
    await done;
    expect(happened).toEqual(["append", "nack 0"]);
    expect(log.ids).toEqual([]);
    expect(monitor.stats.oldestUnackedAtMs).toBeUndefined();
  });

  it("an abort while the log is at work waits for it, then acks", async () => {
    const { deps, happened, log, stop } = setUp();
    const gate = Promise.withResolvers<void>();
    log.before = () => gate.promise;
    const done = pump(scriptedSource([[good("a")]], happened), deps, stop.signal);
    await waitFor("the append", () => happened.includes("append"));
    stop.abort();
    gate.resolve();
    await done;
    expect(happened).toEqual(["append", "ack 0"]);
  });

  it("an abort while the log does not answer gives the batch back after the grace", async () => {
    const { deps, happened, log, stop } = setUp({ graceMs: 20 });
    log.before = () => new Promise(() => {});
    const done = pump(scriptedSource([[good("a")]], happened), deps, stop.signal);
    await waitFor("the append", () => happened.includes("append"));
    stop.abort();
    await done;
    expect(happened).toEqual(["append", "nack 0"]);
  });

  it("what cannot be decoded goes to the dead letters as it came, before the ack", async () => {
    const { deps, deadLetters, happened, log, monitor, stop } = setUp();
    deadLetters.before = () => void happened.push("put");
    const done = pump(
      scriptedSource([[good("a"), poison("pöison"), good("b")]], happened),
      deps,
      stop.signal,
    );
    await waitFor("the ack", () => happened.includes("ack 0"));
    stop.abort();
    await done;
    expect(happened).toEqual(["append", "put", "ack 0"]);
    expect(log.ids).toEqual(["a", "b"]);
    expect(deadLetters.letters).toEqual([
      {
        source: "scripted",
        reason: "Cannot read event data: not JSON",
        subject: "a.b",
        headers: { h: "1" },
        bodyBase64: Buffer.from("pöison").toString("base64"),
        randomId: expect.stringMatching(/^[0-9a-f-]{36}$/),
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      },
    ]);
    expect(monitor.stats).toMatchObject({ received: 3, appended: 2, deadLettered: 1 });
  });

  it("a dead letter keeps the broker's id of the message, and is named once however often it is put", async () => {
    const { deps, deadLetters, happened, stop } = setUp();
    const tried: unknown[] = [];
    const { put } = deadLetters;
    deadLetters.put = async (letters) => {
      tried.push(letters);
      if (tried.length < 3) throw new MillraceError("unavailable", "away");
      await put(letters);
    };
    const { undecodable } = poison("x") as { undecodable: Undecodable };
    const marked = { ...undecodable, message: { ...undecodable.message, messageId: "ORDERS.7" } };
    const done = pump(scriptedSource([[{ undecodable: marked }]], happened), deps, stop.signal);
    await waitFor("the ack", () => happened.includes("ack 0"));
    stop.abort();
    await done;
    expect(deadLetters.letters).toMatchObject([{ messageId: "ORDERS.7" }]);
    expect(tried).toEqual(Array(3).fill(deadLetters.letters));
  });

  it("a batch is unacked until its ack is done", async () => {
    const { deps, happened, monitor, stop } = setUp();
    const acking = Promise.withResolvers<void>();
    const source = scriptedSource([], happened);
    const batch = { deliveries: [good("a")], ack: () => acking.promise, nack: async () => {} };
    const slow: BrokerSource = {
      ...source,
      deliveries: async function* () {
        yield batch;
      },
    };
    const beganAtMs = Date.now();
    const done = pump(slow, deps, stop.signal);
    await waitFor("the append", () => monitor.stats.appended === 1);
    expect(monitor.stats.oldestUnackedAtMs).toBeGreaterThanOrEqual(beganAtMs);
    acking.resolve();
    await done;
    expect(monitor.stats.oldestUnackedAtMs).toBeUndefined();
  });

  it("readings are written before their events are appended, and all of it before the ack", async () => {
    const { deps, happened, log, monitor, stop, telemetry } = setUp();
    telemetry.before = () => void happened.push("write");
    const batches = [[good("a"), reading("GPU-1", 1), poison("x"), reading("GPU-1", 2)], [good("b")]];
    const done = pump(scriptedSource(batches, happened), deps, stop.signal);
    await waitFor("both batches", () => happened.includes("ack 1"));
    stop.abort();
    await done;
    expect(happened).toEqual(["write", "append", "ack 0", "append", "ack 1"]);
    expect(telemetry.readings).toMatchObject([{ uuid: "GPU-1", value: 1 }, { value: 2 }]);
    expect(log.ids).toEqual(["a", "GPU-1-1", "GPU-1-2", "b"]);
    expect(monitor.stats).toMatchObject({ received: 5, appended: 4, readings: 2, deadLettered: 1 });
  });

  it("a telemetry store that is away: the batch is held and nothing of it appended; back again, all is stored once", async () => {
    const { deps, happened, log, logger, monitor, stop, telemetry } = setUp();
    let refusals = 3;
    telemetry.before = () => {
      if (refusals-- > 0) throw away();
    };
    let appendsRefused = 2;
    log.before = () => {
      if (appendsRefused-- > 0) throw away();
    };
    const done = pump(scriptedSource([[reading("GPU-1", 1)], [good("b")]], happened), deps, stop.signal);
    await waitFor("both batches", () => happened.includes("ack 1"));
    stop.abort();
    await done;
    // A write that is done is not done again.
    expect(happened).toEqual(["append", "append", "append", "ack 0", "append", "ack 1"]);
    expect(telemetry.readings).toHaveLength(1);
    expect(log.ids).toEqual(["GPU-1-1", "b"]);
    expect(monitor.stats).toMatchObject({ retries: 5, readings: 1, lastError: undefined });
    expect(logger.lines.map(({ level }) => level)).toEqual(["warn", "info", "warn", "info"]);
  });

  it("an abort while the telemetry store does not answer gives the batch back, with nothing appended", async () => {
    const { deps, happened, log, stop, telemetry } = setUp({ graceMs: 20 });
    const asked = Promise.withResolvers<void>();
    telemetry.before = () => {
      asked.resolve();
      return new Promise(() => {});
    };
    const done = pump(scriptedSource([[reading("GPU-1", 1)]], happened), deps, stop.signal);
    await asked.promise;
    stop.abort();
    await done;
    expect(happened).toEqual(["nack 0"]);
    expect(log.ids).toEqual([]);
  });

  it("a dead letter is put once, however often the put or the append is tried", async () => {
    const { deps, deadLetters, happened, log, stop } = setUp();
    let [appendsRefused, putsRefused] = [2, 2];
    log.before = () => {
      if (appendsRefused-- > 0) throw away();
    };
    deadLetters.before = () => {
      if (putsRefused-- > 0) throw away();
    };
    const done = pump(scriptedSource([[good("a"), poison("x")]], happened), deps, stop.signal);
    await waitFor("the ack", () => happened.includes("ack 0"));
    stop.abort();
    await done;
    expect(deadLetters.letters).toHaveLength(1);
    expect(happened.filter((what) => what === "append")).toHaveLength(3);
  });

  it("counts duplicates apart from what is new", async () => {
    const { deps, happened, monitor, stop } = setUp();
    const done = pump(
      scriptedSource(
        [
          [good("a"), good("b")],
          [good("b"), good("c")],
        ],
        happened,
      ),
      deps,
      stop.signal,
    );
    await waitFor("both", () => happened.includes("ack 1"));
    stop.abort();
    await done;
    expect(monitor.stats).toMatchObject({ received: 4, appended: 3, duplicates: 1, retries: 0 });
  });

  it("throws what the source throws", async () => {
    const { deps, happened, stop } = setUp();
    const lost = away();
    await expect(
      pump(scriptedSource([[good("a")]], happened, { thenThrow: lost }), deps, stop.signal),
    ).rejects.toBe(lost);
    expect(happened).toEqual(["append", "ack 0"]);
  });
});
