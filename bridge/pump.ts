/**
 * From one source into the log, and its readings into the telemetry store: write, append, then ack, never the other way round. A batch that
 * one of them does not take is held, and nothing more is taken from the broker, until it does: memory is one batch and what the source holds
 * behind it. Whatever is stored twice, after a crash or a try whose answer was lost, is there once.
 */
import { randomUUID } from "node:crypto";
import { type BackoffOptions, backoffMs, sleep } from "../functions/core/backoff.ts";
import { MillraceError } from "../functions/core/errors.ts";
import type { MillraceEvent } from "../functions/core/event.ts";
import type { Reading } from "../functions/core/reading.ts";
import type { Batch, BrokerSource, Undecodable } from "../functions/ports/broker-source.ts";
import type { DeadLetter, DeadLetters } from "../functions/ports/dead-letters.ts";
import type { EventLog } from "../functions/ports/event-log.ts";
import type { TelemetryStore } from "../functions/ports/telemetry-store.ts";
import type { SourceMonitor } from "./source-monitor.ts";

/** Milliseconds after the abort in which what is in hand may still be stored. */
const GRACE_MS = 5000;

export interface PumpDeps {
  readonly log: Pick<EventLog, "append">;
  readonly telemetry: Pick<TelemetryStore, "write">;
  readonly deadLetters: Pick<DeadLetters, "put">;
  readonly monitor: SourceMonitor;
  /** Between tries to store. */
  readonly backoff?: BackoffOptions;
  /** Default 5000 ms. */
  readonly graceMs?: number;
}

/**
 * Runs until the source ends. After the abort the batch in hand is stored if the store takes it at once, and given back if not.
 * @throws what the source throws.
 */
export async function pump(source: BrokerSource, deps: PumpDeps, signal: AbortSignal): Promise<void> {
  const { stats } = deps.monitor;
  const grace = graceAfter(signal, deps.graceMs ?? GRACE_MS);
  try {
    for await (const batch of source.deliveries(signal)) {
      stats.received += batch.deliveries.length;
      stats.oldestUnackedAtMs = Date.now();
      const refusal = await store(source.name, batch, deps, signal, grace);
      await (refusal === undefined ? batch.ack() : batch.nack(refusal));
      stats.oldestUnackedAtMs = undefined;
      if (refusal !== undefined) return;
    }
  } finally {
    stats.oldestUnackedAtMs = undefined;
    grace.end();
  }
}

/** Resolves when everything is stored; with the last error when the signal aborted first. */
async function store(
  name: string,
  batch: Batch,
  { log, telemetry, deadLetters, monitor, backoff }: PumpDeps,
  signal: AbortSignal,
  grace: Grace,
): Promise<unknown> {
  const { stats } = monitor;
  const events: MillraceEvent[] = [];
  const readings: Reading[] = [];
  const letters: DeadLetter[] = [];
  for (const delivery of batch.deliveries) {
    if ("event" in delivery) {
      events.push(delivery.event);
      if (delivery.reading) readings.push(delivery.reading);
    } else letters.push(deadLetter(name, delivery.undecodable));
  }
  // Apart from each other: a letter put twice is there twice.
  const steps = [
    // Before the events: who is told of a reading can ask for it.
    async () => {
      if (readings.length === 0) return;
      const { stored } = await telemetry.write(readings);
      stats.readings += stored;
      stats.duplicateReadings += readings.length - stored;
    },
    async () => {
      if (events.length === 0) return;
      const appended = await log.append(events);
      const fresh = appended.filter(({ isNew }) => isNew).length;
      stats.appended += fresh;
      stats.duplicates += appended.length - fresh;
    },
    async () => {
      if (letters.length === 0) return;
      await deadLetters.put(letters);
      monitor.deadLettered(letters.map(({ reason }) => reason));
    },
  ];
  for (const step of steps) {
    for (let attempt = 0; ; attempt++) {
      try {
        await grace.within(step());
        if (attempt > 0) monitor.storeRecovered();
        break;
      } catch (error) {
        monitor.storeFailed(error);
        // What cannot be repaired by waiting (a full disk, a lost right) is waited for too: an operator can, and the messages stay.
        if (!signal.aborted) await sleep(backoffMs(attempt, backoff), signal);
        if (signal.aborted) return error;
      }
    }
  }
  return undefined;
}

function deadLetter(source: string, { reason, message }: Undecodable): DeadLetter {
  return {
    source,
    reason,
    subject: message.subject,
    headers: message.headers,
    bodyBase64: Buffer.from(message.body).toString("base64"),
    ...(message.messageId === undefined ? {} : { messageId: message.messageId }),
    randomId: randomUUID(),
    time: new Date().toISOString(),
  };
}

interface Grace {
  /**
   * Waits for the work, until the grace is over: then it rejects. For one at a time. No `Promise.race`: that would leave something on the
   * promise of the grace for every batch, for as long as the bridge runs.
   */
  within<T>(work: Promise<T>): Promise<T>;
  end(): void;
}

/** The time from the abort until `ms` after it. */
function graceAfter(signal: AbortSignal, ms: number): Grace {
  let over: MillraceError | undefined;
  let giveUp: ((error: MillraceError) => void) | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const begin = () => {
    timer = setTimeout(() => {
      const was = `no answer, expected one within ${ms} ms`;
      over = new MillraceError("unavailable", `Cannot store messages: ${was}`);
      giveUp?.(over);
    }, ms);
  };
  signal.addEventListener("abort", begin, { once: true });
  if (signal.aborted) begin();
  return {
    within: (work) =>
      new Promise((resolve, reject) => {
        giveUp = reject;
        if (over) reject(over);
        work.then(resolve, reject);
      }),
    end() {
      signal.removeEventListener("abort", begin);
      clearTimeout(timer);
    },
  };
}
