/** What was wrong with a message, in few words: a label of a metric, where the reason itself would be a time series a message. */

/**
 * - `company`: it names none, or two.
 * - `data`: its payload is not JSON, not the CloudEvent it says it is, or too large.
 * - `attribute`: its type, id, source, subject or time cannot be one.
 * - `reading`: it is no reading of a GPU although its type says so.
 * - `worn`: it came so often that the broker's own limit put it aside.
 */
export const DEAD_LETTER_REASONS = ["company", "data", "attribute", "reading", "worn", "other"] as const;
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

/** The beginnings of what decoding says, the first that fits. */
const BEGINNINGS: readonly (readonly [DeadLetterReason, RegExp])[] = [
  ["company", /^Cannot read (?:event (?:data\.)?companyid|companyId)\b/i],
  ["data", /^Cannot read event (?:data|specversion)\b/],
  ["attribute", /^Cannot read event /],
  ["reading", /^Cannot store a reading\b/],
  ["worn", /^Cannot process message "[^"]*": backed out\b/],
];

export function classifyReason(reason: string): DeadLetterReason {
  return BEGINNINGS.find(([, beginning]) => beginning.test(reason))?.[0] ?? "other";
}
