/** What a log counts, and over which times. */
import type { Cursor } from "./cursor.ts";
import type { EventType } from "./ids.ts";

/** Minutes counted one by one, the current one included. */
export const TALLIED_MINUTES = 60;
/** Seconds counted one by one, the current one included: ten whole ones, of which a rate is made. */
export const TALLIED_SECONDS = 11;

/** Exact counts of distinct events (a duplicate counts once), by event type, as of one moment. */
export interface Tallies {
  /** The last entry counted. */
  readonly at: Cursor;
  /** When they were read: milliseconds since 1970 by the store's clock. */
  readonly nowMs: number;
  readonly total: Readonly<Record<EventType, number>>;
  /** Since midnight in TODAY_TIMEZONE. */
  readonly today: Readonly<Record<EventType, number>>;
  /** The last TALLIED_MINUTES, oldest first; the last is the current minute. Types without an event in them are missing. */
  readonly minutes: Readonly<Record<EventType, readonly number[]>>;
  /** The last TALLIED_SECONDS in the same way. */
  readonly seconds: Readonly<Record<EventType, readonly number[]>>;
}
