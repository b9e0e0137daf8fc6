/** What became of one message, and how that is said. */
import { MillraceError } from "../../functions/core/errors.ts";
import type { FailureReason } from "./counters.ts";
import type { OutgoingMessage } from "./message.ts";

export type Outcome =
  | { readonly isTaken: true }
  | { readonly isTaken: false; readonly reason: FailureReason; readonly error: MillraceError };

export const TAKEN: Outcome = { isTaken: true };

/**
 * @param was What was, and what is expected.
 * @param cause Its code is kept: it tells what may pass by itself from what cannot.
 */
export function failed(
  reason: FailureReason,
  { routingKey, messageId }: OutgoingMessage,
  was: string,
  cause?: unknown,
): Outcome & { readonly isTaken: false } {
  const inherited = cause instanceof MillraceError ? cause.code : "unavailable";
  const code = reason === "unroutable" ? "invalid-settings" : inherited;
  const message = `Cannot publish "${routingKey}" ${messageId}: ${was}`;
  return { isTaken: false, reason, error: new MillraceError(code, message, { cause }) };
}
