/** Whose numbers are asked for, and whether the caller may see them: one company's, or every company's. */
import * as z from "zod";
import { ALL_FEATURES } from "../core/access-rule.ts";
import { MillraceError } from "../core/errors.ts";
import { isOps, type Principal } from "../core/principal.ts";
import type { Scope, SnapshotKind } from "../ports/counters.ts";
import type { Gate } from "../ports/gate.ts";
import type { ReadWanted } from "./live-answer.ts";
import { COMPANY, readQuery } from "./query.ts";

/** What names a scope. */
export const SCOPE = z.object({
  companyId: COMPANY.optional().meta({
    description:
      "One of the token's companies. Without it the numbers are of all of them together, for the role `ops`",
  }),
});

/**
 * Fails closed: with `companyId` it is one of the token's; without it the role `ops` is needed, whatever companies the token names.
 * @throws MillraceError `invalid-input`, `forbidden`.
 */
export function readScope(gate: Gate, principal: Principal, query: URLSearchParams): Scope {
  const { companyId } = readQuery(SCOPE, query);
  if (companyId !== undefined) {
    gate.permit(principal, companyId);
    return companyId;
  }
  if (isOps(principal)) return undefined;
  throw new MillraceError(
    "forbidden",
    "Only the role ops sees all companies together: ask with companyId, one of your token's companies",
  );
}

/** A live answer of snapshots. */
export function readSnapshots(gate: Gate, kind: SnapshotKind): ReadWanted {
  return (query, principal) => {
    const scope = readScope(gate, principal, query);
    const { streaming, maxConnections } = scope === undefined ? ALL_FEATURES : gate.permit(principal, scope);
    return streaming ? { kind, scope, maxConnections } : "disabled";
  };
}
