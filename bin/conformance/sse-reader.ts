/** An open event stream: everything that came on it, when, and the means to stop reading or to cut it. */
import type { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { isEventStream, type RequestOptions, sendRequest } from "./http.ts";
import { createSseParser, type SseParser } from "./sse-parser.ts";

export interface SseStream {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The response says it is an event stream. */
  readonly isEventStream: boolean;
  readonly parsed: SseParser;
  /** Milliseconds of `performance.now()`: when the headers came, and when each chunk of the body did. */
  readonly openedMs: number;
  readonly chunkTimesMs: readonly number[];
  /** The server has ended it, or the connection is lost. */
  readonly ended: boolean;
  /** True as soon as `met` is; false when `timeoutMs` pass, or the stream ends, without it. Looks again at every chunk. */
  until(met: () => boolean, timeoutMs: number): Promise<boolean>;
  /** Stops taking bytes off the socket: a client that has hung. `resume` takes them again. */
  pause(): void;
  resume(): void;
  /** Closes the connection, as a tab does; `reset` cuts it by a TCP reset. */
  close(): void;
  reset(): void;
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
  const watchers = new Set<() => void>();
  let ended = false;
  const notify = () => {
    for (const watch of watchers) watch();
  };

  const decode = DECODERS[response.headers["content-encoding"] ?? ""];
  const body: Readable = decode ? response.message.pipe(decode()) : response.message;
  body.on("data", (bytes: Buffer) => {
    const now = performance.now();
    chunkTimesMs.push(now);
    parser.push(bytes, now);
    notify();
  });
  body.on("error", () => {});
  response.message.once("close", () => {
    ended = true;
    notify();
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
    until: (met, timeoutMs) =>
      new Promise((resolve) => {
        const done = (result: boolean) => {
          clearTimeout(timer);
          watchers.delete(watch);
          resolve(result);
        };
        const watch = () => {
          if (met()) done(true);
          else if (ended) done(false);
        };
        const timer = setTimeout(() => done(met()), timeoutMs);
        watchers.add(watch);
        watch();
      }),
    pause: () => void body.pause(),
    resume: () => void body.resume(),
    close: response.close,
    reset: response.reset,
  };
}
