/** How far the members of a feed have come, looked at when somebody asks. */
import { type Cursor, cursorParts, positionParts } from "../core/cursor.ts";
import type { HubBacklog } from "../ports/hub.ts";
import type { Member } from "./member.ts";
import type { Ring } from "./ring.ts";

/** When the entry at the cursor was appended, milliseconds since 1970, by the clock of the log's store. 0 of the place before all. */
export function appendedAtMs(cursor: Cursor): number {
  return positionParts(cursorParts(cursor).position)[0];
}

/** Adds the members to `total`. Returns when the oldest event one of them has still to be given was appended; undefined: none has. */
export function addBacklog(
  total: { streams: { -readonly [State in keyof HubBacklog["streams"]]: number }; undeliveredEvents: number },
  members: Iterable<Member>,
  ring: Ring | undefined,
): number | undefined {
  let oldestMs: number | undefined;
  for (const member of members) {
    const at = ring && placeOf(member, ring);
    const isCurrent = ring !== undefined && at === ring.head;
    if (!member.isWritable) total.streams.stalled++;
    else if (isCurrent) total.streams.current++;
    else if (at === undefined && member.cursor !== undefined) total.streams.replaying++;
    else total.streams.behind++;
    if (isCurrent || member.cursor === undefined) continue;
    // Behind what memory holds: the log has more for it, nobody knows how much without asking.
    if (ring) total.undeliveredEvents += ring.head - (at ?? ring.base);
    const unreadMs = appendedAtMs(ring && at !== undefined ? ring.at(at).cursor : member.cursor);
    if (oldestMs === undefined || unreadMs < oldestMs) oldestMs = unreadMs;
  }
  return oldestMs;
}

/** The number in the ring of what the member gets next; undefined: that is not in it. */
function placeOf({ next, cursor }: Member, ring: Ring): number | undefined {
  if (next >= ring.base) return next;
  return cursor && ring.after(cursor);
}
