/** Calls of MongoDB's driver that more than one part of the telemetry store makes. */
import type { AnyBulkWriteOperation, Collection, Document } from "mongodb";
import { isDuplicate } from "./mongodb-errors.ts";
import type { Slots } from "./slots.ts";

/** The server gives a command up after this many milliseconds: well under what a reader waits for a writer. */
export const WITHIN = { maxTimeMS: 20_000 } as const;
/** A month of hours in one answer. */
export const MANY = { batchSize: 1_000, ...WITHIN } as const;
/** Tries of updates that insert where there is nothing, as two processes may at the same time. */
const UPSERT_TRIES = 5;
/** FerretDB 1.24 hangs for good once the updates of all commands in flight are 100. */
const UPDATES_A_COMMAND = 20;
/** Items worked on at the same time. */
const AT_ONCE = 8;

/** One update of a bulk write. */
export interface Update {
  readonly filter: object;
  readonly update: object;
  readonly upsert?: boolean;
}

/**
 * Makes these updates in order, again where another process has inserted first: each must be one that may be repeated.
 * @param slots Of all updates of this process.
 */
export async function updateAll<T extends Document>(
  collection: Collection<T>,
  updates: readonly Update[],
  slots: Slots,
): Promise<void> {
  for (let at = 0; at < updates.length; at += UPDATES_A_COMMAND) {
    const piece = updates.slice(at, at + UPDATES_A_COMMAND);
    const operations = piece.map((updateOne) => ({ updateOne })) as AnyBulkWriteOperation<T>[];
    for (let tried = 1; ; tried++) {
      try {
        await slots(() => collection.bulkWrite(operations, WITHIN));
        break;
      } catch (error) {
        if (!isDuplicate(error) || tried === UPSERT_TRIES) throw error;
      }
    }
  }
}

/** Some at the same time, until there are no more. */
export async function each<T>(
  cursor: AsyncIterable<T> | Iterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  let pending: Promise<void>[] = [];
  for await (const item of cursor) {
    pending.push(work(item));
    if (pending.length < AT_ONCE) continue;
    await Promise.all(pending);
    pending = [];
  }
  await Promise.all(pending);
}
