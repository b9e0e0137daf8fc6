/** Whose numbers are asked for, and whether the caller may see them: one company's, or every company's. */
import { MillraceError } from "../core/errors.ts";
import type { Principal } from "../ports/authenticator.ts";
import type { Scope } from "../ports/counters.ts";
import { requireCompany } from "./access.ts";
import { readCompany } from "./query.ts";

/**
 * Fails closed: with `companyId` it is one of the token's; without it the role `ops` is needed, whatever companies the token names.
 * @throws MillraceError `invalid-input`, `forbidden`.
 */
export function readScope(principal: Principal, query: URLSearchParams): Scope {
  if (query.has("companyId")) {
    const company = readCompany(query);
    requireCompany(principal, company);
    return company;
  }
  if (principal.roles.includes("ops")) return undefined;
  throw new MillraceError(
    "forbidden",
    "Only the role ops sees all companies together: ask with companyId, one of your token's companies",
  );
}
