/** The company counters a view is made of: one, or one for every company there is. */
import type { CompanyId } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import { shared } from "../core/shared.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { Companies } from "./companies.ts";
import type { CompanyCounter } from "./company.ts";

/**
 * Bounds of the view over all companies, on one instance: companies counted (each costs a subscription and some KiB; with more, the
 * view says so in the log and leaves the rest out), reads of those that changed in one refresh, and reads under way at once. A read is
 * some 50 us of Redis, so that all of it takes at most a fortieth of it.
 */
const MAX_COMPANIES = 5_000;
const READS_PER_SECOND = 500;
const READS_AT_ONCE = 16;

export interface Members {
  all(): Iterable<CompanyCounter>;
  /** Reads what changed; `force`: also what is not known to have changed, where that is one read. @throws MillraceError `unavailable`. */
  refresh(force: boolean): Promise<void>;
  /** Lets go of them. */
  release(): void;
}

export function oneCompany(company: CompanyId, companies: Companies): Members {
  const counter = companies.acquire(company);
  return {
    all: () => [counter],
    async refresh(force) {
      await counter.refresh(force);
    },
    release: () => companies.release(counter),
  };
}

/** `lookEveryMs`: between two looks for new companies. */
export function allCompanies(
  companies: Companies,
  options: { log: Pick<EventLog, "companies">; logger: Logger; lookEveryMs: number },
): Members {
  const { log, logger, lookEveryMs } = options;
  const members = new Map<CompanyId, CompanyCounter>();
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  let isTooMany = false;
  let isReleased = false;

  const look = async () => {
    if (performance.now() - lookedAtMs < lookEveryMs) return;
    const names = await log.companies();
    if (isReleased) return;
    lookedAtMs = performance.now();
    if (names.length > MAX_COMPANIES && !isTooMany) {
      logger.warn({ companies: names.length, counted: MAX_COMPANIES }, "Cannot count all companies together");
    }
    isTooMany = names.length > MAX_COMPANIES;
    const wanted = new Set(isTooMany ? [...names].sort().slice(0, MAX_COMPANIES) : names);
    for (const [company, counter] of members) {
      if (wanted.has(company)) continue;
      members.delete(company);
      companies.release(counter);
    }
    for (const company of wanted) {
      if (!members.has(company)) members.set(company, companies.acquire(company));
    }
  };

  return {
    all: () => members.values(),
    refresh: shared(async () => {
      await look();
      const stale: CompanyCounter[] = [];
      let reads = 0;
      for (const counter of [...members.values()]) {
        if (!counter.isStale) continue;
        if (counter.count !== undefined && ++reads > READS_PER_SECOND) continue;
        stale.push(counter);
        // To the back: when there are too many, the others come first next time.
        if (members.delete(counter.company)) members.set(counter.company, counter);
      }
      await eachOf(stale, READS_AT_ONCE, (counter) => counter.refresh());
    }),
    release() {
      isReleased = true;
      for (const counter of members.values()) companies.release(counter);
      members.clear();
    },
  };
}

/** Runs `body` on every item, at most `atOnce` at a time. */
export async function eachOf<T>(
  items: readonly T[],
  atOnce: number,
  body: (item: T) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await body(items[next++]!);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker));
}
