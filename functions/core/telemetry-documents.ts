/**
 * Readings as documents of MongoDB. Four collections, the further ones named after the first:
 *
 * - `metrics`: a document a reading. Its `_id` is what identifies a reading, so that it is stored once whatever indexes there are.
 * - `metrics.gpus`: a document a GPU.
 * - `metrics.hours`: a document for every hour of a GPU that may have readings, when a process last said that it writes there, and when that it changes anything.
 * - `metrics.counts`: readings of an hour of a GPU, all or those of one metric, as they were counted once nobody wrote there any more.
 */
import type { CompanyId } from "./ids.ts";
import type { Update } from "./mongodb-calls.ts";
import type { Reading, ReadingLabels } from "./reading.ts";
import { hourOf } from "./telemetry-page.ts";

export interface ReadingDocument {
  /** Company, length of the uuid, uuid, time, metric: a company has no slash and the length says where the uuid ends. */
  readonly _id: string;
  readonly companyId: CompanyId;
  readonly uuid: string;
  readonly metric_name: string;
  readonly time: Date;
  /** Its beginning. */
  readonly hour: Date;
  readonly value: number | string;
  readonly labels: ReadingLabels;
}

type GpuLabels = Pick<ReadingLabels, "gpu_id" | "device" | "modelName" | "Hostname">;

export interface GpuDocument extends GpuLabels {
  readonly _id: string;
  readonly companyId: CompanyId;
  readonly uuid: string;
  readonly firstSeen: Date;
  readonly lastSeen: Date;
  /** Time of the reading its labels are from. */
  readonly labelsOf: Date;
  /** By the server's clock, as all of these. */
  readonly touched: Date;
}

export interface HourDocument {
  readonly _id: string;
  readonly companyId: CompanyId;
  readonly uuid: string;
  readonly hour: Date;
  /** When a process last said that it writes readings. */
  readonly written: Date;
  /** The same, or when one said that it forgets some. */
  readonly touched: Date;
}

export interface CountDocument {
  readonly _id: string;
  readonly companyId: CompanyId;
  readonly uuid: string;
  /** Empty: of all metrics; a metric's name is not. */
  readonly metric: string;
  readonly hour: Date;
  readonly n: number;
  /** Good as long as this is the hour's `touched`. */
  readonly of: Date;
}

/** Milliseconds of readings by which the newest time of a GPU may lag. */
export const LAG_MS = 5_000;

/** Sorts as the hours and times of a GPU do, then by metric. */
export const READINGS_INDEX = { companyId: 1, uuid: 1, hour: 1, time: 1, metric_name: 1 } as const;
export const METRIC_INDEX = { companyId: 1, uuid: 1, metric_name: 1, hour: 1, time: 1 } as const;

export function readingDocument(reading: Reading): ReadingDocument {
  const { companyId, uuid, metric_name, timeMs, value, labels } = reading;
  return {
    _id: `${companyId}/${uuid.length}/${uuid}/${timeMs}/${metric_name}`,
    ...{ companyId, uuid, metric_name },
    ...{ time: new Date(timeMs), hour: new Date(hourOf(timeMs)), value, labels },
  };
}

export function readingOf({ companyId, uuid, metric_name, time, value, labels }: ReadingDocument): Reading {
  return { companyId, uuid, metric_name, timeMs: time.getTime(), value, labels };
}

type GpuKey = Pick<Reading, "companyId" | "uuid">;

export const gpuId = ({ companyId, uuid }: GpuKey) => `${companyId}/${uuid}`;
/** The hour is what follows the last slash. */
export const hourId = (of: GpuKey & Pick<HourDocument, "hour">) => `${gpuId(of)}/${of.hour.getTime()}`;
/** The length of the uuid says where the hour is; the metric is the rest. */
export const countId = (of: GpuKey & Pick<HourDocument, "hour">, metric: string) =>
  `${of.companyId}/${of.uuid.length}/${of.uuid}/${of.hour.getTime()}/${metric}`;

/** What a batch says of one GPU. */
export interface Sighting {
  readonly id: string;
  readonly newest: Reading;
  readonly firstMs: number;
}

/** Of two batches, the later one first; or of two readings. */
export function joined(late: Sighting, early: Sighting | undefined): Sighting {
  if (early === undefined) return late;
  const newest = early.newest.timeMs > late.newest.timeMs ? early.newest : late.newest;
  return { id: late.id, newest, firstMs: Math.min(late.firstMs, early.firstMs) };
}

/** The GPUs of a batch. */
export function sightingsOf(readings: readonly Reading[]): Sighting[] {
  const found = new Map<string, Sighting>();
  for (const newest of readings) {
    const id = gpuId(newest);
    found.set(id, joined({ id, newest, firstMs: newest.timeMs }, found.get(id)));
  }
  return [...found.values()];
}

/** Whether it says more of the GPU than what was said lately, but for some seconds. */
export function isNews({ firstMs, newest }: Sighting, said: Sighting | undefined): boolean {
  if (said === undefined || firstMs < said.firstMs) return true;
  const laterMs = newest.timeMs - said.newest.timeMs;
  return laterMs > LAG_MS || (laterMs >= 0 && !haveSameLabels(newest.labels, said.newest.labels));
}

const GPU_LABELS = ["gpu_id", "device", "modelName", "Hostname"] as const;

export const gpuLabels = ({ gpu_id, device, modelName, Hostname }: GpuLabels): GpuLabels => ({
  ...{ gpu_id, device, modelName, Hostname },
});
const haveSameLabels = (a: GpuLabels, b: GpuLabels) => GPU_LABELS.every((name) => a[name] === b[name]);

/** Updates that make a GPU's document say what was seen, in this order; each may be repeated. */
export function gpuUpdates({ id, newest, firstMs }: Sighting): Update[] {
  const { companyId, uuid, timeMs } = newest;
  const said = { ...gpuLabels(newest.labels), labelsOf: new Date(timeMs) };
  return [
    {
      filter: { _id: id },
      update: {
        $min: { firstSeen: new Date(firstMs) },
        $max: { lastSeen: new Date(timeMs) },
        $currentDate: { touched: true },
        $setOnInsert: { companyId, uuid, ...said },
      },
      upsert: true,
    },
    { filter: { _id: id, labelsOf: { $lte: new Date(timeMs) } }, update: { $set: said } },
  ];
}

export const ofCompanies = (companies: readonly CompanyId[] | "all") =>
  companies === "all" ? {} : { companyId: { $in: [...companies] } };

export function between(field: "hour" | "time", fromMs: number | undefined, untilMs: number | undefined) {
  if (fromMs === undefined && untilMs === undefined) return {};
  return {
    [field]: {
      ...(fromMs === undefined ? {} : { $gte: new Date(fromMs) }),
      ...(untilMs === undefined ? {} : { $lte: new Date(untilMs) }),
    },
  };
}

export const sorted = (order: "asc" | "desc", fields: readonly string[]): Record<string, 1 | -1> =>
  Object.fromEntries(fields.map((field) => [field, order === "asc" ? 1 : -1]));
