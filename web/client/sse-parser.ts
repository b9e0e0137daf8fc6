/**
 * Server-Sent Events off the wire: bytes in, events out, as WHATWG HTML 9.2.5 and 9.2.6 say ("parsing an event stream",
 * "interpreting an event stream"). The browser's own EventSource hands named events only to listeners registered by name; a
 * page that shows events of any type needs this.
 */

/** One dispatched event. */
export interface SseEvent {
  /** The `event:` field; `message` when there was none. */
  readonly type: string;
  /** The `data:` lines, joined by line feeds. */
  readonly data: string;
  /** The `id:` of this very block; undefined when it had none (then {@link SseParser.lastEventId} is an older one). */
  readonly id: string | undefined;
}

export interface SseHandlers {
  onEvent(event: SseEvent): void;
  /** The server's reconnection time in milliseconds, as sent: the caller bounds it. */
  onRetry(ms: number): void;
}

export interface SseParser {
  /** Takes the next bytes, cut anywhere. What is malformed is skipped, as the standard says; nothing throws but the handlers. */
  push(bytes: Uint8Array): void;
  /** What to send as `Last-Event-ID`. Moves when a block ends, also one without data. */
  readonly lastEventId: string;
}

/** A parser for one response: a block that the response's end cuts short is dropped with the parser. */
export function createSseParser(handlers: SseHandlers, lastEventId = ""): SseParser {
  // Drops one leading byte order mark, and keeps a character that a chunk cuts in two.
  const decoder = new TextDecoder();
  let rest = "";
  let scanned = 0;
  let skipLineFeed = false;

  let type = "";
  let data: string[] = [];
  let id: string | undefined;

  function endBlock(): void {
    if (id !== undefined) lastEventId = id;
    const event = data.length > 0 ? { type: type || "message", data: data.join("\n"), id } : undefined;
    type = "";
    data = [];
    id = undefined;
    if (event) handlers.onEvent(event);
  }

  function readLine(line: string): void {
    if (line === "") {
      endBlock();
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") data.push(value);
    else if (field === "event") type = value;
    else if (field === "id" && !value.includes("\0")) id = value;
    else if (field === "retry" && /^[0-9]+$/.test(value)) handlers.onRetry(Number(value));
  }

  return {
    push(bytes) {
      let text = decoder.decode(bytes, { stream: true });
      if (text === "") return;
      // A line that ended with the CR of the last chunk was read at once; an LF behind it is the other half of its CRLF.
      if (skipLineFeed && text[0] === "\n") text = text.slice(1);
      skipLineFeed = text.endsWith("\r");
      rest += text;
      let start = 0;
      const lineEnd = /\r\n|\r|\n/g;
      lineEnd.lastIndex = scanned;
      for (let found = lineEnd.exec(rest); found; found = lineEnd.exec(rest)) {
        readLine(rest.slice(start, found.index));
        start = lineEnd.lastIndex;
      }
      rest = rest.slice(start);
      scanned = rest.length;
    },
    get lastEventId() {
      return lastEventId;
    },
  };
}
