/** Refusals that will pass, by the name of the event that says so: one of the types no event of a company may have. */
import { jitter } from "./backoff.ts";
import { joinBytes } from "./bytes.ts";
import type { Encoding } from "./encoding.ts";

export interface Refused {
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
  /** The keys that tokens are checked with, or what has been decided about them, cannot be had. */
  unverifiable: {
    reason: "busy",
    status: 503,
    message: "Tokens cannot be checked at the moment, try again later",
  },
  /** Where it would be served. */
  unreachable: {
    reason: "busy",
    status: 503,
    message: "This stream cannot be served at the moment, try again later",
  },
} as const satisfies Record<string, Refused>;

/** Why, and when to come back, as the whole of a stream or the end of one. No id: the client's cursor stays. */
export function refusalFrames(encoding: Encoding, { reason, message }: Refused): Uint8Array {
  return joinBytes([encoding.retry(jitter(REFUSED_RETRY_MS)), encoding.notice(reason, { reason, message })]);
}

/** Milliseconds, to be jittered, after which a refused client comes back: what refuses lasts for seconds (a restart, a full house). */
export const REFUSED_RETRY_MS = 5_000;
