/** Server-Sent Events on the wire (WHATWG HTML, 9.2 server-sent events). */
import { encodeText } from "./bytes.ts";
import type { Encoding } from "./encoding.ts";
import { recordData, recordType } from "./event.ts";

/** No cache keeps any of it, no proxy changes it, and nginx hands every byte on at once (`X-Accel-Buffering`, ngx_http_proxy_module). */
export const EVENT_STREAM_HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "private, no-cache, no-store, no-transform",
  "x-accel-buffering": "no",
} as const;

/** A frame is an event's lines and an empty one; a comment is ignored by clients. */
export const SSE: Encoding = {
  name: "sse",
  event(cursor, record, format) {
    const data = format === "data" ? recordData(record) : record;
    return encodeText(`event: ${recordType(record)}\nid: ${cursor}\ndata: ${data}\n\n`);
  },
  // An id with no data dispatches nothing (WHATWG HTML 9.2.6, "dispatch the event", step 2).
  cursor: (cursor) => encodeText(`id: ${cursor}\n\n`),
  // As an event, where a bare EventSource sees it.
  gap: ({ reason, requested, resumedAt, after }) =>
    encodeText(`event: gap\nid: ${after}\ndata: ${JSON.stringify({ reason, requested, resumedAt })}\n\n`),
  retry: (ms) => encodeText(`retry: ${ms}\n\n`),
  notice: (name, data) => encodeText(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`),
  heartbeat: encodeText(":heartbeat\n\n"),
};
