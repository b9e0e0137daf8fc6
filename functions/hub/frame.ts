/** A frame: one event, or one gap, as it goes to clients. Encoded when first asked for, once a format, whatever the number of clients. */
import type { Cursor } from "../core/cursor.ts";
import { type EventRecord, recordType } from "../core/event.ts";
import type { EventType } from "../core/ids.ts";
import type { LogEntry } from "../core/log-entry.ts";
import { eventFrame, type FrameFormat, type GapReason } from "../core/sse.ts";

export interface Frame {
  /** What a client holds that has it. */
  readonly cursor: Cursor;
  /** Undefined of a gap. */
  readonly type: EventType | undefined;
  /** Every filter lets a gap through. */
  readonly gap: GapReason | undefined;
  /** Empty for a gap. */
  readonly record: EventRecord;
  readonly encoded: { data: Uint8Array | undefined; cloudevents: Uint8Array | undefined };
}

export function frameOf({ cursor, record }: LogEntry): Frame {
  const encoded = { data: undefined, cloudevents: undefined };
  return { cursor, type: recordType(record), gap: undefined, record, encoded };
}

/** A gap as a frame: its bytes are the same in every format. `cursor` is where reading goes on. */
export function gapAsFrame(gap: GapReason, cursor: Cursor, bytes: Uint8Array): Frame {
  const encoded = { data: bytes, cloudevents: bytes };
  return { cursor, type: undefined, gap, record: "" as EventRecord, encoded };
}

export function frameBytes(frame: Frame, format: FrameFormat): Uint8Array {
  const known = frame.encoded[format];
  if (known !== undefined) return known;
  const bytes = eventFrame(frame.cursor, frame.record, format);
  frame.encoded[format] = bytes;
  return bytes;
}

/** About the bytes a frame holds in memory: its record, and once more encoded. */
export function frameWeight({ record }: Frame): number {
  return 2 * record.length + 200;
}
