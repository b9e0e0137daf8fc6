/** How many requests were refused, by why: a bounded set of names, so that they can be labels. */
import { MillraceError } from "./errors.ts";
import { REFUSALS } from "./refusals.ts";

/** Of errors: `internal` is a fault of ours, `unavailable` something the answer needs that was away. */
const BY_ERROR = ["invalid-input", "unauthorized", "forbidden", "unavailable", "internal"] as const;

export type RefusalReason = keyof typeof REFUSALS | (typeof BY_ERROR)[number];

/** Since the start; every reason is in it. */
export type RefusalCounts = Readonly<Record<RefusalReason, number>>;

export function countRefusals(): {
  readonly counts: RefusalCounts;
  readonly add: (reason: RefusalReason) => void;
} {
  const reasons = [...(Object.keys(REFUSALS) as (keyof typeof REFUSALS)[]), ...BY_ERROR];
  const counts = Object.fromEntries(reasons.map((reason) => [reason, 0])) as Record<RefusalReason, number>;
  return {
    counts,
    add(reason) {
      counts[reason]++;
    },
  };
}

/** What a request ended by an error counts as. */
export function refusalOfError(error: Error): RefusalReason {
  if (!(error instanceof MillraceError)) return "internal";
  if (error.retryable) return "unavailable";
  return error.code === "invalid-input" || error.code === "unauthorized" || error.code === "forbidden"
    ? error.code
    : "internal";
}
