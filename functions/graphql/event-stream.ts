/** Results as an event stream: the distinct connections mode of GraphQL over Server-Sent Events (graphql-sse, PROTOCOL.md). */
import type { ExecutionResult } from "graphql";
import { encodeText, joinBytes } from "../core/bytes.ts";
import { WRITE_BYTES } from "../core/limits.ts";
import { SSE } from "../core/sse.ts";
import type { Sink } from "../ports/hub.ts";
import type { Progress } from "./request.ts";

const COMMENT = encodeText(":\n\n");
/** With a field of data, or an EventSource would not say it. */
const COMPLETE = encodeText("event: complete\ndata:\n\n");
/** Milliseconds a slow client has for what is left at the end. */
const END_MS = 5_000;

export interface Output extends Progress {
  /** The client has gone, or was answered: any number of times. */
  readonly end: () => void;
}

export function createOutput(): Output {
  const ended = new AbortController();
  return { signal: ended.signal, cursor: undefined, end: () => ended.abort() };
}

export interface SendOptions {
  readonly sink: Sink;
  readonly results: AsyncIterable<ExecutionResult>;
  readonly output: Output;
  /** The longest silence before a comment, in milliseconds. */
  readonly heartbeatMs: number;
  /** Milliseconds after which a client that takes nothing is cut, whether there is more to send to it or not. */
  readonly idleTimeoutMs: number;
}

/**
 * Sends the results, then the end; those of one turn in one write. Each of a subscription has its cursor as `id:`, so that a browser's own
 * reconnect goes on behind it. The next result is asked for when the client has taken the last ones.
 */
export async function sendResults({
  sink,
  results,
  output,
  heartbeatMs,
  idleTimeoutMs,
}: SendOptions): Promise<void> {
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  let isFull = false;
  let isDue = false;
  let wroteAtMs = 0;
  let stalled: ReturnType<typeof setTimeout> | undefined;
  let late: typeof stalled;
  /** Of who waits for room. A promise that lasted as long as the stream would keep something of everyone who has waited for it. */
  let rouse = () => {};

  const write = (chunk: Uint8Array) => {
    wroteAtMs = performance.now();
    isFull = !sink.write(chunk);
    if (isFull) stalled = setTimeout(output.end, idleTimeoutMs);
  };
  const flush = () => {
    isDue = false;
    if (isFull || pieces.length === 0) return;
    const joined = joinBytes(pieces);
    [pieces, bytes] = [[], 0];
    write(joined);
  };
  const give = (piece: Uint8Array) => {
    pieces.push(piece);
    bytes += piece.byteLength;
    if (bytes >= WRITE_BYTES) flush();
    if (isDue) return;
    isDue = true;
    setTimeout(flush, 0);
  };
  sink.onDrain = () => {
    clearTimeout(stalled);
    isFull = false;
    flush();
    if (!isFull) rouse();
  };
  const room = () =>
    new Promise<void>((resolve) => {
      rouse = resolve;
    });
  output.signal.addEventListener("abort", () => rouse());
  const beat = () => {
    const leftMs = wroteAtMs + heartbeatMs - performance.now();
    if (leftMs <= 0 && !isFull && !output.signal.aborted) write(SSE.heartbeat);
    quiet = setTimeout(beat, leftMs > 0 ? leftMs : heartbeatMs);
  };
  let quiet = setTimeout(beat, heartbeatMs);

  try {
    // Whoever opened the stream sees that it is open, and so does every proxy.
    write(COMMENT);
    for await (const result of results) {
      give(encodeResult(result, output));
      while (isFull && bytes > 0 && !output.signal.aborted) await room();
    }
    if (!output.signal.aborted) {
      give(COMPLETE);
      flush();
      late = setTimeout(output.end, END_MS);
      while (isFull && !output.signal.aborted) await room();
    }
  } finally {
    for (const timer of [quiet, stalled, late]) clearTimeout(timer);
    sink.end();
  }
}

function encodeResult(result: ExecutionResult, { cursor }: Progress): Uint8Array {
  const wait = result.errors?.[0]?.extensions.retryAfter;
  const retry = typeof wait === "number" && wait > 0 ? `retry: ${wait * 1000}\n` : "";
  const id = cursor === undefined ? "" : `id: ${cursor}\n`;
  return encodeText(`${retry}event: next\n${id}data: ${JSON.stringify(result)}\n\n`);
}
