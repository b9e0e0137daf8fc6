/**
 * The limits of the inside, each with its unit, its reason and what to run before raising it.
 * Limits that users set are in settings.ts.
 */

/** Bytes of an event's data (CONTRACT.md section 3). */
export const MAX_DATA_BYTES = 128 * 1024;
/** Characters of an event's `id`, `source` and `subject`: they are stored with every event and its duplicates' keys. */
export const MAX_ATTRIBUTE_CHARS = 256;
/** Events of one append: a script of more holds Redis, which runs one at a time, for over ~5 ms (`npm run bench`, append). */
export const MAX_APPEND_EVENTS = 500;
/**
 * Characters of the data of one append: a request to Redis over REST has a limit (10 MiB, Upstash and redis-rest), in which a character
 * takes up to 6 bytes (JSON escapes what is no character, a lone surrogate), and the rest of MAX_APPEND_EVENTS events up to 3 MiB.
 */
export const MAX_APPEND_CHARS = 1024 * 1024;
/** Events of one page read from the log to catch up (`npm run bench`, storm). */
export const PAGE_EVENTS = 500;
/** Bytes of one page: bounds what a page of largest events costs in memory (500 x 128 KiB would be 64 MiB). */
export const PAGE_BYTES = 1024 * 1024;
/**
 * Bytes of events a wake-up carries; a larger batch is announced without them and read by the tails. Redis cuts a
 * subscriber whose unread output passes 8 MiB for 60 s (`client-output-buffer-limit pubsub`).
 */
export const WAKE_UP_BYTES = 256 * 1024;
/** Distinct event types counted a company; further ones are counted together as `other`, so that counters stay bounded. */
export const MAX_COUNTED_TYPES = 1000;
/**
 * Entries looked through for the newest of a type, from the tip back; with PAGE_BYTES a step, so that no step holds Redis for over ~2 ms.
 * A type that was last seen before that counts as not seen.
 */
export const LOOK_BACK_EVENTS = 2_000;
/** Frames a company's ring holds: about 0.2 s at 20,000 events/s; a client further behind reads pages (`npm run bench`, rate). */
export const RING_FRAMES = 4096;
/**
 * Bytes a company's ring holds, whatever their number: of records and one encoding of each. A ring that is read over both transports in both
 * formats holds up to three times that; text beyond Latin counts for less than it takes, by as much again.
 */
export const RING_BYTES = 8 * 1024 * 1024;
/** Bytes joined into one write to one client: with CONNECTION_BUFFER_EVENTS, what a stalled client can hold. */
export const WRITE_BYTES = 64 * 1024;
/** Types a client may filter by. */
export const MAX_FILTER_TYPES = 32;
/** Hard cap of events kept a company, whatever their age: bounds Redis memory against a runaway producer. */
export const MAX_LOG_EVENTS = 1_000_000;
/** Dead letters kept; older ones go first. */
export const MAX_DEAD_LETTERS = 100_000;
/** Bytes of dead letters kept, whatever their number: they share a store with every company's log. */
export const MAX_DEAD_LETTER_BYTES = 256 * 1024 * 1024;
/** Milliseconds a client waits before it reconnects, unless told otherwise: the least that spreads a storm of reconnects a little. */
export const RETRY_MS = 3_000;
/** Rules about access kept, half of them revocations and half features: an instance reads them all when it is first asked (some 100 ms), and keeps them in memory (some 10 MiB). */
export const MAX_ACCESS_RULES = 50_000;
