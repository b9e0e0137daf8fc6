/** The tables of the embedded telemetry store. */

/** The `metric` of the counts of all metrics together; ids begin at 1. */
export const ALL_METRICS = 0;

/**
 * What makes each version of the one before it. Labels are most of a reading and seldom change, so `series` has them once; its
 * `last_hour` is that of its newest reading. A reading's key is (gpu, ms, metric), whichever labels it came with; its value keeps its type,
 * number or text (SQLite, STRICT tables, ANY). The counts are by hour (core/telemetry-page.ts) and change in the transaction that changes the readings; `kept_ms`
 * of the count of all metrics is the last of the hour or, if that is later, of the second in which it was last written to: what it is kept by. `first_ms` and `last_ms` of a
 * GPU are those of its readings, `series` that of its newest.
 */
export const STEPS = [
  `
  CREATE TABLE gpus (
    id INTEGER PRIMARY KEY, company TEXT NOT NULL, uuid TEXT NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    series INTEGER NOT NULL, UNIQUE (company, uuid)
  ) STRICT;
  CREATE INDEX gpus_by_uuid ON gpus (uuid, company);
  CREATE TABLE metrics (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
  CREATE TABLE series (
    id INTEGER PRIMARY KEY, gpu INTEGER NOT NULL, metric INTEGER NOT NULL, labels TEXT NOT NULL, last_hour INTEGER NOT NULL,
    UNIQUE (gpu, metric, labels)
  ) STRICT;
  CREATE INDEX series_by_age ON series (gpu, metric, last_hour);
  CREATE INDEX series_by_metric ON series (metric);
  CREATE TABLE readings (
    gpu INTEGER NOT NULL, ms INTEGER NOT NULL, metric INTEGER NOT NULL, series INTEGER NOT NULL, value ANY NOT NULL,
    PRIMARY KEY (gpu, ms, metric)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX readings_by_metric ON readings (gpu, metric, ms);
  CREATE TABLE counts (
    gpu INTEGER NOT NULL, metric INTEGER NOT NULL, hour INTEGER NOT NULL, n INTEGER NOT NULL, kept_ms INTEGER NOT NULL,
    PRIMARY KEY (gpu, metric, hour)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX counts_by_age ON counts (kept_ms) WHERE metric = ${ALL_METRICS};
  `,
];
