/** A view: the numbers of one scope and the snapshots made of them, encoded once for all who look. */

import type { EventType } from "../core/ids.ts";
import { shared } from "../core/shared.ts";
import { type TextMessage, textMessage } from "../core/text-message.ts";
import type { Scope, SnapshotKind } from "../ports/counters.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { CompanyCounter, Count, OnEntries } from "./company.ts";
import { eachOf, type Members } from "./members.ts";
import { addUp } from "./numbers.ts";
import { createRecents } from "./recents.ts";
import { countersJson, dashboardJson, FEED_TYPES, feedJson, RECENT_PAYLOADS } from "./snapshots.ts";

/** Looks back through logs for payloads under way at once. */
const LOOK_BACKS_AT_ONCE = 4;

export interface View {
  readonly scope: Scope;
  /** Brings what a snapshot of the kind is made of up to date. `force`: see Members. @throws MillraceError `unavailable`. */
  refresh(kinds: ReadonlySet<SnapshotKind>, force?: boolean): Promise<void>;
  /** As of the last refresh. The same object while the snapshot is the same. */
  snapshot(kind: SnapshotKind): TextMessage;
  close(): void;
}

export interface ViewOptions {
  readonly scope: Scope;
  readonly members: Members;
  readonly log: Pick<EventLog, "latest">;
  /** IANA name; as the log's. */
  readonly timeZone: string;
}

/** What the last snapshot of a kind was made of. */
interface Made {
  readonly counts: readonly Count[];
  /** Number of the minute, or second: what moves by itself moves with it. */
  readonly period: number;
  readonly version: number;
  readonly body: string;
  readonly message: TextMessage;
}

export function createView({ scope, members, log, timeZone }: ViewOptions): View {
  const types = Object.values(FEED_TYPES);
  const recents = createRecents(types, RECENT_PAYLOADS);
  /** Counters whose payloads are here, or on their way; undefined: they miss something. */
  const listened = new Map<CompanyCounter, { readonly onEntries: OnEntries; isLoaded: boolean }>();
  let isClosed = false;

  const listenTo = (counter: CompanyCounter) => {
    let known = listened.get(counter);
    if (known !== undefined) return known;
    const onEntries: OnEntries = (entries) => {
      if (entries !== undefined) return recents.add(counter.company, entries);
      recents.forget(counter.company);
      listened.get(counter)!.isLoaded = false;
    };
    known = { onEntries, isLoaded: false };
    listened.set(counter, known);
    counter.listeners.add(onEntries);
    return known;
  };

  const stopListening = (counter: CompanyCounter) => {
    counter.listeners.delete(listened.get(counter)!.onEntries);
    listened.delete(counter);
  };

  /** The payloads from before the tail was listened to. */
  const loadRecents = shared(async () => {
    if (isClosed) return;
    const now = new Set(members.all());
    for (const counter of listened.keys()) {
      if (now.has(counter)) continue;
      stopListening(counter);
      recents.forget(counter.company);
    }
    const missing = [...now].filter((counter) => counter.count !== undefined && !listenTo(counter).isLoaded);
    await eachOf(missing, LOOK_BACKS_AT_ONCE, async (counter) => {
      const known = listenTo(counter);
      known.isLoaded = true;
      try {
        const total = counter.count!.tallies.total as Partial<Record<EventType, number>>;
        // What was never counted is not looked for, unless it may have come since.
        const sought = types.filter((type) => counter.isStale || total[type] !== undefined);
        if (sought.length === 0) return;
        recents.add(counter.company, await log.latest(counter.company, new Set(sought), RECENT_PAYLOADS));
      } catch (error) {
        known.isLoaded = false;
        throw error;
      }
    });
  });

  /** The counts there are, and what time it is by the store's clock. */
  const counted = () => {
    const counts = Array.from(members.all(), ({ count }) => count).filter((count) => count !== undefined);
    const newest = counts.reduce<Count | undefined>(
      (best, count) => (best !== undefined && best.tallies.nowMs >= count.tallies.nowMs ? best : count),
      undefined,
    );
    return { counts, nowMs: Date.now() + (newest?.aheadMs ?? 0) };
  };
  const numbersAt = ({ counts, nowMs }: ReturnType<typeof counted>) =>
    addUp(
      counts.map(({ tallies }) => ({ tallies, nowMs })),
      timeZone,
    );

  const made = new Map<SnapshotKind, Made>();

  const snapshot = (kind: SnapshotKind): TextMessage => {
    const now = counted();
    const isFeed = kind === "feed";
    const period = Math.floor(now.nowMs / (isFeed ? 1_000 : 60_000));
    const version = isFeed ? recents.version : 0;
    const last = made.get(kind);
    const isSame =
      last?.period === period &&
      last.version === version &&
      last.counts.length === now.counts.length &&
      last.counts.every((count, at) => count === now.counts[at]);
    if (last !== undefined && isSame) return last.message;
    const numbers = numbersAt(now);
    const body = isFeed ? feedJson(numbers, recents.of) : countersJson(numbers);
    const message =
      last?.body === body
        ? last.message
        : textMessage(isFeed ? body : dashboardJson({ scope, timeZone, nowMs: now.nowMs }, body));
    made.set(kind, { counts: now.counts, period, version, body, message });
    return message;
  };

  return {
    scope,
    async refresh(kinds, force = false) {
      await members.refresh(force);
      if (kinds.has("feed")) await loadRecents();
    },
    snapshot,
    close() {
      isClosed = true;
      for (const counter of [...listened.keys()]) stopListening(counter);
      members.release();
    },
  };
}
