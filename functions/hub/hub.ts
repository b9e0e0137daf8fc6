/** Hub on one instance's memory: a feed a company, and one timer for everything that goes by time. */
import { jitter, renewalAt, spread } from "../core/backoff.ts";
import type { Encoding } from "../core/encoding.ts";
import { createHistogram } from "../core/histogram.ts";
import type { CompanyId } from "../core/ids.ts";
import { RETRY_MS } from "../core/limits.ts";
import type { Logger } from "../core/logger.ts";
import { REFUSALS, refusalFrames } from "../core/refusals.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { Hub, HubCounters, JoinRequest, Membership } from "../ports/hub.ts";
import { createFeed, type Feed } from "./feed.ts";
import type { Member } from "./member.ts";

export interface HubOptions {
  readonly log: Pick<EventLog, "tip" | "read" | "tail">;
  readonly logger: Logger;
  /** Milliseconds: the longest silence of a stream. */
  readonly heartbeatMs: number;
  /** Milliseconds after which a client that takes no byte is closed. */
  readonly idleTimeoutMs: number;
  /** Milliseconds after which a client is told to come back, spread by a tenth; 0: never. */
  readonly maxConnectionAgeMs: number;
  /** Events in flight to one client. */
  readonly bufferEvents: number;
  readonly maxConnectionsPerCompany: number;
  /** Runs the function once, when what is at hand has been handled. Default: a timer of 0 ms; a runtime may know better. */
  readonly scheduleTurn?: (run: () => void) => void;
}

export function createHub(options: HubOptions): Hub {
  const { log, logger, heartbeatMs, idleTimeoutMs, maxConnectionAgeMs, bufferEvents } = options;
  const { maxConnectionsPerCompany, scheduleTurn = (run) => void setTimeout(run, 0) } = options;
  const tickMs = Math.min(1_000, heartbeatMs / 4);
  const feeds = new Map<CompanyId, Feed>();
  const counters: HubCounters = {
    deliveredFrames: 0,
    writes: 0,
    writtenBytes: 0,
    pageReads: 0,
    gaps: { expired: 0, reset: 0, dropped: 0 },
    idleTimeouts: 0,
    joins: 0,
    deliverySeconds: createHistogram(),
  };
  let ticker: ReturnType<typeof setInterval> | undefined;
  let isDraining = false;

  const tick = () => {
    const nowMs = Date.now();
    for (const feed of feeds.values()) {
      feed.tick(nowMs);
      for (const member of feed.members) lookAfter(feed, member, nowMs);
    }
  };

  const lookAfter = (feed: Feed, member: Member, nowMs: number) => {
    if (nowMs >= member.oldAtMs) sendBack(feed, member, "aged");
    else if (!member.isWritable) {
      if (nowMs - member.lastWriteMs < idleTimeoutMs) return;
      counters.idleTimeouts++;
      feed.sendAway(member, "idle");
    } else if (nowMs - member.lastWriteMs > heartbeatMs - 1.5 * tickMs) {
      feed.write(member, member.view.encoding.heartbeat, nowMs);
    }
  };

  const feedOf = (company: CompanyId): Feed => {
    const known = feeds.get(company);
    if (known !== undefined) return known;
    const onEmpty = () => {
      feeds.delete(company);
      if (feeds.size > 0) return;
      clearInterval(ticker);
      ticker = undefined;
    };
    const feed = createFeed({ log, company, bufferEvents, counters, onEmpty, scheduleTurn, logger });
    feeds.set(company, feed);
    ticker ??= setInterval(tick, tickMs);
    return feed;
  };

  const refusal: Hub["refusal"] = (company, maxConnections = maxConnectionsPerCompany) => {
    if (isDraining) return "draining";
    return (feeds.get(company)?.members.size ?? 0) >= maxConnections ? "busy" : undefined;
  };

  return {
    refusal,
    join(request) {
      const feed = feedOf(request.company);
      const member = createMember(request, feed, maxConnectionAgeMs);
      feed.add(member);
      counters.joins++;
      return {
        leave() {
          if (!member.isGone) feed.remove(member);
        },
        notify(name, data) {
          // Before its opening it has nothing to be told of.
          if (member.isGone || !member.isOpened || !member.isWritable) return false;
          feed.write(member, member.view.encoding.notice(name, data), Date.now());
          return true;
        },
        end(reason) {
          if (!member.isGone) feed.sendAway(member, reason, farewell(reason, member.view.encoding));
        },
      };
    },
    stats() {
      const connected = Array.from(feeds, ([company, { members }]) => [company, members.size] as const);
      return {
        totalConnections: connected.reduce((sum, [, connections]) => sum + connections, 0),
        connectionsByCompany: Object.fromEntries(connected),
        isDraining,
        counters,
      };
    },
    backlog() {
      const total = { streams: { current: 0, behind: 0, replaying: 0, stalled: 0 }, undeliveredEvents: 0 };
      const oldestUnreadMs = new Map<CompanyId, number>();
      for (const [company, feed] of feeds) {
        const oldestMs = feed.addBacklog(total);
        if (oldestMs !== undefined) oldestUnreadMs.set(company, oldestMs);
      }
      return { ...total, oldestUnreadMs };
    },
    async drain(periodMs) {
      isDraining = true;
      const leaving = Array.from(feeds.values(), (feed) =>
        Array.from(feed.members, (member) => ({ feed, member })),
      ).flat();
      await spread(leaving, periodMs, ({ feed, member }) => {
        if (!member.isGone) sendBack(feed, member, "draining");
      });
    },
  };
}

/** The client is to come back, not at the same time as all others. */
function sendBack(feed: Feed, member: Member, reason: "aged" | "draining"): void {
  feed.sendAway(member, reason, member.view.encoding.retry(jitter(RETRY_MS)));
}

/** What a client is told that is sent away and will be let in again; who has no right any more learns it when it comes back. */
function farewell(reason: Parameters<Membership["end"]>[0], encoding: Encoding): Uint8Array | undefined {
  return reason === "disabled" ? refusalFrames(encoding, REFUSALS.disabled) : undefined;
}

function createMember(request: JoinRequest, feed: Feed, maxConnectionAgeMs: number): Member {
  const nowMs = Date.now();
  const { sink, after, encoding, format, filter, overflow } = request;
  return {
    sink,
    view: feed.view({ encoding, format, filter }),
    dropsOldest: overflow === "drop-oldest",
    oldAtMs: renewalAt(nowMs, maxConnectionAgeMs),
    cursor: after,
    next: -1,
    page: undefined,
    index: 0,
    joinedAt: undefined,
    isLive: false,
    isOpened: false,
    isGone: false,
    isWritable: true,
    wasBlocked: false,
    owesCursor: false,
    lastWriteMs: nowMs,
  };
}
