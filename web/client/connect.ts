/** Events of the log as text, with their cursors and gaps, over server-sent events alone: what a page needs that looks at the wire. */
import { gapOf, parseJson, type StreamGap } from "./item.ts";
import { openStream, type Stream, type StreamOptions } from "./stream.ts";

/** One event of the log. */
export interface StreamEvent {
  readonly type: string;
  /** JSON text, as it came. */
  readonly data: string;
  /** Where it stands in the log; opaque. */
  readonly cursor: string;
}

export interface ConnectOptions extends Omit<StreamOptions, "onMessage"> {
  onEvent(event: StreamEvent): void;
  onGap(gap: StreamGap): void;
}

/** A stream of events, kept open: nothing is lost or given twice over a cut. What has no cursor is the stream's own word, and kept from the caller. */
export function connect(url: string | URL, options: ConnectOptions): Stream {
  return openStream(url, {
    ...options,
    onState: (state) => options.onState(state),
    onMessage({ type, data, id }) {
      if (id === undefined) return;
      if (type === "gap") options.onGap(gapOf(parseJson(data)));
      else options.onEvent({ type, data, cursor: id });
    },
  });
}
