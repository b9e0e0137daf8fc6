/** Bearer tokens (RFC 6750). */
import { MillraceError } from "./errors.ts";

/** What whoever brings no good token is told, one message for all: which check failed would help a forger only. */
export function unauthorized(cause?: unknown): MillraceError {
  return new MillraceError(
    "unauthorized",
    "Cannot tell who is asking: no valid token, expected one in the header Authorization: Bearer, or a ticket for it",
    cause === undefined ? undefined : { cause },
  );
}

/** The token in `Authorization: Bearer` (section 2.1). Undefined: there is no such header, or it is of another scheme. What is no token at all is for the authenticator to refuse. */
export function bearerToken(headers: Headers): string | undefined {
  const match = /^Bearer(?: +(.*))?$/i.exec(headers.get("authorization") ?? "");
  return match === null ? undefined : (match[1] ?? "");
}
