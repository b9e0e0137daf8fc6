/** How many readings the hours of the telemetry store on MongoDB have: counted, and kept so that they need not be counted again. */
import type { Collection, Filter } from "mongodb";
import { updateAll, WITHIN } from "./mongodb-calls.ts";
import type { Slots } from "./slots.ts";
import type { CountDocument, ReadingDocument } from "./telemetry-documents.ts";

export interface MongoCountsOptions {
  readonly metrics: Collection<ReadingDocument>;
  readonly counts: Collection<CountDocument>;
  /** Every command that updates waits for a place here. */
  readonly updating: Slots;
}

export function createMongoCounts({ metrics, counts, updating }: MongoCountsOptions) {
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

  return {
    countByHour,
    keepCounts,
    /** Resolves when nothing is being kept. */
    async idle() {
      await keeping;
    },
  };
}
