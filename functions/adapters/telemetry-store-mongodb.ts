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
import { MANY, WITHIN } from "../core/mongodb-calls.ts";
import { createMongoCounts } from "../core/mongodb-counts.ts";
import { mongoError } from "../core/mongodb-errors.ts";
import { createMongoExpire } from "../core/mongodb-expire.ts";
import { createMongoSilent } from "../core/mongodb-silent.ts";
import { createMongoWrite } from "../core/mongodb-write.ts";
import { untilDone } from "../core/shared.ts";
import { createSlots } from "../core/slots.ts";
import { hourCounts } from "../core/telemetry-counts.ts";
import {
  between,
  type CountDocument,
  type GpuDocument,
  gpuLabels,
  type HourDocument,
  LAG_MS,
  METRIC_INDEX,
  ofCompanies,
  READINGS_INDEX,
  type ReadingDocument,
  readingOf,
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
  const updating = createSlots(MAX_UPDATING);
  const write = createMongoWrite({ metrics, gpus, hours, settleMs, updating });
  const silentSince = createMongoSilent({ metrics, gpus });
  const { countByHour, keepCounts, idle } = createMongoCounts({ metrics, counts, updating });
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

  /** No writer that said anything before this time is still at it. */
  const settledTime = async (): Promise<number> => {
    const { localTime } = await db.command({ hello: 1 });
    return (localTime as Date).getTime() - settleMs;
  };

  return {
    write: (readings) =>
      run("write readings to", async () => {
        if (readings.length === 0) return { stored: 0 };
        await ready();
        return { stored: await write(readings) };
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

    [Symbol.asyncDispose]: idle,
  };
}

function gpuOf({ companyId, uuid, firstSeen, lastSeen, ...labels }: GpuDocument): Gpu {
  const times = { firstSeenMs: firstSeen.getTime(), lastSeenMs: lastSeen.getTime() };
  return { companyId, uuid, ...gpuLabels(labels), ...times };
}
