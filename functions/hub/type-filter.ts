/** A filter by event type. */
import type { EventType } from "../core/ids.ts";
import type { EventFilter } from "../ports/hub.ts";

export function typeFilter(types: Iterable<EventType>): EventFilter {
  const wanted = new Set(types);
  // Names of types alone: the keys of other filters begin with what no type can.
  return { key: [...wanted].sort().join(" "), matches: (type) => wanted.has(type) };
}
