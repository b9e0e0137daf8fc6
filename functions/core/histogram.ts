/** A histogram that costs an addition or two to observe: what is counted is made into text by whoever is asked for it. */

export interface Histogram {
  /** Upper bounds of the buckets, rising; one more bucket takes what is above the last. */
  readonly bounds: readonly number[];
  /** Observations of each bucket alone, one more than there are bounds. */
  readonly counts: readonly number[];
  /** Of everything observed. */
  readonly sum: number;
  /** A number below 0 counts as 0. */
  observe(value: number): void;
}

/**
 * Seconds from a client's point of view: a millisecond is as exact as clocks are, beyond a minute nobody asks how long. The steps are
 * fine around what somebody watching a page would call live, for the alert on it (infra/prometheus/alerts.yml).
 */
const LATENCY_SECONDS = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5],
  ...[1, 2.5, 5, 10, 30, 60],
] as const;

export function createHistogram(bounds: readonly number[] = LATENCY_SECONDS): Histogram {
  const counts: number[] = new Array(bounds.length + 1).fill(0);
  let sum = 0;
  return {
    bounds,
    counts,
    get sum() {
      return sum;
    },
    observe(value) {
      const positive = Math.max(value, 0);
      let bucket = 0;
      while (bucket < bounds.length && positive > bounds[bucket]!) bucket++;
      counts[bucket]!++;
      sum += positive;
    },
  };
}
