/** Writes readings as fast as it can, one way or another, and asks for pages of them, in a process of its own. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { READING_LABELS, type Reading } from "../../../functions/core/reading.ts";
import { readingDocument } from "../../../functions/core/telemetry-documents.ts";
import type { Page, TelemetryStore } from "../../../functions/ports/telemetry-store.ts";
import { createMongoClient, openMongoTelemetry } from "../../../functions/runtimes/node/open-mongodb.ts";
import { createSqliteTelemetry } from "../../../functions/runtimes/node/telemetry-store-sqlite.ts";
import { createReadings, METRICS } from "./readings.ts";
import { median } from "./statistics.ts";
import { answerCalls } from "./worker.ts";

/** Readings of one write: what the bridge takes in one go; one after another, as it does. */
const BATCH = 500;
/** Readings of one write where it is the load and not the measurement. */
const LOAD_BATCH = 5_000;
const PAGE = 100;
/** Times a page is asked for, as far as these milliseconds are enough. */
const TRIES = { most: 41, ms: 2_000 };
/** TELEMETRY_RETENTION_MS, over which one GPU's readings are spread evenly. */
const RETENTION_MS = 30 * 86_400_000;

const fleet = createReadings({ hosts: 4, gpusPerHost: 8, everyMs: 15_000 });
const oneGpu = (readings: number) =>
  createReadings({ hosts: 1, gpusPerHost: 1, everyMs: Math.floor((RETENTION_MS * METRICS) / readings) });
const EVERYTHING = { fromMs: undefined, untilMs: undefined, order: "asc" } as const;

/** Where readings go: a folder, or a database of a server. */
export type Target = { readonly folder: string } | { readonly url: string; readonly database: string };

function open(target: Target): TelemetryStore {
  if ("folder" in target) return createSqliteTelemetry(target);
  const { url: MONGODB_URI, database: MONGODB_DATABASE } = target;
  return openMongoTelemetry({ settings: { MONGODB_URI, MONGODB_DATABASE, MONGO_COLLECTION: "metrics" } });
}

/** Readings a second; making them is not counted. `seconds`: the most it may take. */
async function pace(
  readings: number,
  seconds: number,
  write: (batch: Reading[]) => unknown,
): Promise<number> {
  const batches = Array.from({ length: readings / BATCH }, () => fleet(BATCH));
  const startMs = performance.now();
  let written = 0;
  while (written < batches.length && performance.now() - startMs < seconds * 1000)
    await write(batches[written++]!);
  return (written * BATCH * 1000) / (performance.now() - startMs);
}

/** Milliseconds of asking, the median. */
async function medianMs(ask: () => unknown): Promise<number> {
  const times: number[] = [];
  const untilMs = performance.now() + TRIES.ms;
  while (times.length === 0 || (times.length < TRIES.most && performance.now() < untilMs)) {
    const startMs = performance.now();
    await ask();
    times.push(performance.now() - startMs);
  }
  return median(times);
}

/** What is being loaded. */
let loading: { store: TelemetryStore; next: (count: number) => Reading[]; readings: number } | undefined;

/** A page of the one GPU there is. */
async function page(store: TelemetryStore, offset: number): Promise<Page<Reading>> {
  const { items } = await store.gpus({ ...EVERYTHING, companies: "all", offset: 0, limit: 1 });
  const { companyId, uuid } = items[0]!;
  return store.readings({ ...EVERYTHING, companyId, uuid, metric: undefined, offset, limit: PAGE });
}

const calls = {
  /** The store's own write. */
  async store(target: Target, readings: number, seconds: number): Promise<number> {
    await using store = open(target);
    await store.write(fleet(BATCH));
    return await pace(readings, seconds, (batch) => store.write(batch));
  },

  /** The same readings in rows of a table with nothing but their key, INSERT of as many rows at once, each on disk when it returns. */
  async plainInsert({ folder }: { folder: string }, readings: number, seconds: number): Promise<number> {
    mkdirSync(folder, { recursive: true });
    using connection = new DatabaseSync(join(folder, "plain.db"));
    const columns = ["company", "uuid", "metric", "ms", "value", ...READING_LABELS];
    connection.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
       CREATE TABLE IF NOT EXISTS readings (${columns.join(", ")}, PRIMARY KEY (company, uuid, metric, ms)) WITHOUT ROWID`,
    );
    const row = `(${columns.map(() => "?").join(", ")})`;
    const insert = connection.prepare(
      `INSERT INTO readings VALUES ${Array.from({ length: BATCH }, () => row).join(", ")}`,
    );
    return await pace(readings, seconds, (batch) => {
      insert.run(
        ...batch.flatMap(({ companyId, uuid, metric_name, timeMs, value, labels }) => [
          ...[companyId, uuid, metric_name, timeMs, value],
          ...READING_LABELS.map((name) => labels[name]),
        ]),
      );
    });
  },

  /** The same documents by the driver's insertMany, into a collection without further indexes, as durable as the store asks for. */
  async plainInsertMany(
    { url, database }: { url: string; database: string },
    readings: number,
    seconds: number,
  ): Promise<number> {
    await using client = createMongoClient(url);
    const collection = client.db(database).collection<ReturnType<typeof readingDocument>>("plain");
    await collection.insertMany(fleet(BATCH).map(readingDocument), { ordered: false });
    return await pace(readings, seconds, (batch) =>
      collection.insertMany(batch.map(readingDocument), { ordered: false }),
    );
  },

  /** What the server calls itself. */
  async serverName(url: string): Promise<string> {
    await using client = createMongoClient(url);
    const { version, ferretdbVersion } = await client.db("admin").command({ buildInfo: 1 });
    return ferretdbVersion === undefined ? `MongoDB ${version}` : `FerretDB ${ferretdbVersion}`;
  },

  /** Loads one GPU's readings, `planned` over the retention, for so many seconds; resolves with how many there are by now. */
  async load(target: Target, planned: number, seconds: number): Promise<number> {
    loading ??= { store: open(target), next: oneGpu(planned), readings: 0 };
    const untilMs = performance.now() + seconds * 1000;
    while (loading.readings < planned && performance.now() < untilMs) {
      const batch = loading.next(Math.min(LOAD_BATCH, planned - loading.readings));
      loading.readings += (await loading.store.write(batch)).stored;
    }
    return loading.readings;
  },

  /** Milliseconds of the first page of what is loaded, one in the middle and the last. */
  async pages(): Promise<{ first: number; middle: number; last: number }> {
    const { store, readings } = loading!;
    const last = readings - PAGE;
    const { total, items } = await page(store, last);
    if (total !== readings || items.length !== PAGE) {
      throw new Error(`The last page of ${readings} has ${items.length} of ${total} readings`);
    }
    return {
      first: await medianMs(() => page(store, 0)),
      middle: await medianMs(() => page(store, Math.floor(last / 2))),
      last: await medianMs(() => page(store, last)),
    };
  },

  /** Milliseconds of the last page when the embedded store's own file is asked by OFFSET alone. */
  async plainOffset({ folder }: { folder: string }): Promise<number> {
    using connection = new DatabaseSync(join(folder, "telemetry.db"), { readOnly: true });
    const rows = connection.prepare(`SELECT * FROM readings ORDER BY gpu, ms, metric LIMIT ${PAGE} OFFSET ?`);
    return await medianMs(() => rows.all(loading!.readings - PAGE));
  },

  /** What is loaded is left. */
  async unload(): Promise<void> {
    await loading?.store[Symbol.asyncDispose]();
    loading = undefined;
  },
};

export type TelemetryClientCalls = typeof calls;

answerCalls(calls);
