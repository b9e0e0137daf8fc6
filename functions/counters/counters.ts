/** Counters on one instance's memory: a view a scope, watchers on it, and one timer while there are any. */
import { spread } from "../core/backoff.ts";
import { describeError, MillraceError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Counters, Scope, SnapshotKind } from "../ports/counters.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { EndReason } from "../ports/hub.ts";
import { createCompanies } from "./companies.ts";
import { allCompanies, oneCompany } from "./members.ts";
import { createView, type View } from "./view.ts";
import { createWatcher, type Watcher } from "./watcher.ts";

export interface CountersOptions {
  readonly log: Pick<EventLog, "tallies" | "tail" | "latest" | "companies">;
  readonly logger: Logger;
  /** IANA name; says where a day begins, as the log's own. */
  readonly timeZone: string;
  /** Milliseconds: the longest silence of a connection. */
  readonly heartbeatMs: number;
  /** Milliseconds after which a client that takes nothing is closed. */
  readonly idleTimeoutMs: number;
  /** Milliseconds after which a client is told to come back, spread by a tenth; 0: never. */
  readonly maxConnectionAgeMs: number;
  /** Watchers of one company; and as many over all companies. */
  readonly maxConnectionsPerCompany: number;
  /** Milliseconds between two snapshots. Default 1,000, as the protocol says. */
  readonly everyMs?: number;
  /** Milliseconds a view is kept after a poll, so that polling does not begin anew each time. Default 60,000. */
  readonly lingerMs?: number;
}

/** Views at once: a poll may name any company it is let to, and each keeps a tail for a minute. */
const MAX_VIEWS = 5_000;
/** Milliseconds by which the two clocks of this machine may part between two looks before the counts are read anew. */
const CLOCK_SET_MS = 1_000;

const FEED: ReadonlySet<SnapshotKind> = new Set(["feed"]);

interface Watched {
  readonly view: View;
  readonly watchers: Set<Watcher>;
  /** When it was last asked for by a poll, by `performance.now()`. */
  polledAtMs: number;
  /** Its snapshots are being made. */
  isBusy: boolean;
  hasFailed: boolean;
}

/** Disposing it ends every view at once, watched or not; sends nobody away. */
export function createCounters(options: CountersOptions): Counters & Disposable {
  const { log, logger, timeZone, everyMs = 1_000, lingerMs = 60_000 } = options;
  const tickMs = Math.min(everyMs, options.heartbeatMs / 4);
  const limits = { ...options, tickMs };
  // A tenth early, or a timer's jitter would skip a read.
  const companies = createCompanies({ log, readEveryMs: 0.9 * everyMs });
  const views = new Map<Scope, Watched>();
  let ticker: ReturnType<typeof setInterval> | undefined;
  let nextTurnMs = 0;
  let clocksApartMs = 0;
  let isDraining = false;
  let isDisposed = false;

  const tick = () => {
    const apartMs = Date.now() - performance.now();
    // It was set, or the machine slept: what was reckoned from the store's time no longer holds.
    if (Math.abs(apartMs - clocksApartMs) > CLOCK_SET_MS) companies.expire();
    clocksApartMs = apartMs;
    const nowMs = Date.now();
    for (const watched of views.values()) {
      for (const watcher of watched.watchers) {
        const reason = watcher.lookAfter(nowMs);
        if (reason !== undefined) sendAway(watched, watcher, reason);
      }
    }
    const steadyMs = performance.now();
    if (steadyMs < nextTurnMs) return;
    // Half a tick early, or a timer's jitter would skip one.
    nextTurnMs = steadyMs + everyMs - tickMs / 2;
    for (const watched of views.values()) {
      if (watched.watchers.size > 0) void turn(watched);
      else closeUnused(watched);
    }
  };

  const turn = async (watched: Watched) => {
    if (watched.isBusy) return;
    watched.isBusy = true;
    await serve(watched, watched.watchers);
    watched.isBusy = false;
  };

  /** Gives the watchers the snapshots of now. While the store is away they get none: an old number is a wrong one. */
  const serve = async (watched: Watched, watchers: Iterable<Watcher>, isGreeting = false) => {
    const { view } = watched;
    try {
      await view.refresh(kindsOf(watchers));
      watched.hasFailed = false;
    } catch (error) {
      const fields = { reason: describeError(error), company: view.scope };
      if (!watched.hasFailed) logger.warn(fields, "Cannot read counters, trying again every second");
      watched.hasFailed = true;
      return;
    }
    const nowMs = Date.now();
    for (const kind of kindsOf(watchers)) {
      const snapshot = view.snapshot(kind);
      for (const watcher of watchers) {
        // A turn may have been there first.
        if (watcher.kind === kind && !(isGreeting && watcher.isServed)) watcher.give(snapshot, nowMs);
      }
    }
  };

  const viewOf = (scope: Scope): Watched => {
    const known = views.get(scope);
    if (known !== undefined) return known;
    const members =
      scope === undefined
        ? allCompanies(companies, { log, logger, lookEveryMs: 2 * everyMs })
        : oneCompany(scope, companies);
    const watched: Watched = {
      view: createView({ scope, members, log, timeZone }),
      watchers: new Set(),
      polledAtMs: Number.NEGATIVE_INFINITY,
      isBusy: false,
      hasFailed: false,
    };
    views.set(scope, watched);
    if (ticker === undefined) {
      clocksApartMs = Date.now() - performance.now();
      ticker = setInterval(tick, tickMs);
    }
    return watched;
  };

  const close = ({ view }: Watched) => {
    views.delete(view.scope);
    view.close();
    if (views.size > 0) return;
    clearInterval(ticker);
    ticker = undefined;
  };
  const closeUnused = (watched: Watched) => {
    if (watched.watchers.size === 0 && performance.now() - watched.polledAtMs >= lingerMs) close(watched);
  };

  const remove = (watched: Watched, watcher: Watcher) => {
    if (watcher.isGone) return;
    watcher.leave();
    watched.watchers.delete(watcher);
    closeUnused(watched);
  };
  const sendAway = (watched: Watched, watcher: Watcher, reason: EndReason) => {
    // First: ending a sink tells us that its client is gone.
    remove(watched, watcher);
    watcher.end(reason);
  };

  /** Whether one more view may be opened; one that only lingers makes room. */
  const hasRoom = (scope: Scope): boolean => {
    if (views.has(scope) || views.size < MAX_VIEWS) return true;
    const lingering = [...views.values()].filter(({ watchers }) => watchers.size === 0);
    const oldest = lingering.sort((a, b) => a.polledAtMs - b.polledAtMs)[0];
    if (oldest !== undefined) close(oldest);
    return oldest !== undefined;
  };

  const refusal: Counters["refusal"] = (scope, maxConnections = options.maxConnectionsPerCompany) => {
    if (isDraining) return "draining";
    const open = views.get(scope)?.watchers.size ?? 0;
    return open >= maxConnections || !hasRoom(scope) ? "busy" : undefined;
  };

  return {
    refusal,
    watch(request) {
      const watched = viewOf(request.scope);
      const watcher = createWatcher(request, limits);
      watched.watchers.add(watcher);
      void serve(watched, [watcher], true);
      return {
        leave() {
          remove(watched, watcher);
        },
        notify: (name, data) => watcher.notify(name, data),
        end(reason) {
          if (!watcher.isGone) sendAway(watched, watcher, reason);
        },
      };
    },
    async poll(scope) {
      // Or its view would keep the timer.
      if (isDisposed)
        throw new MillraceError("unavailable", "Cannot count events: this instance has stopped");
      if (!hasRoom(scope)) {
        throw new MillraceError(
          "unavailable",
          `Cannot count the events of one more company: ${MAX_VIEWS} are being counted, expected fewer`,
        );
      }
      const watched = viewOf(scope);
      watched.polledAtMs = performance.now();
      await watched.view.refresh(FEED, true);
      return watched.view.snapshot("feed");
    },
    stats() {
      const watchers = Array.from(views.values(), (watched) => watched.watchers.size);
      return { watchers: watchers.reduce((sum, open) => sum + open, 0), companies: companies.size };
    },
    async drain(periodMs) {
      isDraining = true;
      const leaving = Array.from(views.values(), (watched) =>
        Array.from(watched.watchers, (watcher) => ({ watched, watcher })),
      ).flat();
      await spread(leaving, periodMs, ({ watched, watcher }) => {
        if (!watcher.isGone) sendAway(watched, watcher, "draining");
      });
    },
    [Symbol.dispose]() {
      isDraining = true;
      isDisposed = true;
      for (const watched of [...views.values()]) close(watched);
    },
  };
}

function kindsOf(watchers: Iterable<Watcher>): ReadonlySet<SnapshotKind> {
  return new Set(Array.from(watchers, ({ kind }) => kind));
}
