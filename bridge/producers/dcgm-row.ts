/** The shape of GPU telemetry as NVIDIA's DCGM exporter gives it, one row a reading. */

/** The columns of the CSV form, in order. */
export const DCGM_COLUMNS = [
  "timestamp",
  "metric_name",
  "gpu_id",
  "device",
  "uuid",
  "modelName",
  "Hostname",
  "container",
  "pod",
  "namespace",
  "value",
  "labels_raw",
] as const;

type DcgmColumn = (typeof DCGM_COLUMNS)[number];

/** A reading. `value` is a number where it is one; the rest is text as it came (a `gpu_id` is only unique within its host). */
export type DcgmRow = Readonly<Record<Exclude<DcgmColumn, "value">, string> & { value: number | string }>;

/** The subject of a reading; it has no rule of its own, so it is the event type as well. */
export const TELEMETRY_SUBJECT = "telemetry.gpu";
