/** The write half of the embedded telemetry store: duplicates dropped, labels stored once, readings counted. */
import type { DatabaseSync } from "node:sqlite";
import type { Reading } from "../../core/reading.ts";
import { HOUR_MS, hourOf } from "../../core/telemetry-page.ts";
import { encodeLabels } from "./sqlite-telemetry-labels.ts";
import { ALL_METRICS } from "./sqlite-telemetry-tables.ts";

/** Bytes of the series remembered, so that a reading needs no look-up: 50,000 with labels as the exporter has them, fewer with longer ones. */
const MAX_KNOWN_BYTES = 64 * 1024 * 1024;
/** Of one besides its labels. */
const SERIES_BYTES = 400;

/** What is known of a row, as of the last commit of this connection or another. */
interface KnownGpu {
  readonly id: number;
  firstMs: number;
  lastMs: number;
  /** Of the newest reading. */
  series: number;
  readonly metrics: Map<string, KnownMetric>;
}
interface KnownMetric {
  readonly id: number;
  /** By their labels. */
  readonly series: Map<string, KnownSeries>;
}
interface KnownSeries {
  readonly id: number;
  lastHour: number;
}

/** What a transaction has to change besides the readings themselves. */
interface Changes {
  readonly counts: Map<string, { gpu: number; metric: number; hour: number; n: number }>;
  readonly gpus: Set<KnownGpu>;
  readonly series: Set<KnownSeries>;
  /** Hours that are over: they are kept by when they were written. */
  readonly late: Map<string, { gpu: number; hour: number }>;
}

/** By what an hour is kept that is written to now: never earlier, and seldom another, so that it seldom changes. */
const keptBy = (hour: number, nowMs: number) => Math.max(hour + HOUR_MS - 1, Math.ceil(nowMs / 1000) * 1000);

/** `write` runs inside a write transaction and returns how many readings were new. After a transaction that failed, `forget`. */
export function createTelemetryWrite(connection: DatabaseSync) {
  const dataVersion = connection.prepare("PRAGMA data_version");
  const findGpu = connection.prepare(
    "SELECT id, first_ms AS firstMs, last_ms AS lastMs, series FROM gpus WHERE company = ? AND uuid = ?",
  );
  const addGpu = connection.prepare(
    "INSERT INTO gpus (company, uuid, first_ms, last_ms, series) VALUES (?, ?, ?, ?, 0)",
  );
  const changeGpu = connection.prepare("UPDATE gpus SET first_ms = ?, last_ms = ?, series = ? WHERE id = ?");
  const findMetric = connection.prepare("SELECT id FROM metrics WHERE name = ?");
  const addMetric = connection.prepare("INSERT INTO metrics (name) VALUES (?)");
  const findSeries = connection.prepare(
    "SELECT id, last_hour AS lastHour FROM series WHERE gpu = ? AND metric = ? AND labels = ?",
  );
  const addSeries = connection.prepare(
    "INSERT INTO series (gpu, metric, labels, last_hour) VALUES (?, ?, ?, ?)",
  );
  const changeSeries = connection.prepare("UPDATE series SET last_hour = ? WHERE id = ?");
  const addReading = connection.prepare(
    "INSERT INTO readings (gpu, ms, metric, series, value) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
  );
  const count = connection.prepare(
    "INSERT INTO counts (gpu, metric, hour, n, kept_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
  );
  // Apart: it is in an index.
  const keep = connection.prepare(
    `UPDATE counts SET kept_ms = :keptMs WHERE gpu = :gpu AND metric = ${ALL_METRICS} AND hour = :hour AND kept_ms < :keptMs`,
  );
  const known = new Map<string, KnownGpu>();
  let [knownBytes, knownVersion] = [0, Number.NaN];

  const forget = () => {
    known.clear();
    knownBytes = 0;
  };
  /** Another connection's commit may have changed or removed any row (SQLite, pragma data_version). */
  const forgetWhatChanged = () => {
    const { data_version: version } = dataVersion.get() as { data_version: number };
    if (version !== knownVersion || knownBytes > MAX_KNOWN_BYTES) forget();
    knownVersion = version;
  };

  const gpuOf = ({ companyId, uuid, timeMs }: Reading): KnownGpu => {
    // A company has no slash.
    const key = `${companyId}/${uuid}`;
    let gpu = known.get(key);
    if (gpu === undefined) {
      const row = findGpu.get(companyId, uuid) as Omit<KnownGpu, "metrics"> | undefined;
      // Its first reading is about to be added, and the rest of it with that.
      const id = row?.id ?? Number(addGpu.run(companyId, uuid, timeMs, timeMs).lastInsertRowid);
      gpu = { ...(row ?? { id, firstMs: timeMs, lastMs: timeMs, series: 0 }), metrics: new Map() };
      known.set(key, gpu);
    }
    return gpu;
  };
  const metricOf = (gpu: KnownGpu, name: string): KnownMetric => {
    let metric = gpu.metrics.get(name);
    if (metric === undefined) {
      const row = findMetric.get(name) as { id: number } | undefined;
      metric = { id: row?.id ?? Number(addMetric.run(name).lastInsertRowid), series: new Map() };
      gpu.metrics.set(name, metric);
    }
    return metric;
  };
  const seriesOf = (gpu: KnownGpu, metric: KnownMetric, labels: string, hour: number): KnownSeries => {
    let series = metric.series.get(labels);
    if (series === undefined) {
      series = findSeries.get(gpu.id, metric.id, labels) as unknown as KnownSeries | undefined;
      series ??= {
        id: Number(addSeries.run(gpu.id, metric.id, labels, hour).lastInsertRowid),
        lastHour: hour,
      };
      metric.series.set(labels, series);
      // In memory a character is one byte or two.
      knownBytes += SERIES_BYTES + labels.length * 2;
    }
    return series;
  };

  /** False: it was there. */
  const writeOne = (reading: Reading, nowMs: number, changes: Changes): boolean => {
    const { timeMs, value } = reading;
    const gpu = gpuOf(reading);
    const metric = metricOf(gpu, reading.metric_name);
    const hour = hourOf(timeMs);
    const series = seriesOf(gpu, metric, encodeLabels(reading.labels), hour);
    // Whether it was there or not: somebody wants it kept.
    if (hour + HOUR_MS <= nowMs) changes.late.set(`${gpu.id}/${hour}`, { gpu: gpu.id, hour });
    if (addReading.run(gpu.id, timeMs, metric.id, series.id, value).changes === 0) return false;
    for (const id of [metric.id, ALL_METRICS]) {
      const key = `${gpu.id}/${id}/${hour}`;
      const counted = changes.counts.get(key);
      if (counted === undefined) changes.counts.set(key, { gpu: gpu.id, metric: id, hour, n: 1 });
      else counted.n++;
    }
    if (timeMs < gpu.firstMs) {
      gpu.firstMs = timeMs;
      changes.gpus.add(gpu);
    }
    if (timeMs >= gpu.lastMs) {
      gpu.lastMs = timeMs;
      gpu.series = series.id;
      changes.gpus.add(gpu);
    }
    if (hour > series.lastHour) {
      series.lastHour = hour;
      changes.series.add(series);
    }
    return true;
  };

  return {
    forget,
    write(readings: readonly Reading[]): number {
      forgetWhatChanged();
      const changes: Changes = { counts: new Map(), gpus: new Set(), series: new Set(), late: new Map() };
      const nowMs = Date.now();
      let stored = 0;
      for (const reading of readings) stored += Number(writeOne(reading, nowMs, changes));
      for (const { gpu, metric, hour, n } of changes.counts.values())
        count.run(gpu, metric, hour, n, keptBy(hour, nowMs));
      for (const { gpu, hour } of changes.late.values()) keep.run({ gpu, hour, keptMs: keptBy(hour, nowMs) });
      for (const { id, firstMs, lastMs, series } of changes.gpus) changeGpu.run(firstMs, lastMs, series, id);
      for (const { id, lastHour } of changes.series) changeSeries.run(lastHour, id);
      return stored;
    },
  };
}
