/** The GPUs of a company and the newest reading of each of their metrics, from the API and the stream alike. Pure. */
import { compareMetrics } from "./metrics.ts";

/** A reading as the API and the events have it. */
export interface Reading {
  readonly uuid: string;
  readonly metric: string;
  readonly value: number | string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly labels: Labels;
}

const LABELS = ["gpu_id", "device", "modelName", "Hostname", "container", "pod", "namespace"] as const;
/** Empty where it has none. */
export type Labels = Readonly<Record<(typeof LABELS)[number], string>>;

export interface Gpu {
  readonly uuid: string;
  labels: Labels;
  /** The time of its newest reading, milliseconds since 1970; 0: none known. */
  newestMs: number;
  readonly metrics: Map<string, { value: number | string; timeMs: number }>;
}

export interface Host {
  readonly name: string;
  readonly gpus: readonly Gpu[];
}

/** Bounds of what a page keeps: as many as a page of the API. */
export const MAX_GPUS = 1_000;
const MAX_METRICS = 200;

const natural = new Intl.Collator("en", { numeric: true });

/** Undefined for what is none: an event of this type may hold anything. */
export function readReading(item: unknown): Reading | undefined {
  const { uuid, metric_name: metric, value, timestamp } = Object(item) as Record<string, unknown>;
  if (typeof uuid !== "string" || typeof metric !== "string" || typeof timestamp !== "string") return;
  if (typeof value !== "number" && typeof value !== "string") return;
  const timeMs = Date.parse(timestamp);
  if (uuid === "" || metric === "" || Number.isNaN(timeMs)) return;
  return { uuid, metric, value: numberIn(value), timeMs, labels: readLabels(item) };
}

export function readLabels(item: unknown): Labels {
  const fields = Object(item) as Record<string, unknown>;
  const text = (name: string) => (typeof fields[name] === "string" ? fields[name] : "");
  return Object.fromEntries(LABELS.map((name) => [name, text(name)])) as Labels;
}

function numberIn(value: number | string): number | string {
  if (typeof value === "number" || value.trim() === "") return value;
  const number = Number(value);
  return Number.isFinite(number) ? number : value;
}

export interface Fleet {
  readonly gpus: ReadonlyMap<string, Gpu>;
  /** Of the newest reading, milliseconds since 1970; 0: none. */
  readonly newestMs: number;
  /** A GPU there is. False: there was no room for it. */
  add(uuid: string, labels: Labels): boolean;
  /** Keeps it where it is the newest of its metric. `isNew`: of a GPU or host or metric that was not there. */
  take(reading: Reading): { readonly isKept: boolean; readonly isNew: boolean };
  /** By name, numbers in it as numbers. */
  hosts(): readonly Host[];
  /** Those that occur. */
  metrics(): readonly string[];
}

export function createFleet(): Fleet {
  const gpus = new Map<string, Gpu>();
  const metrics = new Set<string>();
  let newestMs = 0;

  const add = (uuid: string, labels: Labels): boolean => {
    if (gpus.has(uuid)) return true;
    if (gpus.size >= MAX_GPUS) return false;
    gpus.set(uuid, { uuid, labels, newestMs: 0, metrics: new Map() });
    return true;
  };

  return {
    gpus,
    get newestMs() {
      return newestMs;
    },
    add,
    take({ uuid, metric, value, timeMs, labels }) {
      const isKnownGpu = gpus.has(uuid);
      const isKnownMetric = metrics.has(metric);
      const noRoom = !isKnownMetric && metrics.size >= MAX_METRICS;
      if (noRoom || !add(uuid, labels)) return { isKept: false, isNew: false };
      const gpu = gpus.get(uuid)!;
      const last = gpu.metrics.get(metric);
      if (last && last.timeMs >= timeMs) return { isKept: false, isNew: false };
      const hasMoved = gpu.labels.Hostname !== labels.Hostname || gpu.labels.gpu_id !== labels.gpu_id;
      gpu.metrics.set(metric, { value, timeMs });
      metrics.add(metric);
      newestMs = Math.max(newestMs, timeMs);
      const isNewest = timeMs >= gpu.newestMs;
      if (isNewest) {
        gpu.newestMs = timeMs;
        gpu.labels = labels;
      }
      return { isKept: true, isNew: !isKnownGpu || !isKnownMetric || (isNewest && hasMoved) };
    },
    hosts() {
      const byHost = Map.groupBy(gpus.values(), ({ labels }) => labels.Hostname);
      return [...byHost]
        .map(([name, all]) => ({
          name,
          gpus: all.sort(
            (a, b) => natural.compare(a.labels.gpu_id, b.labels.gpu_id) || natural.compare(a.uuid, b.uuid),
          ),
        }))
        .sort((a, b) => natural.compare(a.name, b.name));
    },
    metrics: () => [...metrics].sort(compareMetrics),
  };
}
