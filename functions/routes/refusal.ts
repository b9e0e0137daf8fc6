/**
 * Refusals that will pass. Any status but 200 makes a browser's EventSource give up for good (WHATWG HTML 9.2.3), so one that
 * accepts event streams is told in a stream: when to come back, why, and the end. Others get a status and Retry-After.
 */
import type { Context } from "hono";
import { jitter } from "../core/backoff.ts";
import { REFUSED_RETRY_MS, type Refused, refusalFrames } from "../core/refusals.ts";
import { SSE } from "../core/sse.ts";
import type { Sink } from "../ports/hub.ts";
import { problem } from "./answer.ts";

/** The refusal as the whole of a stream. */
export function writeRefusal(sink: Sink, refused: Refused): void {
  sink.write(refusalFrames(SSE, refused));
  sink.end();
}

/** The refusal for a client that does not read event streams. */
export function refuseByStatus(
  c: Context,
  { status, message }: Refused,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const seconds = Math.ceil(jitter(REFUSED_RETRY_MS) / 1000);
  return problem(c, status, message, { ...headers, "retry-after": String(seconds) });
}

/** Whether the client reads event streams: the most specific range counts; no header at all accepts everything (RFC 9110 section 12.5.1). */
export function acceptsEventStream(accept: string | undefined): boolean {
  if (accept === undefined) return true;
  const ranges = accept.split(",").map((range) => range.split(";").map((part) => part.trim().toLowerCase()));
  for (const wanted of ["text/event-stream", "text/*", "*/*"]) {
    const found = ranges.find(([type]) => type === wanted);
    if (found) return !found.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  }
  return false;
}
