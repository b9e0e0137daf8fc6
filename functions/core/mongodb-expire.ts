/**
 * What the telemetry store on MongoDB forgets. Any number of processes may do it while others write: an hour is forgotten by what was found in it before it
 * was seen that nobody writes there, and its document goes last, so that a call that was cut short is made good by the next.
 */
import type { Collection, Filter, UpdateFilter } from "mongodb";
import type { CompanyId } from "./ids.ts";
import { each, WITHIN } from "./mongodb-calls.ts";
import {
  type CountDocument,
  type GpuDocument,
  gpuId,
  gpuLabels,
  type HourDocument,
  type ReadingDocument,
} from "./telemetry-documents.ts";
import { HOUR_MS, hourOf } from "./telemetry-page.ts";

/** Readings of one command. */
const DELETE_READINGS = 1_000;
const ONLY_ID = { projection: { _id: 1 }, ...WITHIN } as const;

export interface MongoExpireOptions {
  readonly metrics: Collection<ReadingDocument>;
  readonly gpus: Collection<GpuDocument>;
  readonly hours: Collection<HourDocument>;
  readonly counts: Collection<CountDocument>;
  /** Milliseconds after which who said that it writes has done so. */
  readonly settleMs: number;
}

/** `settledMs`: no writer that said anything before this time is still at it. */
export function createMongoExpire({ metrics, gpus, hours, counts, settleMs }: MongoExpireOptions) {
  return async (beforeMs: number, settledMs: number): Promise<void> => {
    const old = new Date(hourOf(beforeMs));
    // Who said so before this has written before that.
    const since = new Date(beforeMs - settleMs);
    const settled = { $lt: new Date(settledMs) };
    const isDue = { hour: { $lt: old }, written: { $lt: since } };
    const due = new Map<string, { companyId: CompanyId; uuid: string }>();

    const expireHour = async ({ _id, companyId, uuid, hour }: HourDocument) => {
      due.set(gpuId({ companyId, uuid }), { companyId, uuid });
      for (;;) {
        const found = metrics.find({ companyId, uuid, hour }, { limit: DELETE_READINGS, ...ONLY_ID });
        const ids = (await found.toArray()).map((reading) => reading._id);
        if (ids.length === 0) return;
        // Counts of it are good no more.
        const said = await hours.updateOne({ _id, ...isDue }, { $currentDate: { touched: true } }, WITHIN);
        if (said.matchedCount === 0) return;
        await metrics.deleteMany({ _id: { $in: ids } }, WITHIN);
      }
    };

    /** What a GPU says of itself, by what is kept of it. Not while somebody says something of it: the next call will. */
    const mendGpu = async (_id: string, gpu: { companyId: CompanyId; uuid: string }) => {
      const is = await gpus.findOne({ _id }, WITHIN);
      const kept: Filter<HourDocument> = {
        ...gpu,
        $or: [{ hour: { $gte: old } }, { written: { $gte: since } }],
      };
      const first = await hours.findOne(kept, { sort: { hour: 1 }, ...WITHIN });
      const last = await hours.findOne(kept, { sort: { hour: -1 }, ...WITHIN });
      if (is === null || first === null || last === null) return true;
      const change: { -readonly [Key in keyof GpuDocument]?: GpuDocument[Key] } = {};
      if (is.firstSeen < first.hour) change.firstSeen = first.hour;
      if (is.lastSeen.getTime() >= last.hour.getTime() + HOUR_MS) {
        const newest = await metrics.findOne({ ...gpu, hour: last.hour }, { sort: { time: -1 }, ...WITHIN });
        if (newest === null) return false;
        Object.assign(change, { ...gpuLabels(newest.labels), labelsOf: newest.time, lastSeen: newest.time });
      }
      if (Object.keys(change).length === 0) return true;
      const update: UpdateFilter<GpuDocument> = { $set: change };
      return (await gpus.updateOne({ _id, touched: is.touched }, update, WITHIN)).matchedCount === 1;
    };

    await each(hours.find(isDue, WITHIN), expireHour);
    // Those of an hour that is kept are as young as it is.
    await counts.deleteMany({ hour: { $lt: old }, of: { $lt: since } }, WITHIN);
    await each(due, async ([_id, gpu]) => {
      // What had readings in this call is not settled.
      if (await mendGpu(_id, gpu)) await hours.deleteMany({ ...gpu, ...isDue, touched: settled }, WITHIN);
    });
    await each(
      gpus.find({ lastSeen: { $lt: old }, touched: settled }, WITHIN),
      async ({ _id, companyId, uuid, touched }) => {
        if ((await hours.findOne({ companyId, uuid }, ONLY_ID)) === null)
          await gpus.deleteOne({ _id, touched }, WITHIN);
      },
    );
  };
}
