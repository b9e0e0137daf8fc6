/** Bearer tokens (RFC 6750). */
import { MillraceError } from "./errors.ts";
import { quote } from "./ids.ts";

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

/**
 * A token that worked in a URL would be used there.
 * @throws MillraceError `invalid-input` that does not hold it.
 */
export function refuseJwtIn(query: URLSearchParams): void {
  for (const [name, value] of query) {
    if (!looksLikeJwt(value)) continue;
    throw new MillraceError(
      "invalid-input",
      `Cannot take a token from the URL parameter ${quote(name)}: URLs are logged, expected it in the header Authorization: Bearer, or a ticket from POST /stream/tickets`,
    );
  }
}

/** Three parts (signed) or five (encrypted), the first a JSON object (RFC 7515 section 3.1, RFC 7516 section 3.1): no company or cursor is. */
function looksLikeJwt(value: string): boolean {
  const parts = value.replace(/^Bearer\s+/i, "").split(".", 6);
  if (parts.length !== 3 && parts.length !== 5) return false;
  try {
    const header: unknown = JSON.parse(atob(parts[0]!.replaceAll("-", "+").replaceAll("_", "/")));
    return typeof header === "object" && header !== null;
  } catch {
    return false;
  }
}
