/** What an event log gives back: entries, or why there are none after a cursor. */
import type { Cursor } from "./cursor.ts";
import type { EventRecord } from "./event.ts";

/** One stored event. */
export interface LogEntry {
  readonly cursor: Cursor;
  readonly record: EventRecord;
}

/**
 * The answer to "what comes after this cursor".
 * `expired`: entries right after the cursor have been trimmed. `reset`: the cursor is of a log that is gone, or beyond the
 * tip. Both say where to go on: read again after `resumeAfter`; `oldest` is the entry found there, if any is kept.
 * `more` is false when the tip has been reached.
 */
export type ReadResult =
  | { readonly kind: "events"; readonly entries: readonly LogEntry[]; readonly more: boolean }
  | { readonly kind: "expired" | "reset"; readonly resumeAfter: Cursor; readonly oldest: Cursor | undefined };
