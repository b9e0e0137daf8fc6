/** A principal: who asks, and what its token lets it see. Plain data, so that it can be handed to where a connection is held. */
import { type CompanyId, LOGS_COMPANY, OPERATIONS_COMPANY } from "./ids.ts";

export interface Principal {
  /** The token's `sub`; undefined: it names nobody, and can be revoked by its company alone. */
  readonly subject: string | undefined;
  /** Whose events it may read; `all` only where nobody is asked (AUTH_MODE=none). */
  readonly companies: readonly CompanyId[] | "all";
  readonly roles: readonly string[];
  /** The token's `iat`, milliseconds since 1970; 0 where it says none, so that any revocation is later. */
  readonly issuedAtMs: number;
  /** Milliseconds since 1970; undefined: never expires. */
  readonly expiresAtMs: number | undefined;
}

/** Whether it sees the views over all companies and may administer. */
export function isOps({ roles }: Principal): boolean {
  return roles.includes("ops");
}

/** Fails closed: one of its own companies, and for `ops` what the services say of themselves. */
export function mayRead(principal: Principal, company: CompanyId): boolean {
  if (principal.companies === "all" || principal.companies.includes(company)) return true;
  return (company === OPERATIONS_COMPANY || company === LOGS_COMPANY) && isOps(principal);
}
