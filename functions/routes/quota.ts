/** Quota: how often each subject may ask one instance for something, by windows of a minute. */
import type { Context } from "hono";
import type { Principal } from "../core/principal.ts";
import { problem } from "./answer.ts";

const WINDOW_MS = 60_000;
/** Subjects counted a window: then the first are forgotten, so that no number of them keeps another from its own. */
const MAX_SUBJECTS = 10_000;
/** Characters a subject is known by: a token may name hundreds of companies. */
const MAX_NAME_CHARS = 512;

/** `what`: completes "Too many …". Answers 429 where a subject has had `times` within the window; undefined: this one is counted. */
export function createQuota(
  what: string,
  times: number,
): (c: Context, principal: Principal) => Response | undefined {
  const taken = new Map<string, number>();
  let startMs = 0;
  return (c, principal) => {
    const nowMs = performance.now();
    if (taken.size === 0 || nowMs - startMs >= WINDOW_MS) {
      taken.clear();
      startMs = nowMs;
    }
    const name = nameOf(principal);
    const before = taken.get(name) ?? 0;
    if (before < times) {
      taken.set(name, before + 1);
      if (taken.size > MAX_SUBJECTS) taken.delete(taken.keys().next().value!);
      return undefined;
    }
    const seconds = Math.ceil((startMs + WINDOW_MS - nowMs) / 1000);
    return problem(c, 429, `Too many ${what}: one subject may have ${times} a minute, try again later`, {
      "retry-after": String(seconds),
    });
  };
}

/** By what was verified, never by the token's text, of which there are many spellings (and which nobody should find here). */
function nameOf({ subject, companies, issuedAtMs, expiresAtMs }: Principal): string {
  if (subject !== undefined) return `sub:${subject}`;
  // Nobody was asked for a token (AUTH_MODE=none): they are one.
  if (companies === "all") return "all";
  return JSON.stringify([issuedAtMs, expiresAtMs, companies]).slice(0, MAX_NAME_CHARS);
}
