/** An open event stream: everything that came on it, when, and the means to stop reading or to cut it. */
import type { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { isEventStream, type RequestOptions, sendRequest } from "./http.ts";
import { createSseParser, type SseParser } from "./sse-parser.ts";
import type { Stream } from "./stream.ts";
import { createWatch } from "./watch.ts";

export interface SseStream extends Stream {
  readonly status: number;
  /** The response says it is an event stream. */
  readonly isEventStream: boolean;
  readonly parsed: SseParser;
  /** Milliseconds of `performance.now()`: when the headers came, and when each chunk of the body did. */
  readonly openedMs: number;
  readonly chunkTimesMs: readonly number[];
}

const DECODERS: Readonly<Record<string, () => NodeJS.ReadWriteStream & Readable>> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/** Opens a stream. Resolves with any status once the headers are there; rejects when they do not come in time. */
export async function openStream(url: URL, options: RequestOptions): Promise<SseStream> {
  const response = await sendRequest(url, options);
  const parser = createSseParser();
  const chunkTimesMs: number[] = [];
  let ended = false;
  const watch = createWatch(() => ended);

  const decode = DECODERS[response.headers["content-encoding"] ?? ""];
  const body: Readable = decode ? response.message.pipe(decode()) : response.message;
  body.on("data", (bytes: Buffer) => {
    const now = performance.now();
    chunkTimesMs.push(now);
    parser.push(bytes, now);
    watch.changed();
  });
  body.on("error", () => {});
  response.message.once("close", () => {
    ended = true;
    watch.changed();
  });

  return {
    status: response.status,
    headers: response.headers,
    isEventStream: isEventStream(response),
    parsed: parser,
    openedMs: performance.now(),
    chunkTimesMs,
    get ended() {
      return ended;
    },
    until: watch.until,
    pause: () => void body.pause(),
    resume: () => void body.resume(),
    close: response.close,
    reset: response.reset,
  };
}
