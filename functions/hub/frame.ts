/** A frame: one event, or one gap, as it goes to clients. Encoded when first asked for, once an encoding and format, whatever the number of clients. */
import type { Cursor } from "../core/cursor.ts";
import type { Encoding, FrameFormat, Gap } from "../core/encoding.ts";
import { type EventRecord, recordType } from "../core/event.ts";
import type { EventType } from "../core/ids.ts";
import type { LogEntry } from "../core/log-entry.ts";

export interface Frame {
  /** What a client holds that has it. */
  readonly cursor: Cursor;
  /** Undefined of a gap. */
  readonly type: EventType | undefined;
  /** Every filter lets a gap through. */
  readonly gap: Gap | undefined;
  /** Empty for a gap. */
  readonly record: EventRecord;
  readonly encoded: { [Key in FrameKey]?: Uint8Array };
}

/** Names an encoding and a format. */
export type FrameKey = `${Encoding["name"]} ${FrameFormat}`;

export function frameOf({ cursor, record }: LogEntry): Frame {
  return { cursor, type: recordType(record), gap: undefined, record, encoded: {} };
}

/** A gap as a frame: says the same in every format. */
export function gapAsFrame(gap: Gap): Frame {
  return { cursor: gap.after, type: undefined, gap, record: "" as EventRecord, encoded: {} };
}

export function frameBytes(frame: Frame, encoding: Encoding, format: FrameFormat): Uint8Array {
  const key: FrameKey = `${encoding.name} ${format}`;
  const known = frame.encoded[key];
  if (known !== undefined) return known;
  const { gap, cursor, record } = frame;
  const bytes = gap === undefined ? encoding.event(cursor, record, format) : encoding.gap(gap);
  frame.encoded[key] = bytes;
  return bytes;
}

/** About the bytes a frame holds in memory: its record, and once more encoded. */
export function frameWeight({ record }: Frame): number {
  return 2 * record.length + 200;
}
