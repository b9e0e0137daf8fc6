/** What a stream of Server-Sent Events said, read back: by whoever follows the events of a company in this process, or over a Durable Object's answer. */
import type { Cursor } from "../core/cursor.ts";
import type { EventRecord } from "../core/event.ts";
import type { StreamItem } from "../ports/live.ts";

/** An item, or the wait before a reconnect: it opens a stream, and precedes an end after which one may come back at once. */
export type FollowedFrame = Exclude<StreamItem, { kind: "end" }> | { readonly kind: "retry" };

/** Whole frames, as the encoding SSE writes them in the format `cloudevents`. */
export function decodeFrames(text: string): FollowedFrame[] {
  const frames: FollowedFrame[] = [];
  for (const block of text.split("\n\n")) if (block !== "") frames.push(decodeFrame(block));
  return frames;
}

function decodeFrame(block: string): FollowedFrame {
  if (block.startsWith(":")) return { kind: "heartbeat" };
  const fields: { event?: string; id?: string; data?: string; retry?: string } = {};
  for (const line of block.split("\n")) {
    const at = line.indexOf(": ");
    fields[line.slice(0, at) as keyof typeof fields] = line.slice(at + 2);
  }
  if (fields.retry !== undefined) return { kind: "retry" };
  const cursor = fields.id as Cursor | undefined;
  const { event: name = "", data } = fields;
  if (data === undefined) return { kind: "cursor", cursor: cursor! };
  if (cursor === undefined) return { kind: "notice", name, data: JSON.parse(data) };
  if (name === "gap") return { kind: "gap", cursor, gap: JSON.parse(data) };
  return { kind: "event", cursor, record: data as EventRecord };
}

/** For bytes that may be cut anywhere: returns the frames that are whole by now. */
export function createFrameReader(): (bytes: Uint8Array) => FollowedFrame[] {
  const decoder = new TextDecoder();
  let rest = "";
  return (bytes) => {
    const text = rest + decoder.decode(bytes, { stream: true });
    const end = text.lastIndexOf("\n\n");
    if (end < 0) {
      rest = text;
      return [];
    }
    rest = text.slice(end + 2);
    return decodeFrames(text.slice(0, end));
  };
}
