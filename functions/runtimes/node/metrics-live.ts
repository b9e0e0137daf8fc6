/** The live side in `/metrics`: streams, how far they have come, what they were given, who was refused. */
import type { Registry } from "prom-client";
import type { MetricsParts } from "../../service.ts";
import { metricParts } from "./metric-parts.ts";

/** Absent: this process has none. */
export type LiveParts = Partial<MetricsParts>;

/** Returns what looks at the hub: called once before the values are read. */
export function addLiveMetrics(
  registry: Registry,
  { hub, counters, board, refusals }: LiveParts,
): () => ReturnType<NonNullable<LiveParts["hub"]>["backlog"]> | undefined {
  const { gauge, counters: labelled } = metricParts(registry);
  if (counters) {
    gauge("millrace_counter_watchers", "Connections that are sent counters", () => counters.stats().watchers);
    gauge(
      "millrace_counter_companies",
      "Companies whose log is followed for counters",
      () => counters.stats().companies,
    );
  }
  if (board)
    gauge("millrace_service_watchers", "Connections that are sent services", () => board.stats().watchers);
  if (refusals) {
    labelled("millrace_refusals_total", "Requests refused, and answers that failed", ["reason"], () =>
      Object.entries(refusals).map(([reason, count]) => [{ reason }, count] as const),
    );
  }
  return hub ? addHub(registry, hub) : () => undefined;
}

function addHub(registry: Registry, hub: NonNullable<LiveParts["hub"]>) {
  const { gauge, gauges, counter, counters: labelled, histogram } = metricParts(registry);
  let stats = hub.stats();
  let backlog = hub.backlog();
  const { counters } = stats;

  gauge("millrace_connections", "Open streams", () => stats.totalConnections);
  gauge(
    "millrace_active_companies",
    "Companies with an open stream",
    () => Object.values(stats.connectionsByCompany).filter((open) => open > 0).length,
  );
  gauges(
    "millrace_streams",
    "Open streams by how they stand: current, behind (gets more with the next turn), replaying (reads from the log), stalled (its client takes nothing now)",
    ["state"],
    () => Object.entries(backlog.streams).map(([state, open]) => [{ state }, open] as const),
  );
  gauge(
    "millrace_undelivered_events",
    "Events in memory that streams have still to be given, over all streams",
    () => backlog.undeliveredEvents,
  );
  gauge("millrace_draining", "1 while streams are sent away before a stop", () => Number(stats.isDraining));
  counter("millrace_joins_total", "Streams opened", () => counters.joins);
  counter(
    "millrace_delivered_frames_total",
    "Event frames written, over all streams",
    () => counters.deliveredFrames,
  );
  histogram(
    "millrace_delivery_seconds",
    "From append to the sockets, of the oldest new event of each turn of a company; between the clocks of store and process",
    counters.deliverySeconds,
  );
  counter("millrace_writes_total", "Writes to streams", () => counters.writes);
  counter("millrace_written_bytes_total", "Bytes written to streams", () => counters.writtenBytes);
  counter("millrace_page_reads_total", "Pages read from the log to catch up", () => counters.pageReads);
  counter(
    "millrace_idle_timeouts_total",
    "Streams closed because their client took nothing for IDLE_TIMEOUT_MS",
    () => counters.idleTimeouts,
  );
  labelled("millrace_gaps_total", "Gaps said to clients, by reason", ["reason"], () =>
    Object.entries(counters.gaps).map(([reason, count]) => [{ reason }, count] as const),
  );
  return () => {
    stats = hub.stats();
    backlog = hub.backlog();
    return backlog;
  };
}
