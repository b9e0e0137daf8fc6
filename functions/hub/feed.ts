/** A feed: one company's tail, ring and members. It lives from the first member to the last. */
import { backoffMs, sleep } from "../core/backoff.ts";
import type { Cursor } from "../core/cursor.ts";
import { describeError } from "../core/errors.ts";
import type { CompanyId, EventType } from "../core/ids.ts";
import { PAGE_EVENTS, RING_FRAMES } from "../core/limits.ts";
import type { Logger } from "../core/logger.ts";
import { cursorFrame, type FrameFormat, gapFrame, joinBytes, retryFrame } from "../core/sse.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { HubCounters } from "../ports/hub.ts";
import { frameOf } from "./frame.ts";
import type { Member } from "./member.ts";
import { createPages, framesOf } from "./pages.ts";
import { createRing, type Ring } from "./ring.ts";
import { type Batch, createBatchCache, cutBatch, matches, type View, viewKey } from "./view.ts";

/** Milliseconds a client waits before it reconnects, unless told otherwise. */
export const RETRY_MS = 3_000;
/** Milliseconds a filtered client's cursor may lag behind what was filtered out. */
const OWED_CURSOR_MS = 250;
const OPENING = retryFrame(RETRY_MS);
/**
 * New events wait until nine times what the last turn took has passed, so that writing them one by one takes no more than a tenth of
 * a core; what gathers meanwhile goes out in the same write. At most this many milliseconds: with few clients it is nothing, and the
 * first event after a pause never waits (`npm run bench`, fanout and latency).
 */
const MAX_PACE_MS = 20;
const PACE = 9;

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
  view(format: FrameFormat, types: ReadonlySet<EventType> | undefined): View;
  add(member: Member): void;
  /** Forgets it; with the last one the tail ends. */
  remove(member: Member): void;
  /** Gives bytes that are no event. */
  write(member: Member, bytes: Uint8Array, nowMs: number): void;
  /** Ends a membership: with `retryMs` the client is told to come back after that many milliseconds. */
  sendAway(member: Member, retryMs: number | undefined): void;
  /** Once in a while: opens streams that still wait, forgets pages nobody reads. */
  tick(nowMs: number): void;
}

export function createFeed(options: FeedOptions): Feed {
  const { log, company, bufferEvents, counters, onEmpty, scheduleTurn, logger } = options;
  const members = new Set<Member>();
  const views = new Map<string, View>();
  const stop = new AbortController();
  let ring: Ring | undefined;
  let isScheduled = false;
  let pace: ReturnType<typeof setTimeout> | undefined;
  /** By `performance.now()`. */
  let nextPacedMs = 0;
  let owedTimer: ReturnType<typeof setTimeout> | undefined;
  /** The ring's frames that nobody who can take them has taken. */
  let untaken = 0;
  let turnEnded = () => {};

  const batches = createBatchCache((view, from) =>
    cutBatch(ring!.at, { from, end: ring!.head, view, maxEvents: bufferEvents }),
  );
  const pages = createPages({
    read: (after) => {
      counters.pageReads++;
      return log.read(company, after, PAGE_EVENTS);
    },
    onPage: () => schedule(),
    maxEvents: bufferEvents,
    signal: stop.signal,
    logger,
  });

  const schedule = () => {
    if (isScheduled) return;
    isScheduled = true;
    clearTimeout(pace);
    pace = undefined;
    scheduleTurn(runTurn);
  };

  const schedulePaced = () => {
    if (isScheduled || pace !== undefined) return;
    const waitMs = nextPacedMs - performance.now();
    if (waitMs < 1) schedule();
    else pace = setTimeout(schedule, waitMs);
  };

  const runTurn = () => {
    isScheduled = false;
    if (stop.signal.aborted) return;
    const nowMs = Date.now();
    const startMs = performance.now();
    let isBehind = false;
    let taken = -1;
    for (const member of members) {
      if (!member.isWritable) continue;
      serve(member, nowMs);
      if (member.next > taken) taken = member.next;
      isBehind ||=
        member.isWritable && (member.next >= 0 ? member.next < ring!.head : member.page !== undefined);
    }
    untaken = taken < 0 ? 0 : (ring?.head ?? 0) - taken;
    batches.clear();
    const endMs = performance.now();
    nextPacedMs = endMs + Math.min(MAX_PACE_MS, PACE * (endMs - startMs));
    if (isBehind) schedule();
    turnEnded();
  };

  const write = (member: Member, bytes: Uint8Array, nowMs: number) => {
    member.lastWriteMs = nowMs;
    counters.writes++;
    counters.writtenBytes += bytes.byteLength;
    member.isWritable = member.sink.write(bytes);
    member.wasBlocked ||= !member.isWritable;
  };

  /** Gives a member at most one batch. */
  const serve = (member: Member, nowMs: number) => {
    while (member.isWritable && !member.isGone) {
      const batch = nextBatch(member, nowMs);
      if (batch === undefined) return;
      const { bytes, frames, gaps, cursor, owesCursor } = batch;
      member.cursor = cursor;
      if (owesCursor) oweCursor(member);
      if (bytes === undefined) continue;
      member.owesCursor = owesCursor;
      counters.deliveredFrames += frames - gaps.length;
      for (const reason of gaps) counters.gaps[reason]++;
      if (member.isOpened) write(member, bytes, nowMs);
      else {
        member.isOpened = true;
        write(member, joinBytes([OPENING, bytes]), nowMs);
      }
      return;
    }
  };

  /** What follows the member's cursor, with its place moved behind it; undefined when nothing does, or it is being read. */
  const nextBatch = (member: Member, nowMs: number): Batch | undefined => {
    if (member.page !== undefined) {
      const { page, index } = member;
      if (index < page.frames.length) {
        const batch = page.batches.batch(member.view, index);
        member.index = batch.to;
        return batch;
      }
      member.page = undefined;
    }
    if (ring === undefined && member.cursor === undefined) return undefined;
    if (ring !== undefined && !place(member, ring, nowMs)) return undefined;
    if (ring !== undefined && member.next >= 0) {
      if (member.next === ring.head) {
        open(member, nowMs);
        return undefined;
      }
      const batch = batches.batch(member.view, member.next);
      member.next = batch.to;
      return batch;
    }
    member.page = pages.find(member.cursor!);
    member.index = member.page?.after(member.cursor!) ?? 0;
    return member.page && nextBatch(member, nowMs);
  };

  /** Finds the member's place in the ring, -1 when it has fallen out of it. False: it was given bytes and is full. */
  const place = (member: Member, ring: Ring, nowMs: number): boolean => {
    if (member.cursor === undefined) {
      member.cursor = ring.tip;
      member.next = ring.head;
      if (member.isOpened) oweCursor(member);
      else open(member, nowMs);
      return member.isWritable;
    }
    if (member.next < 0) {
      member.next = ring.after(member.cursor) ?? -1;
    } else if (member.dropsOldest && member.wasBlocked && ring.head - member.next > bufferEvents) {
      return skip(member, ring, nowMs);
    } else if (member.next < ring.base) {
      member.next = -1;
    }
    member.wasBlocked = false;
    return true;
  };

  /** Moves a slow member that prefers freshness to the newest events, and says so. */
  const skip = (member: Member, ring: Ring, nowMs: number): boolean => {
    const next = ring.head - Math.min(bufferEvents, ring.head - ring.base);
    let isLoss = member.next < ring.base;
    for (let number = Math.max(member.next, ring.base); number < next && !isLoss; number++) {
      isLoss = matches(member.view, ring.at(number));
    }
    const requested = member.cursor!;
    const after = ring.cursorBefore(next);
    member.next = next;
    member.cursor = after;
    member.wasBlocked = false;
    if (!isLoss) return true;
    counters.gaps.dropped++;
    member.owesCursor = false;
    write(member, gapFrame({ reason: "dropped", requested, resumedAt: ring.at(next).cursor, after }), nowMs);
    return member.isWritable;
  };

  /** The first bytes: what a fresh client is to resume from is said at once. */
  const open = (member: Member, nowMs: number) => {
    if (member.isOpened) return;
    member.isOpened = true;
    const { cursor } = member;
    write(member, cursor === undefined ? OPENING : joinBytes([OPENING, cursorFrame(cursor)]), nowMs);
  };

  const oweCursor = (member: Member) => {
    member.owesCursor = true;
    owedTimer ??= setTimeout(() => {
      owedTimer = undefined;
      const nowMs = Date.now();
      for (const owing of members) {
        if (!owing.owesCursor || !owing.isWritable) continue;
        owing.owesCursor = false;
        write(owing, cursorFrame(owing.cursor!), nowMs);
      }
    }, OWED_CURSOR_MS);
  };

  /** A tail that runs ahead of everyone would only push frames out of the ring that have to be read again. */
  const room = async () => {
    while (untaken > RING_FRAMES / 2 && !stop.signal.aborted) {
      await new Promise<void>((resolve) => {
        turnEnded = resolve;
        schedule();
      });
    }
  };

  const follow = async (tip: Cursor) => {
    const grown = createRing(tip);
    ring = grown;
    for (const member of members) member.next = -1;
    schedule();
    for await (const result of log.tail(company, tip, stop.signal)) {
      if (result.kind === "events") for (const entry of result.entries) grown.push(frameOf(entry));
      else for (const frame of framesOf(grown.tip, result)) grown.pushGap(frame);
      pages.tipMoved();
      untaken += result.kind === "events" ? result.entries.length : 1;
      schedulePaced();
      if (untaken > RING_FRAMES / 2) await room();
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
    member.isGone = true;
    member.isWritable = false;
    member.sink.onDrain = () => {};
    members.delete(member);
    if (--member.view.members === 0) views.delete(member.view.key);
    if (members.size > 0) return;
    stop.abort();
    clearTimeout(pace);
    clearTimeout(owedTimer);
    turnEnded();
    onEmpty();
  };

  return {
    members,
    view(format, types) {
      const key = viewKey(format, types);
      const view = views.get(key) ?? { key, format, types, members: 0 };
      views.set(key, view);
      return view;
    },
    add(member) {
      members.add(member);
      member.view.members++;
      member.sink.onDrain = () => {
        member.isWritable = true;
        if (member.owesCursor) oweCursor(member);
        schedule();
      };
      const nowMs = Date.now();
      // At the tip there is nothing to wait for; elsewhere the opening goes with the first events, in one write.
      if (ring !== undefined && place(member, ring, nowMs) && member.next === ring.head) open(member, nowMs);
      else schedule();
    },
    remove,
    sendAway(member, retryMs) {
      const nowMs = Date.now();
      // What it has been spared by its filter must not be replayed to it.
      if (member.isWritable && member.owesCursor) write(member, cursorFrame(member.cursor!), nowMs);
      if (member.isWritable && retryMs !== undefined) write(member, retryFrame(retryMs), nowMs);
      member.sink.end();
      remove(member);
    },
    write,
    tick(nowMs) {
      pages.sweep();
      for (const member of members) {
        if (!member.isOpened && member.isWritable) {
          member.isOpened = true;
          write(member, OPENING, nowMs);
        }
      }
    },
  };
}
