/** Which Durable Object of a company had room last: a company with many is not asked through from the first for every client. */
import type { CompanyId } from "../functions/core/ids.ts";

/** Companies remembered by an isolate: those with more than one Durable Object. */
const MAX_COMPANIES = 1_000;
/** Milliseconds a memory is good for: then the first ones are asked again, which may have room by now, so that few are kept awake. */
const KEEP_MS = 60_000;

export interface Rooms {
  /** The shard to ask first. */
  first(company: CompanyId | undefined): number;
  remember(company: CompanyId | undefined, shard: number): void;
  forget(company: CompanyId | undefined): void;
}

/** Plain numbers, so that the requests of an isolate may share it. */
export function createRooms(): Rooms {
  const rooms = new Map<CompanyId | undefined, { shard: number; untilMs: number }>();
  return {
    first(company) {
      const room = rooms.get(company);
      return room !== undefined && Date.now() < room.untilMs ? room.shard : 0;
    },
    remember(company, shard) {
      const room = rooms.get(company);
      // The time runs from the first memory, or a busy company would never look back.
      if (room?.shard === shard && Date.now() < room.untilMs) return;
      rooms.delete(company);
      if (shard === 0) return;
      if (rooms.size >= MAX_COMPANIES) rooms.delete(rooms.keys().next().value);
      rooms.set(company, { shard, untilMs: Date.now() + KEEP_MS });
    },
    forget: (company) => void rooms.delete(company),
  };
}
