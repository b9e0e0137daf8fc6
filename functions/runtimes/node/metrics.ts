/**
 * `/metrics`: this process as Prometheus text. Read when it is asked for, so counting costs nothing in between. No label names a
 * company: whoever may scrape may not see who the customers are.
 */
import { getHeapStatistics } from "node:v8";
import { collectDefaultMetrics, Registry } from "prom-client";
import { shared } from "../../core/shared.ts";
import { metricParts } from "./metric-parts.ts";
import { addLiveMetrics, type LiveParts } from "./metrics-live.ts";
import { addSourceMetrics, type SourceSample } from "./metrics-sources.ts";
import { addStoreMetrics, type StoreParts } from "./metrics-store.ts";

export type { SourceSample } from "./metrics-sources.ts";

/** Of what this process has. */
export interface MetricsOptions extends LiveParts, StoreParts {
  /** The sources of a bridge in this process, as of now. */
  readonly sources?: () => readonly SourceSample[];
}

/** The text of `/metrics`, with its content type. Whoever asks while one is made gets the same. */
export function createMetrics(options: MetricsOptions): () => Promise<{ contentType: string; body: string }> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Bun's says what it has now, not what it may have.
  if (!("bun" in process.versions)) {
    metricParts(registry).gauge(
      "millrace_heap_limit_bytes",
      "Bytes of heap at which the process ends",
      () => getHeapStatistics().heap_size_limit,
    );
  }
  const lookAtHub = addLiveMetrics(registry, options);
  const askBrokers = options.sources && addSourceMetrics(registry, options.sources);
  const askStore = addStoreMetrics(registry, options);
  return shared(async () => {
    const backlog = lookAtHub();
    await Promise.all([askStore(backlog), askBrokers?.()]);
    return { contentType: registry.contentType, body: await registry.metrics() };
  });
}
