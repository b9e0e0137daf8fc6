/**
 * The rules about access for an isolate that can keep no subscription from one request to the next, as a plain Worker: read by the first
 * request after they got old, where they have changed.
 */
import type { AccessRules } from "../ports/access-rules.ts";
import { createRuleSet, type RuleSet, type RulesView, viewOf } from "./rule-set.ts";

/** Milliseconds a change may be late: of the second that it may take in all, what reading and the store leave. */
const MAX_AGE_MS = 500;

/**
 * Costs one small command (`version`) for a request that finds the rules old: two a second and isolate where requests come one by one, one more
 * for each that comes while that is being asked, none without requests. They are read when they have changed, by whoever finds that before
 * another one has read them. It fails closed: when the store does not answer, nobody is let in. No promise is shared between requests: workerd would not settle another request's.
 */
export function createPolledRules({
  rules,
  maxAgeMs = MAX_AGE_MS,
}: {
  readonly rules: Pick<AccessRules, "read" | "version">;
  readonly maxAgeMs?: number;
}): RulesView {
  let set: RuleSet | undefined;
  let version = "";
  let readAtMs = Number.NEGATIVE_INFINITY;
  return {
    async ready() {
      const nowMs = Date.now();
      if (nowMs - readAtMs < maxAgeMs) return;
      // First: what is put between the two is read, and then read once more.
      const asked = await rules.version();
      let next = set;
      if (next === undefined || asked !== version) {
        next = createRuleSet();
        for (const rule of await rules.read()) next.add(rule);
      }
      // As of when it was asked for; another request may have been faster.
      if (nowMs < readAtMs) return;
      set = next;
      version = asked;
      readAtMs = nowMs;
    },
    ...viewOf(() => set),
  };
}
