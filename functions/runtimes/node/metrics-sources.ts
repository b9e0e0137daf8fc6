/** The sources of a bridge in `/metrics`. */
import type { Registry } from "prom-client";
import type { SourceStatus } from "../../routes/probes.ts";
import { within } from "../../routes/within.ts";
import { metricParts, type Sample } from "./metric-parts.ts";

/** What a bridge tells of one source; counts are since the start. */
export interface SourceSample extends SourceStatus {
  /** False: the broker knows no acks. */
  readonly acknowledges: boolean;
  readonly received: number;
  readonly appended: number;
  readonly duplicates: number;
  readonly readings: number;
  readonly duplicateReadings: number;
  /** Messages put into the dead letters, by what was wrong: a few names. */
  readonly deadLetteredBy: Readonly<Record<string, number>>;
  readonly dropped: number;
  /** Log lines left out, as their service sends more than it may. */
  readonly leftOut: number;
  readonly retries: number;
  readonly reconnects: number;
  /** Milliseconds since 1970; undefined: nothing is unacked. */
  readonly oldestUnackedAtMs: number | undefined;
  /** Messages the broker holds for it and has not given out; asked once a scrape. */
  readonly lag?: () => Promise<number | undefined>;
  /** Of the oldest of them, milliseconds since 1970: when it was published, and when the broker forgets it; asked once a scrape. */
  readonly oldestHeld?: () => Promise<{ readonly atMs: number; readonly lostAtMs?: number } | undefined>;
}

/** Milliseconds a broker may take to tell; the brokers are asked at the same time. */
const BROKER_MS = 2_000;

type Labels = "source" | "kind";

/** Returns what asks the brokers; it never throws. */
export function addSourceMetrics(registry: Registry, sources: () => readonly SourceSample[]) {
  const parts = metricParts(registry);
  const labelNames: readonly Labels[] = ["source", "kind"];
  const labels = ({ name, kind }: SourceSample) => ({ source: name, kind });
  const each = (read: (sample: SourceSample) => number | undefined) => (): Sample<Labels>[] =>
    sources().flatMap((sample) => {
      const value = read(sample);
      return value === undefined ? [] : [[labels(sample), value] as const];
    });
  const counter = (name: string, help: string, read: (sample: SourceSample) => number) =>
    parts.counters(name, help, labelNames, each(read));
  const gauge = (name: string, help: string, read: (sample: SourceSample) => number | undefined) =>
    parts.gauges(name, help, labelNames, each(read));

  counter("millrace_source_received_total", "Messages taken from the broker", ({ received }) => received);
  counter("millrace_source_appended_total", "Events new in the log", ({ appended }) => appended);
  counter("millrace_source_duplicates_total", "Events the log had already", ({ duplicates }) => duplicates);
  counter(
    "millrace_source_readings_total",
    "Readings new in the telemetry store",
    ({ readings }) => readings,
  );
  counter(
    "millrace_source_duplicate_readings_total",
    "Readings the telemetry store had already",
    ({ duplicateReadings }) => duplicateReadings,
  );
  parts.counters(
    "millrace_source_dead_letters_total",
    "Messages put into the dead letters, by what was wrong with them",
    [...labelNames, "reason"],
    () =>
      sources().flatMap((sample) =>
        Object.entries(sample.deadLetteredBy).map(
          ([reason, count]) => [{ ...labels(sample), reason }, count] as const,
        ),
      ),
  );
  parts.counters(
    "millrace_source_dropped_total",
    "Messages not stored: lost, as the broker knows no back-pressure or no acks; flood, log lines over their service's limit",
    [...labelNames, "reason"],
    () =>
      sources().flatMap((sample) => [
        [{ ...labels(sample), reason: "lost" }, sample.dropped] as const,
        [{ ...labels(sample), reason: "flood" }, sample.leftOut] as const,
      ]),
  );
  counter("millrace_source_retries_total", "Writes to the stores tried again", ({ retries }) => retries);
  counter("millrace_source_reconnects_total", "Connections tried again", ({ reconnects }) => reconnects);
  gauge("millrace_source_up", "1 while the source is connected", ({ state }) => Number(state === "up"));
  gauge(
    "millrace_source_oldest_unacked_seconds",
    "Age of the oldest batch not acked; 0 when there is none",
    ({ oldestUnackedAtMs }) =>
      oldestUnackedAtMs === undefined ? 0 : Math.max(0, Date.now() - oldestUnackedAtMs) / 1000,
  );
  parts.gauges(
    "millrace_source_info",
    "1; delivery says whether what is in flight is lost when the bridge dies (at-most-once) or comes again",
    [...labelNames, "delivery"],
    () =>
      sources().map((sample) => {
        const delivery = sample.acknowledges ? "at-least-once" : "at-most-once";
        return [{ ...labels(sample), delivery }, 1] as const;
      }),
  );
  return addBrokers(sources, gauge);
}

/** What the brokers themselves know. One that keeps nothing, or cannot tell now, has no value. */
function addBrokers(
  sources: () => readonly SourceSample[],
  gauge: (name: string, help: string, read: (sample: SourceSample) => number | undefined) => void,
): () => Promise<void> {
  type Held = Awaited<ReturnType<NonNullable<SourceSample["oldestHeld"]>>>;
  let told = new Map<string, { readonly lag: number | undefined; readonly held: Held }>();
  gauge(
    "millrace_source_lag_messages",
    "Messages the broker holds for the source and has not given to any bridge yet",
    ({ name }) => told.get(name)?.lag,
  );
  gauge(
    "millrace_source_lag_seconds",
    "Age of the oldest message the broker holds for the source; 0 when there is none. Where the broker tells",
    ({ name, oldestHeld }) => {
      const answer = oldestHeld && told.get(name);
      if (answer?.held === undefined) return answer?.lag === 0 ? 0 : undefined;
      return Math.max(0, Date.now() - answer.held.atMs) / 1000;
    },
  );
  gauge(
    "millrace_source_retention_headroom_seconds",
    "Time until the broker forgets the oldest message it holds for the source. No value when there is none, or it never does",
    ({ name }) => {
      const lostAtMs = told.get(name)?.held?.lostAtMs;
      return lostAtMs === undefined ? undefined : Math.max(0, lostAtMs - Date.now()) / 1000;
    },
  );
  const inTime = async <T>(name: string, answer: Promise<T> | undefined): Promise<T | undefined> => {
    try {
      return answer && (await within(BROKER_MS, `ask for the lag of source ${name}`, answer));
    } catch {
      return undefined;
    }
  };
  return async () => {
    const answers = sources().map(async ({ name, lag, oldestHeld }) => {
      const [messages, held] = await Promise.all([inTime(name, lag?.()), inTime(name, oldestHeld?.())]);
      return [name, { lag: messages, held }] as const;
    });
    told = new Map(await Promise.all(answers));
  };
}
