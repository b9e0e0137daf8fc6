/**
 * Authenticator: whose token it is. Fails closed: whatever cannot be verified is `unauthorized`, and no error says which check failed
 * in a way that helps a forger, or holds the token. Where a request carries its token is the gate's to know (functions/access).
 */
import type { Principal } from "../core/principal.ts";

export interface Authenticator {
  /** Undefined: no token was given. @throws MillraceError `unauthorized`, or `unavailable` when the keys cannot be fetched. */
  authenticate(token: string | undefined): Promise<Principal>;
}
