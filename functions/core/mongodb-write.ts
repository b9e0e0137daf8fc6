/** How readings are written to MongoDB: first who has them and in which hours is said, then they are inserted, then it is said again where it took long. */
import type { Collection } from "mongodb";
import { updateAll, WITHIN } from "./mongodb-calls.ts";
import { isDuplicate } from "./mongodb-errors.ts";
import type { Reading } from "./reading.ts";
import { createRecent } from "./recent.ts";
import { createSlots, type Slots } from "./slots.ts";
import {
  type GpuDocument,
  gpuId,
  gpuUpdates,
  type HourDocument,
  hourId,
  isNews,
  joined,
  type ReadingDocument,
  readingDocument,
  type Sighting,
  sightingsOf,
} from "./telemetry-documents.ts";

/** Readings of one command: some ten milliseconds of the server. The driver splits larger ones by bytes. */
const INSERT_READINGS = 1_000;
/** Commands that insert at the same time: what a process may take of the server, and of its own memory. */
const MAX_INSERTING = 4;

export interface MongoWriteOptions {
  readonly metrics: Collection<ReadingDocument>;
  readonly gpus: Collection<GpuDocument>;
  readonly hours: Collection<HourDocument>;
  /** As of the store. */
  readonly settleMs: number;
  /** Every command that updates waits for a place here. */
  readonly updating: Slots;
}

/** Resolves with how many were new. The collections are ready. */
export function createMongoWrite({
  metrics,
  gpus,
  hours,
  settleMs,
  updating,
}: MongoWriteOptions): (readings: readonly Reading[]) => Promise<number> {
  const saidHours = createRecent<true>(settleMs / 6);
  const saidGpus = createRecent<Sighting>(settleMs / 6);
  const inserting = createSlots(MAX_INSERTING);

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

  return async (readings) => {
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
    return stored;
  };
}
