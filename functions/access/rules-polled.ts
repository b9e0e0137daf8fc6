/**
 * The rules about access for an isolate that can keep no subscription from one request to the next, as a plain Worker: read by the first
 * request after they got old.
 */
import type { AccessRules } from "../ports/access-rules.ts";
import { createRuleSet, type RulesView } from "./rule-set.ts";

/** Milliseconds a change may be late: of the second that it may take in all, what reading and the store leave. */
const MAX_AGE_MS = 500;

/**
 * Costs one command a request, at most two a second and isolate where requests come one by one, and none without requests. It fails closed: when
 * the store does not answer, nobody is let in. No promise is shared between requests: workerd would not settle another request's.
 */
export function createPolledRules({
  rules,
  maxAgeMs = MAX_AGE_MS,
}: {
  readonly rules: Pick<AccessRules, "read">;
  readonly maxAgeMs?: number;
}): RulesView {
  let set = createRuleSet();
  let readAtMs = Number.NEGATIVE_INFINITY;
  return {
    async ready() {
      const nowMs = Date.now();
      if (nowMs - readAtMs < maxAgeMs) return;
      const next = createRuleSet();
      for (const rule of await rules.read()) next.add(rule);
      // As of when it was asked for; another request may have been faster.
      if (nowMs < readAtMs) return;
      set = next;
      readAtMs = nowMs;
    },
    isRevoked: (principal) => set.isRevoked(principal),
    isRevokedFor: (principal, company) => set.isRevokedFor(principal, company),
    features: (company) => set.features(company),
  };
}
