/** A view: what members with the same encoding, format and filter see of a run of frames, joined once for all of them. */
import { joinBytes } from "../core/bytes.ts";
import type { Cursor } from "../core/cursor.ts";
import type { Encoding, FrameFormat, GapReason } from "../core/encoding.ts";
import { WRITE_BYTES } from "../core/limits.ts";
import type { EventFilter } from "../ports/hub.ts";
import { type Frame, frameBytes } from "./frame.ts";

export interface View {
  /** Encoding, format and filter as one text. */
  readonly key: string;
  readonly encoding: Encoding;
  readonly format: FrameFormat;
  /** Undefined: every event. */
  readonly filter: EventFilter | undefined;
  /** The first bytes of every stream. */
  readonly opening: Uint8Array;
  /** Members that share it. */
  members: number;
}

/** What one write brings a member from one place to another. */
export interface Batch {
  /** Undefined: the filter let nothing through. */
  readonly bytes: Uint8Array | undefined;
  /** The same as the first bytes of a stream, behind its opening; made when first asked for, so that a storm of reconnects shares it. */
  opened: Uint8Array | undefined;
  /** Frames in it. */
  readonly frames: number;
  /** The gaps among them. */
  readonly gaps: readonly GapReason[];
  /** Index of the frame after the last one looked at. */
  readonly to: number;
  /** Of the last frame looked at. */
  readonly cursor: Cursor;
  /** Frames after the last one written were filtered out: the client's cursor must still move past them. */
  readonly owesCursor: boolean;
}

/** Names a view: the same for the same encoding, format and filter. */
export function viewKey({ encoding, format, filter }: Pick<View, "encoding" | "format" | "filter">): string {
  const key = `${encoding.name} ${format}`;
  return filter === undefined ? key : `${key} ${filter.key}`;
}

export function matches({ filter }: View, frame: Frame): boolean {
  return filter === undefined || frame.type === undefined || filter.matches(frame.type, frame);
}

/**
 * Joins the frames from index `from` (below `end`) that the view lets through, at most `maxEvents` or WRITE_BYTES of them; a single
 * frame may be larger.
 */
export function cutBatch(
  frameAt: (index: number) => Frame,
  { from, end, view, maxEvents }: { from: number; end: number; view: View; maxEvents: number },
): Batch {
  const chunks: Uint8Array[] = [];
  const gaps: GapReason[] = [];
  let bytes = 0;
  let to = from;
  let owesCursor = false;
  for (; to < end; to++) {
    const frame = frameAt(to);
    owesCursor = !matches(view, frame);
    if (owesCursor) continue;
    const chunk = frameBytes(frame, view.encoding, view.format);
    if (chunks.length > 0 && (chunks.length === maxEvents || bytes + chunk.byteLength > WRITE_BYTES)) break;
    chunks.push(chunk);
    bytes += chunk.byteLength;
    if (frame.gap !== undefined) gaps.push(frame.gap.reason);
  }
  return {
    bytes: chunks.length === 0 ? undefined : joinBytes(chunks),
    opened: undefined,
    frames: chunks.length,
    gaps,
    to,
    cursor: frameAt(to - 1).cursor,
    owesCursor: to === end && owesCursor,
  };
}

/** Batches cut from a run of frames, kept by view and start while the run does not change. */
export interface BatchCache {
  batch(view: View, from: number): Batch;
  clear(): void;
}

export function createBatchCache(cut: (view: View, from: number) => Batch): BatchCache {
  const byView = new Map<View, Map<number, Batch>>();
  return {
    batch(view, from) {
      let batches = byView.get(view);
      if (batches === undefined) {
        batches = new Map();
        byView.set(view, batches);
      }
      let batch = batches.get(from);
      if (batch === undefined) {
        batch = cut(view, from);
        batches.set(from, batch);
      }
      return batch;
    },
    clear: () => byView.clear(),
  };
}
