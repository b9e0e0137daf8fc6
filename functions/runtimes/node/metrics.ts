/**
 * `/metrics`: this process as Prometheus text. Read when it is asked for, so counting costs nothing in between. No label names a
 * company: whoever may scrape may not see who the customers are.
 */
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Counters } from "../../ports/counters.ts";
import type { EventLog } from "../../ports/event-log.ts";
import type { Hub } from "../../ports/hub.ts";
import type { SourceStatus } from "../../routes/probes.ts";
import { within } from "../../routes/within.ts";

/** What a bridge tells of one source; counts are since the start. */
export interface SourceSample extends SourceStatus {
  /** False: the broker knows no acks. */
  readonly acknowledges: boolean;
  readonly received: number;
  readonly appended: number;
  readonly duplicates: number;
  readonly readings: number;
  readonly duplicateReadings: number;
  readonly deadLettered: number;
  readonly dropped: number;
  /** Log lines left out, as their service sends more than it may. */
  readonly leftOut: number;
  readonly retries: number;
  readonly reconnects: number;
  /** Milliseconds since 1970; undefined: nothing is unacked. */
  readonly oldestUnackedAtMs: number | undefined;
  /** Messages the broker holds for it and has not given out; asked once a scrape. */
  readonly lag?: () => Promise<number | undefined>;
}

export interface MetricsOptions {
  /** Absent: this process serves no streams. */
  readonly hub?: Pick<Hub, "stats">;
  /** Absent: it serves no counters. */
  readonly counters?: Pick<Counters, "stats">;
  /** Its size is asked for once a scrape. */
  readonly log?: Pick<EventLog, "stats">;
  /** The sources of a bridge in this process, as of now. */
  readonly sources?: () => readonly SourceSample[];
}

/** Milliseconds the log may take: Prometheus itself gives up after 10 s by default. */
const LOG_STATS_MS = 2_000;
/** Milliseconds a broker may take to tell its lag; the brokers are asked at the same time. */
const LAG_MS = 2_000;

/** The text of `/metrics`, with its content type. */
export function createMetrics({ hub, counters, log, sources }: MetricsOptions) {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  if (hub) addHub(registry, hub);
  if (counters) addCounters(registry, counters);
  if (sources) addSources(registry, sources);
  const kept = log && addLog(registry, log);
  return async (): Promise<{ contentType: string; body: string }> => {
    await kept?.();
    return { contentType: registry.contentType, body: await registry.metrics() };
  };
}

/** Makes gauges that read one number each out of the same answer. */
function gaugesOf<Stats>(registry: Registry, stats: () => Stats) {
  return (name: string, help: string, read: (stats: Stats) => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read(stats()));
      },
    });
}

function addCounters(registry: Registry, counters: NonNullable<MetricsOptions["counters"]>): void {
  const gauge = gaugesOf(registry, () => counters.stats());
  gauge("millrace_counter_watchers", "Connections that are sent counters", ({ watchers }) => watchers);
  gauge(
    "millrace_counter_companies",
    "Companies whose log is followed for counters",
    ({ companies }) => companies,
  );
}

function addHub(registry: Registry, hub: NonNullable<MetricsOptions["hub"]>): void {
  const registers = [registry];
  const gauge = gaugesOf(registry, () => hub.stats());
  const counter = (
    name: string,
    help: string,
    read: (counters: ReturnType<Hub["stats"]>["counters"]) => number,
  ) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read(hub.stats().counters));
      },
    });

  gauge("millrace_connections", "Open streams", ({ totalConnections }) => totalConnections);
  gauge(
    "millrace_active_companies",
    "Companies with an open stream",
    ({ connectionsByCompany }) => Object.values(connectionsByCompany).filter((open) => open > 0).length,
  );
  gauge("millrace_draining", "1 while streams are sent away before a stop", ({ isDraining }) =>
    Number(isDraining),
  );
  counter(
    "millrace_delivered_frames_total",
    "Event frames written, over all streams",
    ({ deliveredFrames }) => deliveredFrames,
  );
  counter("millrace_writes_total", "Writes to streams", ({ writes }) => writes);
  counter("millrace_written_bytes_total", "Bytes written to streams", ({ writtenBytes }) => writtenBytes);
  counter("millrace_page_reads_total", "Pages read from the log to catch up", ({ pageReads }) => pageReads);
  counter(
    "millrace_idle_timeouts_total",
    "Streams closed because their client took nothing for IDLE_TIMEOUT_MS",
    ({ idleTimeouts }) => idleTimeouts,
  );
  new Counter({
    name: "millrace_gaps_total",
    help: "Gaps said to clients, by reason",
    labelNames: ["reason"],
    registers,
    collect() {
      this.reset();
      for (const [reason, count] of Object.entries(hub.stats().counters.gaps)) this.inc({ reason }, count);
    },
  });
}

/** Two numbers of one answer, so they are asked for together; the function returned does, and never throws. */
function addLog(registry: Registry, log: NonNullable<MetricsOptions["log"]>): () => Promise<void> {
  const registers = [registry];
  const up = new Gauge({ name: "millrace_log_up", help: "1 when the event log answers", registers });
  const events = new Gauge({ name: "millrace_log_events", help: "Events kept", registers });
  const companies = new Gauge({
    name: "millrace_log_companies",
    help: "Companies with events kept",
    registers,
  });
  return async () => {
    try {
      const stats = await within(LOG_STATS_MS, "count the events kept", log.stats());
      up.set(1);
      events.set(stats.totalEvents);
      companies.set(stats.companies);
    } catch {
      // A scrape that failed would hide the rest; an old number would be a wrong one.
      up.set(0);
      events.remove();
      companies.remove();
    }
  };
}

function addSources(registry: Registry, sources: NonNullable<MetricsOptions["sources"]>): void {
  const shared = { labelNames: ["source", "kind"], registers: [registry] };
  const labels = ({ name, kind }: SourceSample) => ({ source: name, kind });
  const counter = (name: string, help: string, read: (sample: SourceSample) => number) =>
    new Counter({
      ...shared,
      name,
      help,
      collect() {
        this.reset();
        for (const sample of sources()) this.inc(labels(sample), read(sample));
      },
    });
  const gauge = (name: string, help: string, read: (sample: SourceSample) => number) =>
    new Gauge({
      ...shared,
      name,
      help,
      collect() {
        this.reset();
        for (const sample of sources()) this.set(labels(sample), read(sample));
      },
    });

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
  counter(
    "millrace_source_dead_letters_total",
    "Messages put into the dead letters",
    ({ deadLettered }) => deadLettered,
  );
  new Counter({
    name: "millrace_source_dropped_total",
    help: "Messages not stored: lost, as the broker knows no back-pressure or no acks; flood, log lines over their service's limit",
    labelNames: [...shared.labelNames, "reason"],
    registers: shared.registers,
    collect() {
      this.reset();
      for (const sample of sources()) {
        this.inc({ ...labels(sample), reason: "lost" }, sample.dropped);
        this.inc({ ...labels(sample), reason: "flood" }, sample.leftOut);
      }
    },
  });
  counter("millrace_source_retries_total", "Writes to the stores tried again", ({ retries }) => retries);
  counter("millrace_source_reconnects_total", "Connections tried again", ({ reconnects }) => reconnects);
  gauge("millrace_source_up", "1 while the source is connected", ({ state }) => Number(state === "up"));
  gauge(
    "millrace_source_oldest_unacked_seconds",
    "Age of the oldest batch not acked; 0 when there is none",
    ({ oldestUnackedAtMs }) =>
      oldestUnackedAtMs === undefined ? 0 : Math.max(0, Date.now() - oldestUnackedAtMs) / 1000,
  );
  addLag(registry, sources);
  new Gauge({
    name: "millrace_source_info",
    help: "1; delivery says whether what is in flight is lost when the bridge dies (at-most-once) or comes again",
    labelNames: [...shared.labelNames, "delivery"],
    registers: shared.registers,
    collect() {
      this.reset();
      for (const sample of sources()) {
        this.set({ ...labels(sample), delivery: sample.acknowledges ? "at-least-once" : "at-most-once" }, 1);
      }
    },
  });
}

/** One whose broker keeps nothing, or cannot tell now, has no value. */
function addLag(registry: Registry, sources: NonNullable<MetricsOptions["sources"]>): void {
  const ask = async ({ name, lag }: SourceSample) => {
    try {
      return lag && (await within(LAG_MS, `ask for the lag of source ${name}`, lag()));
    } catch {
      return undefined;
    }
  };
  new Gauge({
    name: "millrace_source_lag_messages",
    help: "Messages the broker holds for the source and has not given to any bridge yet",
    labelNames: ["source", "kind"],
    registers: [registry],
    async collect() {
      const samples = sources();
      const lags = await Promise.all(samples.map(ask));
      this.reset();
      for (const [at, { name, kind }] of samples.entries()) {
        const lag = lags[at];
        if (lag !== undefined) this.set({ source: name, kind }, lag);
      }
    },
  });
}
