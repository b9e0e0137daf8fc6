/** One stream as a browser opens it, and everything about its way here: when bytes came, in what coding, and how it ended. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { createSseParser, type SseParser } from "../conformance/sse-parser.ts";

export interface ProbedStream {
  readonly status: number;
  /** Names in lower case; one that came twice is joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
  readonly parsed: SseParser;
  /** The body's first bytes as they came, at most 10: what a gzip header has. */
  readonly head: Uint8Array;
  /** Milliseconds of `performance.now()` of each chunk that could be decoded. */
  readonly timesMs: readonly number[];
  readonly ended: boolean;
  /** True as soon as `met` is; false when `timeoutMs` pass, or the stream ends, without it. */
  until(met: () => boolean, timeoutMs: number): Promise<boolean>;
  close(): void;
}

const DECODERS: Readonly<Record<string, () => NodeJS.ReadWriteStream & Readable>> = {
  gzip: createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};
const HEAD_BYTES = 10;

/** Undefined when no response headers come within `timeoutMs`. Rejects when the connection fails. */
export async function openStream(
  url: URL,
  headers: Readonly<Record<string, string>>,
  timeoutMs: number,
): Promise<ProbedStream | undefined> {
  const response = Promise.withResolvers<IncomingMessage | undefined>();
  const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
    headers: {
      accept: "text/event-stream",
      "cache-control": "no-cache",
      connection: "keep-alive",
      ...headers,
    },
    agent: false,
  });
  const timer = setTimeout(() => response.resolve(undefined), timeoutMs);
  request.once("response", response.resolve);
  // A connection that is cut later ends the stream: that is looked at there.
  request.on("error", response.reject);
  request.end();
  const message = await response.promise.finally(() => clearTimeout(timer));
  if (message === undefined) {
    request.destroy();
    return undefined;
  }
  return watch(message, () => void request.destroy());
}

function watch(message: IncomingMessage, close: () => void): ProbedStream {
  const parser = createSseParser();
  const timesMs: number[] = [];
  const watchers = new Set<() => void>();
  let head = Buffer.alloc(0);
  let ended = false;
  const notify = () => {
    for (const look of watchers) look();
  };
  const headers = Object.fromEntries(
    Object.entries(message.headers).map(([name, value]) => [name, String(value ?? "")]),
  );
  const decode = DECODERS[headers["content-encoding"] ?? ""];
  message.on("data", (bytes: Buffer) => {
    if (head.length < HEAD_BYTES) head = Buffer.concat([head, bytes]).subarray(0, HEAD_BYTES);
  });
  message.on("error", () => {});
  const body: Readable = decode ? message.pipe(decode()) : message;
  body.on("data", (bytes: Buffer) => {
    const now = performance.now();
    timesMs.push(now);
    parser.push(bytes, now);
    notify();
  });
  body.on("error", () => {});
  message.once("close", () => {
    ended = true;
    notify();
  });
  return {
    status: message.statusCode ?? 0,
    headers,
    parsed: parser,
    get head() {
      return head;
    },
    timesMs,
    get ended() {
      return ended;
    },
    until: (met, timeoutMs) =>
      new Promise((resolve) => {
        const done = (result: boolean) => {
          clearTimeout(timer);
          watchers.delete(look);
          resolve(result);
        };
        const look = () => {
          if (met()) done(true);
          else if (ended) done(false);
        };
        const timer = setTimeout(() => done(met()), timeoutMs);
        watchers.add(look);
        look();
      }),
    close,
  };
}
