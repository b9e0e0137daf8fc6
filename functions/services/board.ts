/** ServiceBoard on one instance's memory: a roster that follows the log while somebody watches, and one timer. */
import { backoffMs, sleep, spread } from "../core/backoff.ts";
import { type Cursor, cursorParts, GENESIS, positionParts } from "../core/cursor.ts";
import { describeError } from "../core/errors.ts";
import { OPERATIONS_COMPANY } from "../core/ids.ts";
import { LOOK_BACK_EVENTS, PAGE_EVENTS } from "../core/limits.ts";
import type { ReadResult } from "../core/log-entry.ts";
import type { Logger } from "../core/logger.ts";
import { SERVICE_STATUS_TYPE } from "../core/service-status.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { EndReason } from "../ports/hub.ts";
import type { BoardMessage, ServiceBoard } from "../ports/service-board.ts";
import { createWatcher, type Watcher } from "../watch/watcher.ts";
import { createRoster } from "./roster.ts";
import { createStoreClock } from "./store-clock.ts";

/** Pages read before the newest entries are jumped to: about a second of reading, and a day of three services that say something every 5 s. */
const MAX_PAGES = 100;
/** Milliseconds between two rounds, at least: what a service says meanwhile is said once. */
const ROUND_MS = 100;

export interface BoardOptions {
  readonly log: Pick<EventLog, "read" | "latest" | "tail" | "tallies">;
  readonly logger: Logger;
  /** Milliseconds: the longest silence of a connection. */
  readonly heartbeatMs: number;
  /** Milliseconds after which a client that takes nothing is closed. */
  readonly idleTimeoutMs: number;
  /** Milliseconds after which a client is told to come back, spread by a tenth; 0: never. */
  readonly maxConnectionAgeMs: number;
  /** Watchers. */
  readonly maxConnectionsPerCompany: number;
}

interface Watched {
  readonly watcher: Watcher<BoardMessage>;
  /** The version of the roster it has; undefined: it is to get a snapshot. */
  has: number | undefined;
}

/** Disposing it ends everything at once, sends nobody away. */
export function createBoard(options: BoardOptions): ServiceBoard & Disposable {
  const { log, logger, heartbeatMs, maxConnectionsPerCompany } = options;
  const tickMs = Math.min(1_000, heartbeatMs / 4);
  const roster = createRoster();
  const clock = createStoreClock();
  const watching = new Set<Watched>();
  /** What the roster was made of; it stays when nobody watches, so that the next one costs only what was said meanwhile. */
  let cursor: Cursor = GENESIS;
  let isLoaded = false;
  /** Whether the log was away when it was last asked; by its clock, when it was back: until then nobody could be heard. */
  let wasAway = false;
  let backMs = 0;
  let isAsking = false;
  let askedMs = 0;
  let stop = new AbortController();
  let ticker: ReturnType<typeof setInterval> | undefined;
  let round: ReturnType<typeof setTimeout> | undefined;
  let lastRoundMs = Number.NEGATIVE_INFINITY;
  let isDraining = false;

  const serve = (watched: Watched) => {
    if (!isLoaded || watched.watcher.isFull) return;
    const { version } = roster;
    const message =
      watched.has === undefined ? roster.snapshot(clock.now()) : roster.changedSince(watched.has);
    if (message !== undefined && !watched.watcher.send(message, Date.now())) return;
    watched.has = version;
  };
  const serveAll = () => {
    round = undefined;
    lastRoundMs = performance.now();
    for (const watched of [...watching]) serve(watched);
  };
  const changed = () => {
    if (isLoaded) round ??= setTimeout(serveAll, Math.max(0, lastRoundMs + ROUND_MS - performance.now()));
  };

  const take = (result: ReadResult) => {
    if (result.kind === "events") {
      roster.take(result.entries);
      const last = result.entries.at(-1);
      if (last === undefined) return;
      ({ cursor } = last);
      clock.isAtLeast(positionParts(cursorParts(cursor).position)[0]);
    } else {
      cursor = result.resumeAfter;
      if (result.kind === "expired") return;
      roster.forget();
      for (const watched of watching) watched.has = undefined;
    }
    changed();
  };

  /** Reads what was said since the cursor. Where that is too much, the oldest and the newest of it. */
  const load = async (signal: AbortSignal) => {
    const { nowMs, at } = await log.tallies(OPERATIONS_COMPANY);
    if (signal.aborted) return;
    clock.isAtLeast(nowMs);
    for (let page = 0; page < MAX_PAGES; page++) {
      const result = await log.read(OPERATIONS_COMPANY, cursor, PAGE_EVENTS);
      if (signal.aborted) return;
      take(result);
      if (result.kind === "events" && !result.more) return;
    }
    const newest = await log.latest(OPERATIONS_COMPANY, new Set([SERVICE_STATUS_TYPE]), LOOK_BACK_EVENTS);
    if (signal.aborted) return;
    take({ kind: "events", entries: newest, more: false });
    // Nothing that was said since the beginning of this is missed.
    cursor = newest.at(-1)?.cursor ?? at;
  };

  const answered = () => {
    if (wasAway) backMs = clock.now();
    wasAway = false;
  };

  const follow = async ({ signal }: AbortController) => {
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        await load(signal);
        if (signal.aborted) return;
        answered();
        roster.look(clock.now(), backMs);
        isLoaded = true;
        serveAll();
        for await (const result of log.tail(OPERATIONS_COMPANY, cursor, signal)) {
          if (signal.aborted) return;
          take(result);
        }
      } catch (error) {
        if (signal.aborted) return;
        wasAway = true;
        logger.warn({ reason: describeError(error) }, "Cannot read the status of services, trying again");
        await sleep(backoffMs(failures), signal);
      }
    }
  };

  const tick = () => {
    const nowMs = Date.now();
    for (const watched of [...watching]) {
      const reason = watched.watcher.lookAfter(nowMs);
      if (reason !== undefined) sendAway(watched, reason);
    }
    if (isLoaded && !isAsking && roster.isLate(clock.now(), backMs, askedMs)) void lookForSilent(stop);
  };

  /** Who is late may have spoken and not been heard: only a log that answers, without a word of theirs, says that somebody is silent. */
  const lookForSilent = async ({ signal }: AbortController) => {
    isAsking = true;
    askedMs = clock.now();
    try {
      const newer = await log.read(OPERATIONS_COMPANY, cursor, PAGE_EVENTS);
      answered();
      if (signal.aborted) return;
      // The tail has not heard that its log is another one, or trimmed.
      if (newer.kind !== "events") return restart();
      if (newer.more) return;
      const { version } = roster;
      roster.look(clock.now(), backMs, newer.entries);
      if (roster.version !== version) changed();
    } catch {
      // The tail, which meets the same, says so.
      wasAway = true;
    } finally {
      isAsking = false;
    }
  };

  const begin = () => {
    if (ticker !== undefined) return;
    ticker = setInterval(tick, tickMs);
    restart();
  };
  const restart = () => {
    stop.abort();
    stop = new AbortController();
    void follow(stop);
  };
  const pause = () => {
    stop.abort();
    isLoaded = false;
    clearInterval(ticker);
    clearTimeout(round);
    ticker = undefined;
    round = undefined;
  };

  const remove = (watched: Watched) => {
    if (watched.watcher.isGone) return;
    watched.watcher.leave();
    watching.delete(watched);
    if (watching.size === 0) pause();
  };
  const sendAway = (watched: Watched, reason: EndReason) => {
    // First: ending a sink tells us that its client is gone.
    remove(watched);
    watched.watcher.end(reason);
  };

  return {
    refusal(maxConnections = maxConnectionsPerCompany) {
      if (isDraining) return "draining";
      return watching.size >= maxConnections ? "busy" : undefined;
    },
    watch(sink) {
      const watcher = createWatcher(sink, { ...options, tickMs }, () => serve(watched));
      const watched: Watched = { watcher, has: undefined };
      watching.add(watched);
      begin();
      serve(watched);
      return {
        leave: () => remove(watched),
        notify: watcher.notify,
        end(reason) {
          if (!watcher.isGone) sendAway(watched, reason);
        },
      };
    },
    stats: () => ({ watchers: watching.size }),
    async drain(periodMs) {
      isDraining = true;
      await spread([...watching], periodMs, (watched) => {
        if (!watched.watcher.isGone) sendAway(watched, "draining");
      });
    },
    [Symbol.dispose]() {
      isDraining = true;
      pause();
    },
  };
}
