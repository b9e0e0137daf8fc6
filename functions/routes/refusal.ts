/**
 * Refusals that will pass. Any status but 200 makes a browser's EventSource give up for good (WHATWG HTML 9.2.3), so one that
 * accepts event streams is told in a stream: when to come back, why, and the end. Others get a status and Retry-After.
 */
import type { Context } from "hono";
import { jitter } from "../core/backoff.ts";
import { joinBytes, noticeFrame, retryFrame } from "../core/sse.ts";
import type { Sink } from "../ports/hub.ts";
import { problem } from "./answer.ts";

/** Milliseconds, jittered, after which a refused client comes back: what refuses lasts for seconds (a restart, a full house). */
const RETRY_MS = 5_000;

export interface Refused {
  /** Names the event; one of the types no event of a company may have. */
  readonly reason: "busy" | "draining" | "disabled";
  readonly status: 429 | 503;
  readonly message: string;
}

export const REFUSALS = {
  busy: {
    reason: "busy",
    status: 429,
    message: "Too many streams of this company are open, try again later",
  },
  draining: { reason: "draining", status: 503, message: "This instance is about to stop, try again" },
  disabled: { reason: "disabled", status: 503, message: "Streaming is switched off, try again later" },
  /** The keys that tokens are checked with cannot be had. */
  unverifiable: {
    reason: "busy",
    status: 503,
    message: "Tokens cannot be checked at the moment, try again later",
  },
} as const satisfies Record<string, Refused>;

/** The refusal as the whole of a stream. No id: the client's cursor stays. */
export function writeRefusal(sink: Sink, { reason, message }: Refused): void {
  sink.write(joinBytes([retryFrame(jitter(RETRY_MS)), noticeFrame(reason, { reason, message })]));
  sink.end();
}

/** The refusal for a client that does not read event streams. */
export function refuseByStatus(c: Context, { status, message }: Refused): Response {
  return problem(c, status, message, { "retry-after": String(Math.ceil(jitter(RETRY_MS) / 1000)) });
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
