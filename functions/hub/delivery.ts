/** Delivery: what follows a member's cursor, from the ring or from a page, into its sink. At most one batch a turn and member. */
import { joinBytes } from "../core/bytes.ts";
import { type Cursor, type CursorParts, comparePositions, cursorParts } from "../core/cursor.ts";
import type { HubCounters } from "../ports/hub.ts";
import type { Member } from "./member.ts";
import type { Page, Pages } from "./pages.ts";
import type { Ring } from "./ring.ts";
import { type Batch, createBatchCache, cutBatch, matches } from "./view.ts";

/** Milliseconds a filtered client's cursor may lag behind what was filtered out. */
const OWED_CURSOR_MS = 250;

export interface DeliveryOptions {
  readonly members: ReadonlySet<Member>;
  /** Undefined until it is known where the log ends. */
  readonly ring: () => Ring | undefined;
  readonly pages: Pages;
  /** Events of one write. */
  readonly bufferEvents: number;
  readonly counters: HubCounters;
}

export interface Delivery {
  /** Gives the member its next batch, if it can take one and there is one. True: it can take more, and there is more. */
  serve(member: Member, nowMs: number): boolean;
  /** Gives a member that has nothing to wait for its first bytes. False: it has to be served. */
  greet(member: Member, nowMs: number): boolean;
  /** First bytes for a member that has been waiting. */
  open(member: Member, nowMs: number): void;
  /** The member can take bytes again. */
  drained(member: Member): void;
  /** Gives bytes that are no event. */
  write(member: Member, bytes: Uint8Array, nowMs: number): void;
  /** Tells the client where it stands, if a filter has kept that from it. */
  settle(member: Member, nowMs: number): void;
  /** A turn is over: forgets the batches it shared. */
  endTurn(): void;
  stop(): void;
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const { members, ring: ringNow, pages, bufferEvents, counters } = options;
  let owedTimer: ReturnType<typeof setTimeout> | undefined;
  /** Pages that batches were cut from in this turn. */
  const served = new Set<Page>();

  const batches = createBatchCache((view, from) => {
    const { at, head } = ringNow()!;
    return cutBatch(at, { from, end: head, view, maxEvents: bufferEvents });
  });

  const write = (member: Member, bytes: Uint8Array, nowMs: number) => {
    member.lastWriteMs = nowMs;
    counters.writes++;
    counters.writtenBytes += bytes.byteLength;
    member.isWritable = member.sink.write(bytes);
    if (member.isWritable) return;
    member.wasBlocked = true;
    // It would keep the whole page for as long as it takes nothing; its cursor finds the page again, or has it read again.
    member.page = undefined;
  };

  /** What a client is to resume from is said at once, where it is known. */
  const open = (member: Member, nowMs: number) => {
    if (member.isOpened) return;
    member.isOpened = true;
    member.owesCursor = false;
    const { cursor } = member;
    const { encoding, opening } = member.view;
    write(member, cursor === undefined ? opening : joinBytes([opening, encoding.cursor(cursor)]), nowMs);
  };

  const settle = (member: Member, nowMs: number) => {
    if (!member.owesCursor || !member.isWritable) return;
    member.owesCursor = false;
    if (member.isOpened) write(member, member.view.encoding.cursor(member.cursor!), nowMs);
    else open(member, nowMs);
  };

  const oweCursor = (member: Member) => {
    member.owesCursor = true;
    owedTimer ??= setTimeout(() => {
      owedTimer = undefined;
      const nowMs = Date.now();
      for (const owing of members) settle(owing, nowMs);
    }, OWED_CURSOR_MS);
  };

  const give = (member: Member, batch: Batch, nowMs: number) => {
    const { bytes, frames, gaps, cursor, owesCursor } = batch;
    member.cursor = cursor;
    if (owesCursor) oweCursor(member);
    if (bytes === undefined) return;
    member.owesCursor = owesCursor;
    counters.deliveredFrames += frames - gaps.length;
    for (const reason of gaps) counters.gaps[reason]++;
    const isFirst = !member.isOpened;
    member.isOpened = true;
    if (isFirst) batch.opened ??= joinBytes([member.view.opening, bytes]);
    write(member, isFirst ? batch.opened! : bytes, nowMs);
  };

  /** What follows the member's cursor, with its place moved behind it; undefined when nothing does, or it is being read. */
  const nextBatch = (member: Member, nowMs: number): Batch | undefined => {
    if (member.page !== undefined) return nextOfPage(member);
    const ring = ringNow();
    if (ring !== undefined) {
      if (!place(member, ring, nowMs)) return undefined;
      if (member.next >= 0) return nextOfRing(member, ring, nowMs);
    }
    if (member.cursor === undefined) return undefined;
    member.page = pages.find(member.cursor);
    if (member.page === undefined) return undefined;
    member.index = member.page.after(member.cursor)!;
    return nextOfPage(member);
  };

  const nextOfRing = (member: Member, ring: Ring, nowMs: number): Batch | undefined => {
    if (member.next === ring.head) {
      open(member, nowMs);
      return undefined;
    }
    const batch = batches.batch(member.view, member.next);
    member.next = batch.to;
    return batch;
  };

  const nextOfPage = (member: Member): Batch => {
    const page = member.page!;
    served.add(page);
    const batch = page.batches.batch(member.view, member.index);
    member.index = batch.to;
    if (batch.to === page.frames.length) member.page = undefined;
    return batch;
  };

  /** Finds the member's place in the ring, -1 when it is not there. False: it was given bytes and is full. */
  const place = (member: Member, ring: Ring, nowMs: number): boolean => {
    if (member.cursor === undefined) {
      member.cursor = ring.tip;
      member.next = ring.head;
      member.joinedAt = ring.tip;
      member.isLive = true;
      if (member.isOpened) oweCursor(member);
      else open(member, nowMs);
      return member.isWritable;
    }
    if (member.next < 0) member.next = ring.after(member.cursor) ?? -1;
    else if (member.next < ring.base) member.next = -1;
    if (member.dropsOldest) {
      member.joinedAt ??= ring.tip;
      member.isLive ||= isBetween(member.joinedAt, member.cursor, ring.tip);
      if (member.isLive && isTooLate(member, ring)) return skip(member, ring, nowMs);
    }
    member.wasBlocked = false;
    return true;
  };

  /** Of a live member. What it has missed is not worth reading again: it is no longer in the ring, or more than it may be behind after it took nothing. */
  const isTooLate = ({ next, wasBlocked, joinedAt, cursor }: Member, { head, base, tip }: Ring): boolean =>
    // A page may have brought it farther than the ring has come.
    next < 0 ? head > base && isBetween(joinedAt!, cursor!, tip) : wasBlocked && head - next > bufferEvents;

  /** Moves a slow live member that prefers freshness to the newest events, and says so. */
  const skip = (member: Member, ring: Ring, nowMs: number): boolean => {
    const next = Math.max(ring.base, ring.head - bufferEvents);
    let isLoss = member.next < 0;
    for (let number = member.next; number < next && !isLoss; number++) {
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
    const { encoding } = member.view;
    write(
      member,
      encoding.gap({ reason: "dropped", requested, resumedAt: ring.at(next).cursor, after }),
      nowMs,
    );
    return member.isWritable;
  };

  return {
    serve(member, nowMs) {
      while (member.isWritable) {
        const batch = nextBatch(member, nowMs);
        if (batch === undefined) return false;
        give(member, batch, nowMs);
        if (batch.bytes === undefined) continue;
        // From a page it may go on in the ring, or in a page that has yet to be read: the next turn finds out.
        return member.isWritable && (member.next < 0 || member.next < ringNow()!.head);
      }
      return false;
    },
    greet(member, nowMs) {
      const ring = ringNow();
      if (ring === undefined || !place(member, ring, nowMs) || member.next !== ring.head) return false;
      open(member, nowMs);
      return true;
    },
    open,
    drained(member) {
      member.isWritable = true;
      if (member.owesCursor) oweCursor(member);
    },
    write,
    settle,
    endTurn() {
      batches.clear();
      for (const page of served) page.batches.clear();
      served.clear();
    },
    stop: () => clearTimeout(owedTimer),
  };
}

/** Whether the cursor is of the log of the tip, not past it, and not before the start; a start of another log, which is gone, is behind it. */
function isBetween(start: Cursor, cursor: Cursor, tip: Cursor): boolean {
  const [from, at, to] = [start, cursor, tip].map(cursorParts) as [CursorParts, CursorParts, CursorParts];
  if (at.epoch !== to.epoch || comparePositions(at.position, to.position) > 0) return false;
  return from.epoch !== at.epoch || comparePositions(at.position, from.position) >= 0;
}
