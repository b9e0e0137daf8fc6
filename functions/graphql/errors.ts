/** What clients are told of errors: what they can do something about, by a code; of everything else that it happened. */
import { GraphQLError, type GraphQLErrorExtensions } from "graphql";
import { jitter } from "../core/backoff.ts";
import { describeError, MillraceError } from "../core/errors.ts";
import { RETRY_MS } from "../core/limits.ts";
import type { Logger } from "../core/logger.ts";
import { REFUSALS, REFUSED_RETRY_MS, type Refused } from "../core/refusals.ts";
import type { EndReason, Refusal } from "../ports/hub.ts";

/** Seconds after which a store that is away may be back. */
const RETRY_SECONDS = 5;

/** Where what a client did is wrong. */
export function invalid(message: string): MillraceError {
  return new MillraceError("invalid-input", message);
}

/** For yoga: every error of a resolver comes through here. */
export function maskError(error: unknown, logger: Logger): GraphQLError {
  const known = error instanceof GraphQLError ? error : undefined;
  const cause = known?.originalError ?? error;
  if (cause instanceof GraphQLError) return known!;
  if (cause instanceof MillraceError && cause.status < 500) {
    return restate(known, known?.message ?? cause.message, { code: cause.code });
  }
  // The client is not told where our stores are.
  if (cause instanceof MillraceError && cause.retryable) {
    logger.warn({ reason: cause.message }, "Cannot answer a GraphQL request now");
    const message = "Something this answer needs cannot be reached at the moment, try again later";
    return restate(known, message, { code: cause.code, retryAfter: RETRY_SECONDS });
  }
  const stack = cause instanceof Error ? cause.stack : undefined;
  logger.error({ reason: describeError(cause), stack }, "Cannot answer a GraphQL request");
  return restate(known, "Internal", { code: "internal" });
}

/** At the same place of the document, if it has one. */
export function restate(
  error: GraphQLError | undefined,
  message: string,
  extensions: GraphQLErrorExtensions,
): GraphQLError {
  const { nodes = null, source = null, positions = null, path = null } = error ?? {};
  return new GraphQLError(message, { nodes, source, positions, path, extensions });
}

/** A subscription cannot be answered otherwise. */
export function notAcceptable(): GraphQLError {
  return new GraphQLError("Cannot subscribe: expected the header Accept: text/event-stream", {
    extensions: { code: "not-acceptable", http: { status: 406 } },
  });
}

/** Seconds, spread, so that not all come back at the same time. */
const after = (ms: number) => Math.ceil(jitter(ms) / 1000);

/** Why a subscription is not opened. */
export function refusalError(reason: Refusal | "disabled"): GraphQLError {
  const { message }: Refused = REFUSALS[reason];
  return new GraphQLError(message, { extensions: { code: reason, retryAfter: after(REFUSED_RETRY_MS) } });
}

/** Why one ends that the client did not end; `retryAfter` where coming back with the last cursor is all there is to do. */
const ENDS = {
  expired: ["reauthenticate", "The token has expired, subscribe again with a fresh one", 0],
  revoked: ["revoked", "The token was revoked", undefined],
  disabled: ["disabled", REFUSALS.disabled.message, REFUSED_RETRY_MS],
  aged: ["draining", "The connection is old, subscribe again", RETRY_MS],
  draining: ["draining", "This instance is about to stop, subscribe again", RETRY_MS],
  idle: ["draining", "Nothing could be sent for too long, subscribe again", RETRY_MS],
} as const satisfies Record<EndReason, readonly [string, string, number | undefined]>;

export function endError(reason: EndReason): GraphQLError {
  const [code, message, ms] = ENDS[reason];
  const retryAfter = ms === undefined ? {} : { retryAfter: ms === 0 ? 0 : after(ms) };
  return new GraphQLError(message, { extensions: { code, ...retryAfter } });
}
