/** What one company's log counts: read when asked for and its tail has said that something changed. It lives from the first holder to the last. */
import type { Cursor } from "../core/cursor.ts";
import type { CompanyId } from "../core/ids.ts";
import type { LogEntry } from "../core/log-entry.ts";
import type { EventLog, Tallies } from "../ports/event-log.ts";

/** Tallies, and how to tell the store's time from ours. */
export interface Count {
  readonly tallies: Tallies;
  /** Milliseconds the store's clock is ahead of `Date.now()`. */
  readonly aheadMs: number;
}

/** Told what was appended; undefined: what was held of this company is of a log that is gone, or misses something. */
export type OnEntries = (entries: readonly LogEntry[] | undefined) => void;

export interface CompanyCounter {
  readonly company: CompanyId;
  /** Undefined until the first read. */
  readonly count: Count | undefined;
  /** Something was appended since the last read, or it is being read. */
  readonly isStale: boolean;
  readonly listeners: Set<OnEntries>;
  /** Reads, when stale or forced and the last read is not too young. True: the count was read anew. @throws MillraceError `unavailable`. */
  refresh(force?: boolean): Promise<boolean>;
  /** The next refresh reads. */
  expire(): void;
  stop(): void;
}

export interface CompanyCounterOptions {
  readonly log: Pick<EventLog, "tallies" | "tail">;
  readonly company: CompanyId;
  /** Milliseconds between two reads, at least. */
  readonly readEveryMs: number;
}

export function createCompanyCounter(options: CompanyCounterOptions): CompanyCounter {
  const { log, company, readEveryMs } = options;
  const listeners = new Set<OnEntries>();
  const stop = new AbortController();
  let count: Count | undefined;
  let isStale = true;
  let readAtMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<boolean> | undefined;

  const read = async (): Promise<boolean> => {
    // Before, not after: what is appended while it is read makes it stale again.
    isStale = false;
    readAtMs = performance.now();
    try {
      const tallies = await log.tallies(company);
      // What is appended from here on is heard of.
      if (count === undefined && !stop.signal.aborted) void follow(tallies.at);
      count = { tallies, aheadMs: tallies.nowMs - Date.now() };
      return true;
    } catch (error) {
      isStale = true;
      throw error;
    }
  };

  const refresh = async (force = false): Promise<boolean> => {
    if (reading !== undefined) return reading;
    const isDue = count === undefined || performance.now() - readAtMs >= readEveryMs;
    if (!isDue || (!isStale && !force)) return false;
    reading = read().finally(() => {
      reading = undefined;
    });
    return reading;
  };

  const follow = async (after: Cursor) => {
    for await (const result of log.tail(company, after, stop.signal)) {
      isStale = true;
      for (const listener of listeners) listener(result.kind === "events" ? result.entries : undefined);
    }
  };

  return {
    company,
    get count() {
      return count;
    },
    get isStale() {
      return isStale || reading !== undefined;
    },
    listeners,
    refresh,
    expire() {
      isStale = true;
    },
    stop: () => stop.abort(),
  };
}
