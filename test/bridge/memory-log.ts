/** Stores in memory whose failures a test decides: for the pump alone, everything else is tested on real ones. */
import { parseEvent } from "../../functions/core/event.ts";
import { parseReading, type Reading, TELEMETRY_TYPE } from "../../functions/core/reading.ts";
import type { Batch, BrokerSource, Decoded } from "../../functions/ports/broker-source.ts";
import type { DeadLetter, DeadLetters } from "../../functions/ports/dead-letters.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import type { TelemetryStore } from "../../functions/ports/telemetry-store.ts";

export interface MemoryLog extends Pick<EventLog, "append"> {
  /** Ids stored, in order. */
  readonly ids: string[];
  /** What happened, in order, appends and whatever the test adds. */
  readonly happened: string[];
  /** Called at every append; may throw, or wait. */
  before: () => void | Promise<void>;
}

export function createMemoryLog(): MemoryLog {
  const log: MemoryLog = {
    ids: [],
    happened: [],
    before() {},
    async append(events) {
      log.happened.push("append");
      await log.before();
      return events.map(({ id }) => {
        const isNew = !log.ids.includes(id);
        if (isNew) log.ids.push(id);
        return { cursor: "0.0-0" as never, isNew };
      });
    },
  };
  return log;
}

export function createMemoryDeadLetters(): Pick<DeadLetters, "put"> & {
  readonly letters: DeadLetter[];
  before: () => void;
} {
  const letters: DeadLetter[] = [];
  const deadLetters = {
    letters,
    before() {},
    async put(more: readonly DeadLetter[]) {
      deadLetters.before();
      letters.push(...more);
    },
  };
  return deadLetters;
}

export interface MemoryTelemetry extends Pick<TelemetryStore, "write"> {
  /** Those stored, in order, each once. */
  readonly readings: Reading[];
  /** Called at every write; may throw, or wait. */
  before: () => void | Promise<void>;
}

export function createMemoryTelemetry(): MemoryTelemetry {
  const keys = new Set<string>();
  const telemetry: MemoryTelemetry = {
    readings: [],
    before() {},
    async write(readings) {
      await telemetry.before();
      const before = keys.size;
      for (const reading of readings) {
        const { companyId, uuid, metric_name, timeMs } = reading;
        const key = JSON.stringify([companyId, uuid, metric_name, timeMs]);
        if (!keys.has(key)) telemetry.readings.push(reading);
        keys.add(key);
      }
      return { stored: keys.size - before };
    },
  };
  return telemetry;
}

export const good = (id: string): Decoded => ({
  event: parseEvent({ companyId: "acme", source: "/test", id, type: "message", dataText: "{}" }),
});

/** A reading of the GPU, its value one of its own. */
export const reading = (uuid: string, value: number): Decoded => {
  const timestamp = "2026-01-31T12:00:00Z";
  const event = parseEvent({
    ...{ companyId: "acme", source: "/test", id: `${uuid}-${value}`, type: TELEMETRY_TYPE, time: timestamp },
    dataText: JSON.stringify({ timestamp, metric_name: `METRIC_${value}`, uuid, value }),
  });
  return { event, reading: parseReading(event) };
};

export const poison = (text: string): Decoded => ({
  undecodable: {
    reason: "Cannot read event data: not JSON",
    message: {
      subject: "a.b",
      headers: { h: "1" },
      body: new TextEncoder().encode(text),
      messageId: undefined,
    },
  },
});

/** Yields the batches, then waits for the abort, or throws. What becomes of batch `n` is told as `ack n` or `nack n`. */
export function scriptedSource(
  batches: readonly (readonly Decoded[])[],
  happened: string[],
  { thenThrow }: { thenThrow?: unknown } = {},
): BrokerSource {
  return {
    name: "scripted",
    acknowledges: true,
    async *deliveries(signal) {
      for (const [n, deliveries] of batches.entries()) {
        const batch: Batch = {
          deliveries,
          ack: async () => void happened.push(`ack ${n}`),
          nack: async () => void happened.push(`nack ${n}`),
        };
        yield batch;
        if (signal.aborted) return;
      }
      if (thenThrow !== undefined) throw thenThrow;
      await new Promise<void>((resolve) => {
        signal.addEventListener("abort", () => resolve(), { once: true });
        if (signal.aborted) resolve();
      });
    },
  };
}
