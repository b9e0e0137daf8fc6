/** Server-sent events as Upstash frames them: one `data:` field a message, its parts separated by commas, nothing escaped. */
import type { ServerResponse } from "node:http";

/** Milliseconds of silence at most: then a comment says that the stream lives. */
const PING_MS = 5_000;
/** Milliseconds between two looks for silent streams: one timer for all of them. */
const LOOK_MS = 1_000;
/** Bytes one client may be behind before it is cut: of a channel's clients, all hold the same bytes. */
const MAX_BEHIND_BYTES = 1024 * 1024;
/** Milliseconds a client may take nothing of what waits for it: comments alone would take hours to put it too far behind. */
const STALLED_MS = 60_000;

const PING = Buffer.from(": ping\n\n");

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-cache, no-store, no-transform",
  "x-accel-buffering": "no",
};

/** One client that listens. */
export interface SseStream {
  /** Sends the header with the first frame. */
  open(frame: Buffer): void;
  /** A client that is too far behind is cut instead: it reconnects, and reads what it missed from the store. */
  write(frame: Buffer): void;
  /** After what was written. */
  end(): void;
}

export interface SseStreams extends Disposable {
  /** Undefined when too many are open. `onGone` runs once, however the stream ends. */
  add(response: ServerResponse, onGone: () => void): SseStream | undefined;
  /** Ends every one. */
  endAll(): void;
}

interface State {
  quietSinceMs: number;
  /** When some of what waits for the client was taken, or nothing waited. */
  movedMs: number;
  /** Bytes that waited at the last look, and were added since. */
  behindBytes: number;
  readonly response: ServerResponse;
}

/**
 * @param maxStreams Open at once.
 * @param onSlow Called when a client is cut for being slow.
 * @param stalledMs Default 60,000.
 */
export function createSseStreams(
  maxStreams: number,
  onSlow: () => void,
  stalledMs: number = STALLED_MS,
): SseStreams {
  const streams = new Map<SseStream, State>();
  const cut = (response: ServerResponse) => {
    onSlow();
    response.destroy();
  };
  const lookAt = (stream: SseStream, state: State, nowMs: number) => {
    const { response } = state;
    const behindBytes = response.writableLength;
    if (behindBytes === 0 || behindBytes < state.behindBytes) state.movedMs = nowMs;
    state.behindBytes = behindBytes;
    if (nowMs - state.movedMs > stalledMs) cut(response);
    else if (nowMs - state.quietSinceMs > PING_MS - LOOK_MS) stream.write(PING);
  };
  const lookAtAll = () => {
    const nowMs = performance.now();
    for (const [stream, state] of streams) lookAt(stream, state, nowMs);
  };
  let timer: NodeJS.Timeout | undefined;

  return {
    add(response, onGone) {
      if (streams.size >= maxStreams) return undefined;
      const state: State = {
        quietSinceMs: Number.POSITIVE_INFINITY,
        ...{ movedMs: performance.now(), behindBytes: 0, response },
      };
      const stream: SseStream = {
        open(frame) {
          if (response.destroyed) return;
          response.writeHead(200, HEADERS);
          this.write(frame);
        },
        write(frame) {
          if (response.destroyed || response.writableEnded) return;
          if (response.writableLength > MAX_BEHIND_BYTES) return cut(response);
          response.write(frame);
          state.behindBytes += frame.byteLength;
          state.quietSinceMs = performance.now();
        },
        end() {
          if (response.headersSent) response.end();
        },
      };
      streams.set(stream, state);
      timer ??= setInterval(lookAtAll, LOOK_MS);
      response.once("close", () => {
        streams.delete(stream);
        if (streams.size === 0) {
          clearInterval(timer);
          timer = undefined;
        }
        onGone();
      });
      return stream;
    },
    endAll() {
      for (const stream of streams.keys()) stream.end();
    },
    [Symbol.dispose]() {
      clearInterval(timer);
    },
  };
}

/**
 * `data: message,chat,hello`. A line break in it begins a further field, as it must (WHATWG HTML, "Interpreting an event stream"), but one
 * without the usual space: @upstash/redis takes every line that begins with `data: ` for a message, and would take text of one for
 * another message. A carriage return reads as a line feed.
 */
export function encodeFrame(text: string): Buffer {
  const [first, ...more] = text.split(/\r\n|\r|\n/);
  const lines = [`data: ${first}`, ...more.map((line) => `data:${line.startsWith(" ") ? " " : ""}${line}`)];
  return Buffer.from(`${lines.join("\n")}\n\n`);
}
