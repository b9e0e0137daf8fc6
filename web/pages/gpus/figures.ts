/** The fleet in four numbers: GPUs and hosts, mean and highest of a metric, and how many are silent. */
import { byId, formatClock, formatCount, setText } from "../../kit/dom.ts";
import type { Fleet, Gpu } from "./fleet.ts";
import { formatFull, type Metric } from "./metrics.ts";

export interface Value {
  readonly gpu: Gpu;
  readonly value: number;
  readonly timeMs: number;
}

/** The newest value of the metric of each GPU that has one; text is none. */
export function valuesOf({ gpus }: Fleet, { id }: Metric): Value[] {
  return [...gpus.values()].flatMap((gpu) => {
    const { value, timeMs } = gpu.metrics.get(id) ?? {};
    return typeof value === "number" && timeMs !== undefined ? [{ gpu, value, timeMs }] : [];
  });
}

/** What is older than `oldBeforeMs` is not of now. `isLoaded`: all GPUs are known, so none is none. */
export function drawFigures(fleet: Fleet, metric: Metric, oldBeforeMs: number, isLoaded: boolean): void {
  const { gpus, newestMs } = fleet;
  const hosts = new Set(Array.from(gpus.values(), ({ labels }) => labels.Hostname));
  const fresh = valuesOf(fleet, metric).filter(({ timeMs }) => timeMs >= oldBeforeMs);
  const highest = fresh.reduce<Value | undefined>((a, b) => (a && a.value >= b.value ? a : b), undefined);
  const mean = fresh.reduce((sum, { value }) => sum + value, 0) / fresh.length;
  const silent = [...gpus.values()].filter(({ newestMs: ms }) => ms > 0 && ms < oldBeforeMs).length;
  const text = (id: string, words: string) => setText(byId(id, HTMLElement), words);
  text("sum-gpus", isLoaded || gpus.size > 0 ? formatCount(gpus.size) : "–");
  text("sum-hosts", `on ${formatCount(hosts.size)} ${hosts.size === 1 ? "host" : "hosts"}`);
  text("mean", highest ? formatFull(metric, mean) : "–");
  text("mean-of", metric.label);
  text("highest", highest ? formatFull(metric, highest.value) : "–");
  text("highest-of", highest ? `${highest.gpu.labels.Hostname} · ${highest.gpu.labels.gpu_id}` : "");
  text("silent", newestMs > 0 ? formatCount(silent) : "–");
  text("as-of", newestMs > 0 ? `as of ${formatClock(new Date(newestMs))}` : "");
}
