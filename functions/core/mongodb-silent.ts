/** Which GPUs of the telemetry store on MongoDB have fallen silent, although what was said of them leaves it open. */
import type { Collection, Filter } from "mongodb";
import { MANY } from "./mongodb-calls.ts";
import { between, type GpuDocument, gpuId, LAG_MS, type ReadingDocument } from "./telemetry-documents.ts";
import { hourOf } from "./telemetry-page.ts";

export interface MongoSilentOptions {
  readonly metrics: Collection<ReadingDocument>;
  readonly gpus: Collection<GpuDocument>;
}

export function createMongoSilent({ metrics, gpus }: MongoSilentOptions) {
  /** Of the GPUs that by what was said of them were last seen just before this time, those that were: what was seen since may have been held back. */
  return async (fromMs: number, filter: Filter<GpuDocument>): Promise<string[]> => {
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
}
