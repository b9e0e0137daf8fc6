/** Quota: how often each subject may ask one instance for something, by windows of a minute. */
import type { Context } from "hono";
import { problem } from "./answer.ts";

const WINDOW_MS = 60_000;
/** Subjects counted a window: further ones wait for the next. */
const MAX_SUBJECTS = 10_000;

/** `what`: completes "Too many …". Answers 429 where a subject has had `times` within the window; undefined: this one is counted. */
export function createQuota(
  what: string,
  times: number,
): (c: Context, subject: string) => Response | undefined {
  const taken = new Map<string, number>();
  let startMs = 0;
  return (c, subject) => {
    const nowMs = Date.now();
    if (nowMs - startMs >= WINDOW_MS) {
      taken.clear();
      startMs = nowMs;
    }
    const before = taken.get(subject) ?? 0;
    if (before < times && (before > 0 || taken.size < MAX_SUBJECTS)) {
      taken.set(subject, before + 1);
      return undefined;
    }
    const seconds = Math.ceil((startMs + WINDOW_MS - nowMs) / 1000);
    return problem(c, 429, `Too many ${what}: one subject may have ${times} a minute, try again later`, {
      "retry-after": String(seconds),
    });
  };
}
