/** The store in `/metrics`: what is kept, what waits for somebody to look at it, and how long unread events are safe. */
import type { Registry } from "prom-client";
import { cursorParts, GENESIS, positionParts } from "../../core/cursor.ts";
import type { CompanyId } from "../../core/ids.ts";
import { MAX_LOG_EVENTS } from "../../core/limits.ts";
import type { DeadLetters } from "../../ports/dead-letters.ts";
import type { EventLog, LogStats } from "../../ports/event-log.ts";
import type { HubBacklog } from "../../ports/hub.ts";
import { within } from "../../routes/within.ts";
import { metricParts } from "./metric-parts.ts";
import type { StoreCalls } from "./store-calls.ts";

export interface StoreParts {
  /** Its size is asked for once a scrape. */
  readonly log?: Pick<EventLog, "stats" | "read">;
  /** Milliseconds the log keeps events. */
  readonly retentionMs?: number;
  /** Counted once a scrape. */
  readonly deadLetters?: Pick<DeadLetters, "count">;
  readonly calls?: Readonly<StoreCalls>;
}

/** Milliseconds the store may take, all its answers together: Prometheus itself gives up after 10 s by default. */
const ANSWER_MS = 2_000;
/** Milliseconds an event may be unread before the log is asked what else it keeps of that company: turns and replays are shorter. */
const LATE_MS = 1_000;
/** Companies of which it is asked, those that are the furthest behind: one page of one event each. */
const ASKED_COMPANIES = 20;

/** Returns what asks the store; it never throws. `backlog`: of the streams of this process, where it serves any. */
export function addStoreMetrics(
  registry: Registry,
  { log, retentionMs, deadLetters, calls }: StoreParts,
): (backlog: HubBacklog | undefined) => Promise<void> {
  const { gauge, counter, histogram } = metricParts(registry);
  let kept: LogStats | undefined;
  let letters: number | undefined;
  let unread: Unread | undefined;

  if (calls) {
    counter(
      "millrace_store_failures_total",
      "Calls of the store of the log that failed: no answer in time, no connection, or an error",
      () => calls.failures,
    );
    histogram("millrace_store_call_seconds", "Time of a call of the store of the log", calls.seconds);
  }
  if (deadLetters) {
    gauge(
      "millrace_dead_letters",
      "Messages no event could be made of that wait for somebody (embedded: counted up to 10,000)",
      () => letters,
    );
  }
  if (retentionMs !== undefined) {
    gauge("millrace_retention_seconds", "How long the log keeps events", () => retentionMs / 1000);
  }
  if (log) {
    // A scrape that failed would hide the rest; an old number would be a wrong one.
    gauge("millrace_log_up", "1 when the event log answers", () => Number(kept !== undefined));
    gauge("millrace_log_events", "Events kept", () => kept?.totalEvents);
    gauge("millrace_log_companies", "Companies with events kept", () => kept?.companies);
    gauge(
      "millrace_log_fullest_ratio",
      "Events kept of the company that has the most, of those it may have: at 1 the oldest go before their time",
      () => kept && Math.max(0, ...Object.values(kept.eventsByCompany)) / MAX_LOG_EVENTS,
    );
  }
  if (log && retentionMs !== undefined) {
    gauge(
      "millrace_unread_seconds",
      "Age, at most, of the oldest event that an open stream has still to be given; 0 when there is none",
      () => unread?.ageSeconds,
    );
    gauge(
      "millrace_retention_headroom_seconds",
      "Time, at least, until an event is trimmed that an open stream has still to be given; the retention when there is none",
      () => unread?.headroomSeconds,
    );
  }

  return async (backlog) => {
    const inTime = async <T>(what: string, answer: Promise<T> | undefined): Promise<T | undefined> => {
      try {
        return answer && (await within(ANSWER_MS, what, answer));
      } catch {
        return undefined;
      }
    };
    [kept, letters] = await Promise.all([
      inTime("count the events kept", log?.stats()),
      inTime("count the dead letters", deadLetters?.count()),
    ]);
    if (log === undefined || retentionMs === undefined || backlog === undefined) return;
    const late = latest(backlog.oldestUnreadMs, Date.now() - LATE_MS);
    const asked = kept && inTime("ask for the oldest events", oldestOf(log, late));
    unread = measure(backlog.oldestUnreadMs, { nowMs: Date.now(), retentionMs, kept, oldest: await asked });
  };
}

interface Unread {
  readonly ageSeconds: number;
  readonly headroomSeconds: number;
}

/** The companies whose oldest unread event is older than `beforeMs`, the furthest behind first. */
function latest(unreadMs: HubBacklog["oldestUnreadMs"], beforeMs: number): CompanyId[] {
  return Array.from(unreadMs)
    .filter(([, sinceMs]) => sinceMs < beforeMs)
    .sort(([, one], [, other]) => one - other)
    .slice(0, ASKED_COMPANIES)
    .map(([company]) => company);
}

/** When the oldest event kept of each was appended, milliseconds since 1970. */
async function oldestOf(log: Pick<EventLog, "read">, companies: readonly CompanyId[]) {
  const found = companies.map(async (company) => {
    const page = await log.read(company, GENESIS, 1);
    const oldest = page.kind === "events" ? page.entries[0]?.cursor : page.oldest;
    return [company, oldest && positionParts(cursorParts(oldest).position)[0]] as const;
  });
  return new Map(await Promise.all(found));
}

/** Of MAX_LOG_EVENTS: with fewer kept, the pace at which they came says little about when there will be too many. */
const TELLING_SHARE = 0.1;

/**
 * A log forgets by age, and by number where a company has more than MAX_LOG_EVENTS: one that gets full within `spanMs`, at the pace of what
 * it keeps now, keeps an event no longer than that.
 */
function measure(
  unreadMs: HubBacklog["oldestUnreadMs"],
  known: {
    readonly nowMs: number;
    readonly retentionMs: number;
    readonly kept: LogStats | undefined;
    readonly oldest: ReadonlyMap<CompanyId, number | undefined> | undefined;
  },
): Unread {
  const { nowMs, retentionMs, kept, oldest } = known;
  let ageMs = 0;
  let headroomMs = retentionMs;
  for (const [company, sinceMs] of unreadMs) {
    const oldestMs = oldest?.get(company);
    // What is gone cannot be lost any more: its client will be told of the gap.
    const ownMs = Math.max(0, nowMs - Math.max(sinceMs, oldestMs ?? nowMs - retentionMs));
    const events = kept?.eventsByCompany[company] ?? 0;
    const spanMs =
      oldestMs === undefined || events < TELLING_SHARE * MAX_LOG_EVENTS
        ? retentionMs
        : (MAX_LOG_EVENTS / events) * Math.max(1, nowMs - oldestMs);
    ageMs = Math.max(ageMs, ownMs);
    headroomMs = Math.min(headroomMs, Math.max(0, Math.min(retentionMs, spanMs) - ownMs));
  }
  return { ageSeconds: ageMs / 1000, headroomSeconds: headroomMs / 1000 };
}
