/** A feed: one company's tail, ring and members. It lives from the first member to the last. */
import { backoffMs, sleep } from "../core/backoff.ts";
import type { Cursor } from "../core/cursor.ts";
import { describeError } from "../core/errors.ts";
import type { CompanyId } from "../core/ids.ts";
import { PAGE_EVENTS, RETRY_MS, RING_FRAMES } from "../core/limits.ts";
import type { Logger } from "../core/logger.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { EndReason, HubCounters } from "../ports/hub.ts";
import { addBacklog, appendedAtMs } from "./backlog.ts";
import { createDelivery } from "./delivery.ts";
import { type Frame, frameOf } from "./frame.ts";
import type { Member } from "./member.ts";
import { createPages, framesOf } from "./pages.ts";
import { createRing, type Ring } from "./ring.ts";
import { createTurns } from "./turns.ts";
import { type View, viewKey } from "./view.ts";

export interface FeedOptions {
  readonly log: Pick<EventLog, "tip" | "read" | "tail">;
  readonly company: CompanyId;
  /** Events of one write. */
  readonly bufferEvents: number;
  readonly counters: HubCounters;
  /** The last member has gone, and the feed with it. */
  readonly onEmpty: () => void;
  /** Runs the function once, after what is going on now. */
  readonly scheduleTurn: (run: () => void) => void;
  readonly logger: Logger;
}

export interface Feed {
  readonly members: ReadonlySet<Member>;
  /** The view of a member that is to be added. */
  view(of: Pick<View, "encoding" | "format" | "filter">): View;
  add(member: Member): void;
  /** Forgets it; with the last one the tail ends. */
  remove(member: Member): void;
  /** Gives bytes that are no event. */
  write(member: Member, bytes: Uint8Array, nowMs: number): void;
  /** Ends a membership, with these last bytes if the member can take them. */
  sendAway(member: Member, reason: EndReason, farewell?: Uint8Array): void;
  /** Once in a while: opens streams that still wait, forgets pages nobody reads. */
  tick(nowMs: number): void;
  /** As `addBacklog`, of its members. */
  addBacklog(total: Parameters<typeof addBacklog>[0]): number | undefined;
}

export function createFeed(options: FeedOptions): Feed {
  const { log, company, bufferEvents, counters, onEmpty, scheduleTurn, logger } = options;
  const members = new Set<Member>();
  const views = new Map<string, View>();
  const stop = new AbortController();
  let ring: Ring | undefined;
  /** Who waits for the next turn, when it is not for everybody. */
  let waiting = new Set<Member>();
  let isForAll = false;
  /** The furthest anybody who can take bytes has come in the ring. */
  let taken = 0;
  /** The number in the ring up to which it was observed how long events took. */
  let observed = 0;
  let turnEnded = Promise.withResolvers<void>();

  /** Resolves when a turn has run, or the feed has ended. */
  const nextTurn = () => {
    turns.now();
    return turnEnded.promise;
  };

  const pages = createPages({
    read: (after) => {
      counters.pageReads++;
      return log.read(company, after, PAGE_EVENTS);
    },
    onPage: () => {
      isForAll = true;
      return nextTurn();
    },
    maxEvents: bufferEvents,
    signal: stop.signal,
    logger,
  });
  const delivery = createDelivery({ members, ring: () => ring, pages, bufferEvents, counters });

  /** Once a turn, however many were given it. A gap bears the time of what was lost. */
  const observeDelivery = ({ cursor, gap }: Frame) => {
    if (gap === undefined) counters.deliverySeconds.observe((Date.now() - appendedAtMs(cursor)) / 1000);
  };

  const turns = createTurns(scheduleTurn, () => {
    const wasForAll = isForAll;
    const served = isForAll ? members : waiting;
    const nowMs = Date.now();
    const still = new Set<Member>();
    const framesBefore = counters.deliveredFrames;
    let furthest = -1;
    if (isForAll) taken = -1;
    isForAll = false;
    for (const member of served) {
      if (!member.isWritable) continue;
      if (delivery.serve(member, nowMs)) still.add(member);
      if (member.next > furthest) furthest = member.next;
    }
    if (furthest > taken) taken = furthest;
    // Where nobody was there to take it, how late it comes says nothing of us: all of them stall, or replay what they missed.
    if (wasForAll && furthest < 0) observed = ring?.head ?? 0;
    else if (furthest > observed) {
      if (counters.deliveredFrames > framesBefore) observeDelivery(ring!.at(Math.max(observed, ring!.base)));
      observed = furthest;
    }
    // Where nobody can take anything more the tail has nobody to wait for.
    if (taken < 0 || still.size === 0) taken = ring?.head ?? 0;
    waiting = still;
    delivery.endTurn();
    if (still.size > 0) turns.now();
    turnEnded.resolve();
    turnEnded = Promise.withResolvers();
    return wasForAll;
  });

  const wait = (member: Member) => {
    waiting.add(member);
    turns.now();
  };

  /** A tail that runs ahead of everybody would only push frames out of the ring that have to be read again. */
  const room = async (grown: Ring) => {
    while (grown.head - taken > RING_FRAMES / 2 && !stop.signal.aborted) await nextTurn();
  };

  const follow = async (tip: Cursor) => {
    const grown = createRing(tip);
    ring = grown;
    taken = 0;
    observed = 0;
    for (const member of members) member.next = -1;
    isForAll = true;
    turns.now();
    for await (const result of log.tail(company, tip, stop.signal)) {
      if (result.kind === "events") for (const entry of result.entries) grown.push(frameOf(entry));
      else for (const frame of framesOf(grown.tip, result)) grown.pushGap(frame);
      pages.tipMoved();
      isForAll = true;
      turns.paced();
      await room(grown);
    }
  };

  const run = async () => {
    for (let failures = 0; !stop.signal.aborted; failures++) {
      try {
        await follow(await log.tip(company));
      } catch (error) {
        if (stop.signal.aborted) return;
        logger.warn({ reason: describeError(error) }, "Cannot open a company's event log, trying again");
        await sleep(backoffMs(failures), stop.signal);
      }
    }
  };
  void run();

  const remove = (member: Member) => {
    // A sink that is ended may say at once that its client has gone.
    if (member.isGone) return;
    member.isWritable = false;
    member.isGone = true;
    member.sink.onDrain = () => {};
    members.delete(member);
    waiting.delete(member);
    if (--member.view.members === 0) views.delete(member.view.key);
    if (members.size > 0) return;
    stop.abort();
    turns.stop();
    delivery.stop();
    turnEnded.resolve();
    onEmpty();
  };

  return {
    members,
    view({ encoding, format, filter }) {
      const key = viewKey({ encoding, format, filter });
      const view = views.get(key) ?? {
        ...{ key, encoding, format, filter, members: 0 },
        opening: encoding.retry(RETRY_MS),
      };
      views.set(key, view);
      return view;
    },
    add(member) {
      members.add(member);
      member.view.members++;
      member.sink.onDrain = () => {
        delivery.drained(member);
        wait(member);
      };
      // At the tip there is nothing to wait for; elsewhere the opening goes with the first events, in one write.
      if (!delivery.greet(member, Date.now())) wait(member);
    },
    remove,
    sendAway(member, reason, farewell) {
      const nowMs = Date.now();
      // What its filter has spared it must not be replayed to it.
      delivery.settle(member, nowMs);
      if (member.isWritable && farewell !== undefined) delivery.write(member, farewell, nowMs);
      member.sink.end(reason);
      remove(member);
    },
    write: delivery.write,
    addBacklog: (total) => addBacklog(total, members, ring),
    tick(nowMs) {
      pages.sweep();
      for (const member of members) if (member.isWritable) delivery.open(member, nowMs);
    },
  };
}
