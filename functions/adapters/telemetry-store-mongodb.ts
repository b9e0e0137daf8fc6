/**
 * TelemetryStore on MongoDB, or a server of its protocol: only the plain core of its language is used.
 *
 * A plain collection, not a time-series one: there the `_id` need not be unique and no other index can be, so a reading that is delivered
 * again would be stored again (MongoDB manual, time series collection limitations).
 *
 * **Counts** make totals and pages cheap. A writer says which hours of which GPUs it writes to before it does so, every `settleMs` / 6. A
 * reader counts an hour by its index, and keeps the count once nobody has said so for `settleMs`: good until somebody does. So nothing that
 * crashes leaves a wrong count, and no transaction is needed. Times are the server's: no clock of ours matters.
 *
 * A write is acknowledged as the client's write concern says (functions/runtimes/node/open-mongodb.ts).
 */
import type { Db, Filter } from "mongodb";
import { MillraceError } from "../core/errors.ts";
import { updateAll, WITHIN } from "../core/mongodb-calls.ts";
import { isDuplicate, mongoError } from "../core/mongodb-errors.ts";
import { createMongoExpire } from "../core/mongodb-expire.ts";
import { createRecent } from "../core/recent.ts";
import { untilDone } from "../core/shared.ts";
import { createSlots } from "../core/slots.ts";
import { hourCounts } from "../core/telemetry-counts.ts";
import {
  between,
  type CountDocument,
  type GpuDocument,
  gpuId,
  gpuLabels,
  gpuUpdates,
  type HourDocument,
  hourId,
  isNews,
  joined,
  LAG_MS,
  METRIC_INDEX,
  ofCompanies,
  READINGS_INDEX,
  type ReadingDocument,
  readingDocument,
  readingOf,
  type Sighting,
  sightingsOf,
  sorted,
} from "../core/telemetry-documents.ts";
import { hourOf, planPage } from "../core/telemetry-page.ts";
import type { Gpu, TelemetryStore } from "../ports/telemetry-store.ts";

export interface MongoTelemetryOptions {
  /** Closed by who opened it. */
  readonly db: Db;
  /** Of the readings. */
  readonly collection: string;
  /** Milliseconds after which a writer that said that it writes to an hour has done so; default 60,000. Less is for tests. */
  readonly settleMs?: number;
}

/** Readings of one command: some ten milliseconds of the server. The driver splits larger ones by bytes. */
const INSERT_READINGS = 1_000;
/** A month of hours in one answer. */
const MANY = { batchSize: 1_000, ...WITHIN } as const;
/** Commands that insert at the same time: what a process may take of the server, and of its own memory. */
const MAX_INSERTING = 4;
/**
 * Commands that update at the same time. They are few and small; several processes of this stay below what hangs FerretDB
 * (core/mongodb-calls.ts), and what one process says of a GPU none of its other commands overwrites there.
 */
const MAX_UPDATING = 1;

export function createMongoTelemetry({
  db,
  collection,
  settleMs = 60_000,
}: MongoTelemetryOptions): TelemetryStore {
  const metrics = db.collection<ReadingDocument>(collection);
  const gpus = db.collection<GpuDocument>(`${collection}.gpus`);
  const hours = db.collection<HourDocument>(`${collection}.hours`);
  const counts = db.collection<CountDocument>(`${collection}.counts`);
  const where = `MongoDB "${db.databaseName}.${collection}"`;
  const saidHours = createRecent<true>(settleMs / 6);
  const saidGpus = createRecent<Sighting>(settleMs / 6);
  const inserting = createSlots(MAX_INSERTING);
  const updating = createSlots(MAX_UPDATING);
  const expire = createMongoExpire({ metrics, gpus, hours, counts, settleMs });

  // After a first connection that failed the driver stays on what it closed (7.9: "Topology is closed") unless it is told to connect; one that was
  // up mends itself.
  const connect = untilDone(() => db.client.connect());

  const run = async <T>(doing: string, work: () => Promise<T>): Promise<T> => {
    try {
      await connect();
      return await work();
    } catch (error) {
      throw mongoError(`${doing} ${where}`, error);
    }
  };

  const ready = untilDone(async () => {
    const [found] = await db.listCollections({ name: collection }).toArray();
    if (found?.type !== undefined && found.type !== "collection") {
      throw new MillraceError(
        "invalid-settings",
        `Cannot use MONGO_COLLECTION "${collection}": it is a ${found.type}, expected a plain collection (a ${found.type} may hold a reading twice): name a new one`,
      );
    }
    // One a command: a server of this protocol (FerretDB 1.24) fails over two of which one is there.
    for (const key of [READINGS_INDEX, METRIC_INDEX]) await metrics.createIndex(key);
    for (const key of [
      { uuid: 1, companyId: 1 },
      { companyId: 1, uuid: 1 },
    ] as const)
      await gpus.createIndex(key);
    for (const key of [{ companyId: 1, uuid: 1, hour: 1 }, { hour: 1 }] as const)
      await hours.createIndex(key);
    for (const key of [{ companyId: 1, uuid: 1, metric: 1, hour: 1 }, { hour: 1 }] as const)
      await counts.createIndex(key);
  });

  /** Says that the hours of these are written to, unless that was said lately. Resolves with the GPUs of those of which it was said. */
  const sayHours = async (documents: readonly ReadingDocument[]): Promise<ReadonlySet<string>> => {
    const due = new Map<string, ReadingDocument>();
    for (const document of documents) {
      const id = hourId(document);
      if (saidHours.get(id) === undefined) due.set(id, document);
    }
    const at = saidHours.now();
    const updates = [...due].map(([_id, { companyId, uuid, hour }]) => ({
      filter: { _id },
      update: {
        $currentDate: { written: true as const, touched: true as const },
        $setOnInsert: { companyId, uuid, hour },
      },
      upsert: true,
    }));
    await updateAll(hours, updates, updating);
    for (const id of due.keys()) saidHours.set(id, true, at);
    return new Set([...due.values()].map(gpuId));
  };

  /** @param written GPUs of which hours were said: who forgets tells by the GPU whether what it knows of its hours still holds. */
  const sayGpus = async (seen: readonly Sighting[], written: ReadonlySet<string>) => {
    const news = seen.filter(
      (sighting) => written.has(sighting.id) || isNews(sighting, saidGpus.get(sighting.id)),
    );
    const at = saidGpus.now();
    await updateAll(gpus, news.flatMap(gpuUpdates), updating);
    for (const one of news) saidGpus.set(one.id, joined(one, saidGpus.get(one.id)), at);
  };

  const insert = async (documents: readonly ReadingDocument[]): Promise<number> => {
    await sayHours(documents);
    try {
      return (await metrics.insertMany([...documents], { ordered: false, ...WITHIN })).insertedCount;
    } catch (error) {
      if (isDuplicate(error)) return error.result?.insertedCount ?? 0;
      throw error;
    }
  };

  /** No writer that said anything before this time is still at it. */
  const settledTime = async (): Promise<number> => {
    const { localTime } = await db.command({ hello: 1 });
    return (localTime as Date).getTime() - settleMs;
  };

  /** Readings of the filter in each of the hours. */
  const countByHour = async (filter: Filter<ReadingDocument>, among: readonly Date[]) => {
    if (among.length === 0) return new Map<number, number>();
    const groups = metrics.aggregate<{ _id: Date; n: number }>(
      [{ $match: { ...filter, hour: { $in: among } } }, { $group: { _id: "$hour", n: { $sum: 1 } } }],
      WITHIN,
    );
    return new Map((await groups.toArray()).map(({ _id, n }) => [_id.getTime(), n]));
  };

  let keeping: Promise<void> | undefined;
  /**
   * Counts are kept so that they need not be made again, which who may only read does. Nobody waits for it, so it is done for one at a time: writers
   * stand in the same line.
   */
  const keepCounts = (kept: readonly CountDocument[]) => {
    if (keeping !== undefined || kept.length === 0) return;
    const updates = kept.map(({ _id, ...rest }) => ({
      filter: { _id },
      update: { $set: rest },
      upsert: true,
    }));
    keeping = updateAll(counts, updates, updating)
      .catch(() => {})
      .finally(() => {
        keeping = undefined;
      });
  };

  /** Of the GPUs that by what was said of them were last seen just before this time, those that were: what was seen since may have been held back. */
  const silentSince = async (fromMs: number, filter: Filter<GpuDocument>): Promise<string[]> => {
    const lastSeen = { $gte: new Date(fromMs - LAG_MS), $lt: new Date(fromMs) };
    const projection = { companyId: 1, uuid: 1 };
    const near = await gpus.find({ ...filter, lastSeen }, { projection, ...MANY }).toArray();
    const silent = new Set(near.map(({ _id }) => _id));
    // What was held back is of no later than this, so few readings are looked at.
    const untilMs = fromMs + LAG_MS;
    for (let at = 0; at < near.length; at += MANY.batchSize) {
      const some = near.slice(at, at + MANY.batchSize);
      const since = {
        companyId: { $in: [...new Set(some.map(({ companyId }) => companyId))] },
        uuid: { $in: some.map(({ uuid }) => uuid) },
        ...between("hour", hourOf(fromMs), untilMs),
        ...between("time", fromMs, untilMs),
      };
      const _id = { companyId: "$companyId", uuid: "$uuid" };
      const seen = metrics.aggregate<{ readonly _id: Pick<GpuDocument, "companyId" | "uuid"> }>(
        [{ $match: since }, { $group: { _id } }],
        MANY,
      );
      for (const gpu of await seen.toArray()) silent.delete(gpuId(gpu._id));
    }
    return [...silent];
  };

  return {
    write: (readings) =>
      run("write readings to", async () => {
        if (readings.length === 0) return { stored: 0 };
        await ready();
        const documents = readings.map(readingDocument);
        await sayGpus(sightingsOf(readings), await sayHours(documents));
        const batches = Array.from({ length: Math.ceil(documents.length / INSERT_READINGS) }, (_, n) =>
          documents.slice(n * INSERT_READINGS, (n + 1) * INSERT_READINGS),
        );
        const outcomes = await Promise.allSettled(batches.map((batch) => inserting(() => insert(batch))));
        // Again, if it took long: nobody may keep a count from before this was all there.
        await sayHours(documents);
        let stored = 0;
        for (const outcome of outcomes) {
          if (outcome.status === "rejected") throw outcome.reason;
          stored += outcome.value;
        }
        return { stored };
      }),

    gpus: ({ companies, fromMs, untilMs, order, offset, limit }) =>
      run("read GPUs from", async () => {
        const begun: Filter<GpuDocument> = {
          ...ofCompanies(companies),
          ...(untilMs === undefined ? {} : { firstSeen: { $lte: new Date(untilMs) } }),
        };
        const filter: Filter<GpuDocument> =
          fromMs === undefined
            ? begun
            : {
                ...{ ...begun, lastSeen: { $gte: new Date(fromMs - LAG_MS) } },
                _id: { $nin: await silentSince(fromMs, begun) },
              };
        const sort = sorted(order, ["uuid", "companyId"]);
        const page = { sort, skip: offset, limit, batchSize: limit + 1, ...WITHIN };
        const [total, items] = await Promise.all([
          gpus.countDocuments(filter, WITHIN),
          gpus.find(filter, page).toArray(),
        ]);
        return { total, items: items.map(gpuOf) };
      }),

    owners: (uuid, companies) =>
      run("read GPUs from", async () => {
        const found = gpus.find({ uuid, ...ofCompanies(companies) }, { sort: { companyId: 1 }, ...WITHIN });
        return (await found.toArray()).map(({ companyId }) => companyId);
      }),

    readings: ({ companyId, uuid, metric, fromMs, untilMs, order, offset, limit }) =>
      run("read readings from", async () => {
        const gpu = { companyId, uuid };
        const times = between("time", fromMs, untilMs);
        const filter = { ...gpu, ...(metric === undefined ? {} : { metric_name: metric }), ...times };
        const ofHours = { ...gpu, ...between("hour", fromMs && hourOf(fromMs), untilMs) };
        const [settledMs, known, kept] = await Promise.all([
          settledTime(),
          hours
            .find(ofHours, { projection: { _id: 0, hour: 1, touched: 1 }, sort: { hour: 1 }, ...MANY })
            .toArray(),
          counts
            .find(
              { ...ofHours, metric: metric ?? "" },
              { projection: { _id: 0, hour: 1, n: 1, of: 1 }, ...MANY },
            )
            .toArray(),
        ]);
        const found = hourCounts({
          gpu,
          hours: known,
          kept,
          metric: metric ?? "",
          fromMs,
          untilMs,
          settledMs,
        });
        const counted = await countByHour(filter, found.unknown);
        const { all, keep } = found.complete(counted);
        const plan = planPage(all, { order, offset, limit });
        const page = async () => {
          if (plan.hours === undefined) return [];
          // As an index sorts, so that nothing is sorted.
          const sort = sorted(
            order,
            metric === undefined ? ["hour", "time", "metric_name"] : ["hour", "time"],
          );
          const options = { sort, skip: plan.skip, limit, batchSize: limit + 1, ...WITHIN };
          return metrics.find({ ...filter, ...between("hour", ...plan.hours) }, options).toArray();
        };
        const items = await page();
        keepCounts(keep);
        return { total: plan.total, items: items.map(readingOf) };
      }),

    expire: (beforeMs) => run("expire readings of", async () => expire(beforeMs, await settledTime())),

    ping: () =>
      run("reach", async () => {
        await db.command({ ping: 1 });
      }),

    async [Symbol.asyncDispose]() {
      await keeping;
    },
  };
}

function gpuOf({ companyId, uuid, firstSeen, lastSeen, ...labels }: GpuDocument): Gpu {
  const times = { firstSeenMs: firstSeen.getTime(), lastSeenMs: lastSeen.getTime() };
  return { companyId, uuid, ...gpuLabels(labels), ...times };
}
