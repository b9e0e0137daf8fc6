/** What an event stream says of the log, whatever carried it. */

/** The server says that events between two cursors cannot be delivered. */
export interface StreamGap {
  /**
   * `expired`: they were kept no longer; `reset`: the log was lost and made again, so a state built from events is to be loaded anew;
   * `dropped`: they were skipped to keep up. Another word is a newer server's.
   */
  readonly reason: string;
  readonly requested: string;
  /** The cursor of the event that follows. */
  readonly resumedAt: string;
}

/** One step through the log: a gap, an event, a gap and the event behind it, or (with neither) events that were not asked for. */
export interface Item {
  /** Where the reader stands behind it. */
  readonly cursor: string;
  /** Where it stood before; empty when that is not known. */
  readonly prev: string;
  readonly gap?: StreamGap | undefined;
  readonly type?: string | undefined;
  readonly data?: unknown;
}

/** What a gap says. Anything may come in: what is no text is left empty. */
export function gapOf(value: unknown): StreamGap {
  const gap = Object(value);
  const text = (member: unknown): string => (typeof member === "string" ? member : "");
  return {
    reason: text(gap.reason) || "unknown",
    requested: text(gap.requested),
    resumedAt: text(gap.resumedAt),
  };
}

/** `undefined` of what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
