/** Who asks, and for whose events: the same on every route that shows any. */
import { MillraceError } from "../core/errors.ts";
import { type CompanyId, quote } from "../core/ids.ts";
import type { Authenticator, Principal } from "../ports/authenticator.ts";

/**
 * A JWT in the URL is refused before anything else looks at it: URLs end up in logs, histories and Referer headers (RFC 6750
 * section 5.3), so a token that worked there would be used there.
 * @throws MillraceError `invalid-input` that does not hold the token; those of the authenticator.
 */
export async function authenticate(
  authenticator: Authenticator,
  request: Request,
  query: URLSearchParams,
): Promise<Principal> {
  for (const [name, value] of query) {
    if (looksLikeJwt(value)) {
      throw new MillraceError(
        "invalid-input",
        `Cannot take a token from the URL parameter ${quote(name)}: URLs are logged, expected it in the header Authorization: Bearer`,
      );
    }
  }
  return authenticator.authenticate(request);
}

/** @throws MillraceError `forbidden`, in the words of PROTOCOL.md. */
export function requireCompany(principal: Principal, company: CompanyId): void {
  if (!principal.mayRead(company)) {
    throw new MillraceError("forbidden", "You can only stream events for your own company");
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
