/**
 * The stream as it gets here. Millrace sends `retry:` at once and a comment after each HEARTBEAT_MS of silence, and says `retry:` before it
 * ends a stream itself (PROTOCOL.md). What comes later, or ends otherwise, was held or cut on the way.
 */
import type { Outcome } from "./examine.ts";
import { openStream, type ProbedStream } from "./open-stream.ts";
import {
  AT_ONCE_MS,
  authorization,
  SLACK_MS,
  STRANGER,
  seconds,
  streamUrl,
  type UrlTarget,
} from "./target.ts";

/** Milliseconds from a farewell to the end behind it. */
const FAREWELL_MS = 1_000;

const NO_BUFFER =
  'nginx: "proxy_buffering off;" where the streams are, and no "proxy_ignore_headers X-Accel-Buffering;" (an nginx behind an nginx passes that header on by "proxy_pass_header X-Accel-Buffering;"); others: switch response buffering off (docs/proxies.md)';

/** The stream once its first frame is here, or why there is none. */
export type Opening =
  | { readonly stream: ProbedStream }
  /** `isForAll`: whatever else is asked for would be answered alike. */
  | { readonly outcome: Outcome; readonly isForAll: boolean };

export async function openFirst(target: UrlTarget): Promise<Opening> {
  const headers = { ...authorization(target), "accept-encoding": "identity", origin: STRANGER };
  const stream = await openStream(streamUrl(target), headers, AT_ONCE_MS);
  const outcome = stream === undefined ? held("response header") : await refusalOf(stream, target);
  if (stream !== undefined && outcome === undefined) return { stream };
  stream?.close();
  return { outcome: outcome!, isForAll: stream?.status === 401 || stream?.status === 404 };
}

const held = (what: string): Outcome => ({
  fault: `buffered: no ${what} within ${seconds(AT_ONCE_MS)}, expected at once, as the server sends it`,
  next: NO_BUFFER,
});

/** Undefined: it streams. */
async function refusalOf(stream: ProbedStream, { token }: UrlTarget): Promise<Outcome | undefined> {
  const { status, headers } = stream;
  if (status >= 300 && status < 400) return redirected(status, headers.location);
  if (status === 401 && token === undefined)
    return { note: "not looked at: it wants a token (--token, from npx millrace token)" };
  if (status === 401)
    return {
      fault: "answers 401 although a token was sent: it is not valid there, or the proxy drops the header",
      next: 'correct --token; nginx: no "proxy_set_header Authorization" of its own and no auth_basic where the streams are',
    };
  if (status === 404) return { note: "not looked at: no streams here (404), as of a bridge" };
  const type = headers["content-type"] ?? "no content-type";
  if (status !== 200 || !/^text\/event-stream\b/.test(type)) {
    return {
      fault: `answers ${status} (${type}), expected 200 and text/event-stream`,
      next:
        status >= 502
          ? "start the server behind the proxy, or correct proxy_pass; the proxy's error log has the reason"
          : "send this path to Millrace as it is: something else answers it, or refuses it (403: --company is not the token's)",
    };
  }
  if (await stream.until(() => stream.parsed.blocks.length > 0, AT_ONCE_MS)) {
    const [notice] = stream.parsed.events;
    if (!stream.ended || notice === undefined) return undefined;
    return { note: `not looked at: the server refuses streams for now (${notice.type})` };
  }
  return held("first frame");
}

export function redirected(status: number, location = "nowhere"): Outcome {
  return {
    fault: `redirects (${status} to ${location}), expected the answer itself`,
    next: "use the address it names, here and in the page: EventSource follows, but a POST and a WebSocket do not, and a token is dropped on the way to another origin",
  };
}

/** Follows a quiet stream to its first heartbeat. */
export async function watchSilence(stream: ProbedStream, { heartbeatMs }: UrlTarget): Promise<Outcome> {
  const { parsed, timesMs } = stream;
  const startMs = performance.now();
  const comments = parsed.comments;
  const beaten = await stream.until(() => parsed.comments > comments, heartbeatMs + SLACK_MS);
  const times = [timesMs.at(0) ?? startMs, ...timesMs.slice(1), performance.now()];
  const gaps = times.slice(1).map((ms, index) => ms - times[index]!);
  const silence = Math.max(...gaps);
  if (beaten) return `heartbeat after ${seconds(silence)} of silence`;
  if (stream.ended && saidFarewell(stream)) return { note: "the server ended it before a heartbeat was due" };
  if (stream.ended)
    return {
      fault: `idle timeout: cut after ${seconds(gaps.at(-1)!)} of silence, expected a heartbeat first (HEARTBEAT_MS ${heartbeatMs})`,
      next: `nginx: "proxy_read_timeout 24h;" where the streams are (its default is 60s); others: raise their idle timeout, or set HEARTBEAT_MS of the server below it`,
    };
  if (silence < heartbeatMs)
    return { note: `never silent for ${seconds(heartbeatMs)}, so no heartbeat was due (--company of less)` };
  return {
    fault: `no heartbeat: nothing came for ${seconds(silence)}, expected a comment after ${seconds(heartbeatMs)}; what is small is held on the way`,
    next: `${NO_BUFFER}; or say the server's own HEARTBEAT_MS by --heartbeat-ms`,
  };
}

/** A server that ends a stream says when to come back, right before. */
function saidFarewell({ parsed, timesMs }: ProbedStream): boolean {
  const last = parsed.blocks.at(-1);
  const isRetry = last?.fields.some(([name]) => name === "retry") ?? false;
  const isOpening = parsed.blocks.length === 1;
  return isRetry && !isOpening && performance.now() - (timesMs.at(-1) ?? 0) < FAREWELL_MS;
}

/** Byte 9 of a gzip header is the operating system (RFC 1952): zlib, and so a proxy, names one, Millrace says unknown. */
const OS_BYTE = 9;
const OS_UNKNOWN = 0xff;

/** Opens the stream with a browser's Accept-Encoding. Called where an uncompressed one came through. */
export async function watchCompression(target: UrlTarget): Promise<Outcome> {
  const headers = { ...authorization(target), "accept-encoding": "gzip, deflate, br, zstd" };
  const stream = await openStream(streamUrl(target), headers, AT_ONCE_MS);
  const next =
    'nginx: take text/event-stream (and *) out of gzip_types, or "gzip off;" where the streams are; others: let Cache-Control: no-transform be obeyed. Millrace compresses by itself (STREAM_COMPRESSION)';
  if (stream === undefined) {
    return {
      fault: `compression without flush: with Accept-Encoding no response header within ${seconds(AT_ONCE_MS)}, without it at once`,
      next,
    };
  }
  try {
    const coding = stream.headers["content-encoding"];
    const came = await stream.until(() => stream.parsed.blocks.length > 0, AT_ONCE_MS);
    if (coding === undefined) return came ? "not compressed" : held("first frame");
    const isOwn = coding === "gzip" && stream.head[OS_BYTE] === OS_UNKNOWN;
    if (!came)
      return {
        fault: `compression without flush: content-encoding ${coding}, and nothing to decode within ${seconds(AT_ONCE_MS)}`,
        next,
      };
    if (isOwn) return "compressed by the server, flushed at once";
    return {
      fault: `compressed on the way (content-encoding ${coding}), against no-transform: a compressor a client, where the server shares one`,
      next,
    };
  } finally {
    stream.close();
  }
}
