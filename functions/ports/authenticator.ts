/**
 * Authenticator: who is calling. Fails closed: whatever cannot be verified is `unauthorized`, and no error says which check failed
 * in a way that helps a forger, or holds the token.
 */
import type { CompanyId } from "../core/ids.ts";

export interface Principal {
  /** The companies whose events it may read. */
  mayRead(company: CompanyId): boolean;
  /** The companies it names, for views over several; undefined: every company there is. */
  readonly companies: readonly CompanyId[] | undefined;
  readonly roles: readonly string[];
  /** Milliseconds since 1970; undefined: never expires. */
  readonly expiresAtMs: number | undefined;
}

export interface Authenticator {
  /** @throws MillraceError `unauthorized`, or `unavailable` when the keys cannot be fetched. */
  authenticate(request: Request): Promise<Principal>;
}
