/**
 * Server-Sent Events on the wire (WHATWG HTML, 9.2 server-sent events). Types, cursors and data are of branded types that
 * cannot hold a line break, so nothing here escapes.
 */
import type { Cursor } from "./cursor.ts";
import { type EventRecord, recordData, recordType } from "./event.ts";

/** What a `data:` line holds: the event's data, or the whole CloudEvent. */
export type FrameFormat = "data" | "cloudevents";
/** Why events between two cursors cannot be delivered. */
export type GapReason = "expired" | "reset" | "dropped";

const encoder = new TextEncoder();

/** UTF-8. */
export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/** One event. */
export function eventFrame(cursor: Cursor, record: EventRecord, format: FrameFormat): Uint8Array {
  const data = format === "data" ? recordData(record) : record;
  return encoder.encode(`event: ${recordType(record)}\nid: ${cursor}\ndata: ${data}\n\n`);
}

/** Moves the client's cursor and dispatches nothing: an id with no data (WHATWG HTML 9.2.6, "dispatch the event", step 2). */
export function cursorFrame(cursor: Cursor): Uint8Array {
  return encoder.encode(`id: ${cursor}\n\n`);
}

/** What cannot be replayed, said where a bare EventSource sees it. `after` is where reading goes on, so a reconnect does not hear it twice. */
export function gapFrame(gap: {
  reason: GapReason;
  requested: Cursor;
  resumedAt: Cursor;
  after: Cursor;
}): Uint8Array {
  const { reason, requested, resumedAt, after } = gap;
  return encoder.encode(
    `event: gap\nid: ${after}\ndata: ${JSON.stringify({ reason, requested, resumedAt })}\n\n`,
  );
}

/** Tells the client how long to wait before it reconnects. */
export function retryFrame(ms: number): Uint8Array {
  return encoder.encode(`retry: ${ms}\n\n`);
}

/** A notice of the stream itself: no id, so the cursor stays. */
export function noticeFrame(name: string, data: Readonly<Record<string, unknown>>): Uint8Array {
  return encoder.encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Keeps proxies from closing a quiet stream; a comment is ignored by clients. */
export const HEARTBEAT: Uint8Array = encoder.encode(":heartbeat\n\n");

/** Concatenates. */
export function joinBytes(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  let length = 0;
  for (const chunk of chunks) length += chunk.byteLength;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    joined.set(chunk, at);
    at += chunk.byteLength;
  }
  return joined;
}
