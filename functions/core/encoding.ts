/** An encoding: how what a stream has to say is written for one transport. Types, cursors and data are of branded types that hold no line break. */
import type { Cursor } from "./cursor.ts";
import type { EventRecord } from "./event.ts";

/** What is told of an event: its data, or the whole CloudEvent. */
export type FrameFormat = "data" | "cloudevents";
/** Why events between two cursors cannot be delivered. */
export type GapReason = "expired" | "reset" | "dropped";

/** What cannot be replayed. */
export interface Gap {
  readonly reason: GapReason;
  /** What the client had. */
  readonly requested: Cursor;
  /** The next event it gets. */
  readonly resumedAt: Cursor;
  /** Where reading goes on, so that a reconnect does not hear of it twice. */
  readonly after: Cursor;
}

export interface Encoding {
  readonly name: "sse" | "json-lines";
  /** One event. */
  event(cursor: Cursor, record: EventRecord, format: FrameFormat): Uint8Array;
  /** Moves the client's cursor and says nothing else. */
  cursor(cursor: Cursor): Uint8Array;
  gap(gap: Gap): Uint8Array;
  /** Tells the client how long to wait before it reconnects. */
  retry(ms: number): Uint8Array;
  /** A notice of the stream itself: no id, so the cursor stays. */
  notice(name: string, data: Readonly<Record<string, unknown>>): Uint8Array;
  /** Keeps a quiet connection open, and says nothing. */
  readonly heartbeat: Uint8Array;
}
