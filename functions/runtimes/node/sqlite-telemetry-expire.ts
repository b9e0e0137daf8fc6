/** What the embedded telemetry store forgets, a slice a transaction, so that no writer waits long. */
import type { DatabaseSync } from "node:sqlite";
import { HOUR_MS } from "../../core/telemetry-page.ts";
import { ALL_METRICS } from "./sqlite-telemetry-tables.ts";

/** Readings deleted in one transaction. */
const SLICE_READINGS = 500;

interface GpuHour {
  readonly gpu: number;
  readonly hour: number;
}

/** One slice; runs inside a write transaction. False: nothing that old is left. */
export function createTelemetryExpire(connection: DatabaseSync): (beforeMs: number) => boolean {
  const oldest = connection.prepare(
    `SELECT gpu, hour FROM counts WHERE metric = ${ALL_METRICS} AND kept_ms < ? ORDER BY kept_ms LIMIT 1`,
  );
  const drop = connection.prepare(
    `DELETE FROM readings WHERE (gpu, ms, metric) IN (
       SELECT gpu, ms, metric FROM readings WHERE gpu = :gpu AND ms BETWEEN :hour AND :hour + ${HOUR_MS - 1} ORDER BY ms LIMIT :limit
     ) RETURNING metric`,
  );
  const uncount = connection.prepare(
    "UPDATE counts SET n = n - ? WHERE gpu = ? AND metric = ? AND hour = ? RETURNING n",
  );
  const dropCount = connection.prepare("DELETE FROM counts WHERE gpu = ? AND metric = ? AND hour = ?");
  // Labels of which every reading was of an hour that is gone. Some stay longer: as long as there is an older hour.
  const dropSeries = connection.prepare(
    `DELETE FROM series WHERE gpu = :gpu AND metric = :metric AND last_hour <
       (SELECT coalesce(min(hour), ${Number.MAX_SAFE_INTEGER}) FROM counts WHERE gpu = :gpu AND metric = :metric)`,
  );
  const dropMetric = connection.prepare(
    "DELETE FROM metrics WHERE id = :id AND NOT EXISTS (SELECT 1 FROM series WHERE metric = :id)",
  );
  const first = connection.prepare("SELECT ms FROM readings WHERE gpu = ? ORDER BY ms LIMIT 1");
  const last = connection.prepare("SELECT ms, series FROM readings WHERE gpu = ? ORDER BY ms DESC LIMIT 1");
  const changeGpu = connection.prepare("UPDATE gpus SET first_ms = ?, last_ms = ?, series = ? WHERE id = ?");
  const dropGpu = connection.prepare("DELETE FROM gpus WHERE id = ?");

  const dropReadings = ({ gpu, hour }: GpuHour, limit: number): number => {
    const rows = drop.all({ gpu, hour, limit }) as unknown as { metric: number }[];
    const gone = new Map([[ALL_METRICS, rows.length]]);
    for (const { metric } of rows) gone.set(metric, (gone.get(metric) ?? 0) + 1);
    for (const [metric, n] of gone) {
      const { n: left } = uncount.get(n, gpu, metric, hour) as { n: number };
      // A count of what is not there may not be found again and again.
      if (left > 0 && n > 0) continue;
      dropCount.run(gpu, metric, hour);
      if (metric !== ALL_METRICS && dropSeries.run({ gpu, metric }).changes > 0)
        dropMetric.run({ id: metric });
    }
    return rows.length;
  };

  const mendGpu = (gpu: number) => {
    const oldestReading = first.get(gpu) as { ms: number } | undefined;
    if (oldestReading === undefined) {
      dropGpu.run(gpu);
      return;
    }
    const newest = last.get(gpu) as { ms: number; series: number };
    changeGpu.run(oldestReading.ms, newest.ms, newest.series, gpu);
  };

  return (beforeMs) => {
    const gpus = new Set<number>();
    let isMore = true;
    for (let room = SLICE_READINGS; isMore && room > 0; ) {
      const found = oldest.get(beforeMs) as unknown as GpuHour | undefined;
      isMore = found !== undefined;
      if (found === undefined) continue;
      gpus.add(found.gpu);
      room -= dropReadings(found, room);
    }
    for (const gpu of gpus) mendGpu(gpu);
    return isMore;
  };
}
