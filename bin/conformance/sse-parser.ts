/**
 * A strict event stream parser (WHATWG HTML 9.2.5, 9.2.6) that keeps what a browser throws away: comments, blocks without
 * data, unknown fields, bytes that are not UTF-8. A second opinion on the wire: nothing of the server's encoder is used.
 */

/** What a browser would dispatch. */
export interface SseEvent {
  /** `message` when the block named none. */
  readonly type: string;
  readonly data: string;
  /** The last event id at the moment of dispatch: what a reconnect sends. */
  readonly lastEventId: string;
  /** Milliseconds of `performance.now()` when the blank line arrived. */
  readonly atMs: number;
}

/** The lines up to one blank line. */
interface SseBlock {
  /** Field names and values in order; a comment has the name "". */
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Undefined when the block dispatches nothing (no data). */
  readonly event: SseEvent | undefined;
  readonly atMs: number;
}

export interface SseParser {
  push(bytes: Uint8Array, atMs: number): void;
  readonly blocks: readonly SseBlock[];
  readonly events: readonly SseEvent[];
  readonly comments: number;
  /** The last event id now: moved by blocks without data too. */
  readonly lastEventId: string;
  /** Breaches of the standard, in words: bytes that are not UTF-8, fields it does not define, unusable values. */
  readonly problems: readonly string[];
  /** What has come of a block that has not ended; a browser discards it at the end of the stream. */
  unfinished(): string;
}

const FIELDS = new Set(["", "event", "data", "id", "retry"]);

export function createSseParser(): SseParser {
  const decoder = new TextDecoder();
  const strict = new TextDecoder("utf-8", { fatal: true });
  const blocks: SseBlock[] = [];
  const events: SseEvent[] = [];
  const problems: string[] = [];
  let isUtf8 = true;
  let comments = 0;
  let text = "";
  let skipLineFeed = false;
  let lastEventId = "";
  let idBuffer = "";
  let fields: [string, string][] = [];
  let type = "";
  let data: string[] = [];

  const readLine = (line: string, atMs: number) => {
    if (line === "") return endBlock(atMs);
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const after = colon < 0 ? "" : line.slice(colon + 1);
    const value = after.startsWith(" ") ? after.slice(1) : after;
    fields.push([name, value]);
    if (name === "") comments++;
    else if (!FIELDS.has(name)) problems.push(`a line that is no field: ${show(line)}`);
    else if (name === "event") type = value;
    else if (name === "data") data.push(value);
    else if (name === "id") {
      if (value.includes("\0")) problems.push(`an id with U+0000, which clients ignore: ${show(value)}`);
      else idBuffer = value;
    } else if (name === "retry" && !/^\d+$/.test(value)) {
      problems.push(`a retry that is not digits, which clients ignore: ${show(value)}`);
    }
  };

  const endBlock = (atMs: number) => {
    lastEventId = idBuffer;
    const event =
      data.length > 0 ? { type: type || "message", data: data.join("\n"), lastEventId, atMs } : undefined;
    if (event) events.push(event);
    if (fields.length > 0) blocks.push({ fields, event, atMs });
    fields = [];
    type = "";
    data = [];
  };

  return {
    blocks,
    events,
    problems,
    get comments() {
      return comments;
    },
    get lastEventId() {
      return lastEventId;
    },
    unfinished: () => fields.map(([name, value]) => `${name}: ${value}\n`).join("") + text,
    push(bytes, atMs) {
      if (isUtf8) {
        try {
          strict.decode(bytes, { stream: true });
        } catch {
          isUtf8 = false;
          problems.push("bytes that are not UTF-8");
        }
      }
      text += decoder.decode(bytes, { stream: true });
      let start = 0;
      if (skipLineFeed && text !== "") {
        if (text.startsWith("\n")) start = 1;
        skipLineFeed = false;
      }
      const ends = /\r\n?|\n/g;
      ends.lastIndex = start;
      for (let end = ends.exec(text); end; end = ends.exec(text)) {
        readLine(text.slice(start, end.index), atMs);
        start = ends.lastIndex;
        // A line feed that is still on its way belongs to this carriage return.
        skipLineFeed = end[0] === "\r" && start === text.length;
      }
      text = text.slice(start);
    },
  };
}

/** An untrusted value for a report: JSON-quoted, at most 60 characters. */
export function show(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}
