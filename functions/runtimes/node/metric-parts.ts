/** What the families of `/metrics` are made of: numbers that are read when somebody asks. */
import { Counter, Gauge, Histogram as PromHistogram, type Registry } from "prom-client";
import type { Histogram } from "../../core/histogram.ts";

/** One value of a metric, and whose. */
export type Sample<Label extends string> = readonly [labels: Readonly<Record<Label, string>>, value: number];

/** Makes metrics whose values are what `read` says at a scrape; with no value, a metric has a name and a help text alone. */
export function metricParts(registry: Registry) {
  const registers = [registry];
  return {
    gauge: (name: string, help: string, read: () => number | undefined) =>
      void new Gauge({
        ...{ name, help, registers },
        collect() {
          const value = read();
          if (value === undefined) this.remove();
          else this.set(value);
        },
      }),
    counter: (name: string, help: string, read: () => number) =>
      void new Counter({
        ...{ name, help, registers },
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    gauges: <Label extends string>(
      name: string,
      help: string,
      labelNames: readonly Label[],
      read: () => Iterable<Sample<Label>>,
    ) =>
      void new Gauge<Label>({
        ...{ name, help, labelNames, registers },
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.set(labels, value);
        },
      }),
    counters: <Label extends string>(
      name: string,
      help: string,
      labelNames: readonly Label[],
      read: () => Iterable<Sample<Label>>,
    ) =>
      void new Counter<Label>({
        ...{ name, help, labelNames, registers },
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.inc(labels, value);
        },
      }),
    histogram: (name: string, help: string, histogram: Histogram) =>
      registerHistogram(registry, { name, help, histogram }),
  };
}

/** prom-client's own costs a hash of the labels an observation; here one is counted already, and it is asked only for the text. */
function registerHistogram(
  registry: Registry,
  { name, help, histogram }: { name: string; help: string; histogram: Histogram },
): void {
  const metric = new PromHistogram({ name, help, buckets: [...histogram.bounds], registers: [registry] });
  const get = async () => {
    let count = 0;
    const buckets = histogram.counts.map((own, at) => {
      count += own;
      return {
        metricName: `${name}_bucket`,
        labels: { le: histogram.bounds[at] ?? "+Inf" },
        value: count,
        exemplar: null,
      };
    });
    const last = (suffix: string, value: number) => ({
      metricName: `${name}_${suffix}`,
      labels: {},
      value,
      exemplar: null,
    });
    return {
      ...{ name, help, type: "histogram", aggregator: "sum" as const },
      values: [...buckets, last("sum", histogram.sum), last("count", count)],
    };
  };
  // The registry asks the one, where there is one, which the types do not know.
  Object.assign(metric, { get, getForPromString: get });
}
