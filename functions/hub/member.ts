/** A member: one connection's cursor and sink, and where in the ring or in a page its cursor was last found. */
import type { Cursor } from "../core/cursor.ts";
import type { Sink } from "../ports/hub.ts";
import type { Page } from "./pages.ts";
import type { View } from "./view.ts";

export interface Member {
  readonly sink: Sink;
  readonly view: View;
  /** Skips what it was too slow for, once it is live. */
  readonly dropsOldest: boolean;
  /** When it is sent away to come back, milliseconds since 1970: its connection gets too old. */
  readonly oldAtMs: number;
  /** What the client has; undefined: it joined for what comes from now on, and where that is is not known yet. */
  cursor: Cursor | undefined;
  /** Number in the ring of the frame it gets next; -1 when its place is not in the ring, or not known. */
  next: number;
  /** The page it reads, and the index in it of the frame it gets next. */
  page: Page | undefined;
  index: number;
  /** Where the log ended when it joined, as far as was known here; undefined until it is. Kept of who drops the oldest alone. */
  joinedAt: Cursor | undefined;
  /** It has what it came for, all up to `joinedAt`, and is given what is new. */
  isLive: boolean;
  isOpened: boolean;
  isGone: boolean;
  isWritable: boolean;
  /** It was not writable since its last write. */
  wasBlocked: boolean;
  /** The client has an older cursor than `cursor`, because what came after it was filtered out. */
  owesCursor: boolean;
  /** When bytes were last given to the sink, milliseconds since 1970. */
  lastWriteMs: number;
}
