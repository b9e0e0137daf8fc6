/** What the rules about access say, as of some moment. */
import { type AccessRule, ALL_FEATURES, type CompanyFeatures } from "../core/access-rule.ts";
import { MillraceError } from "../core/errors.ts";
import type { CompanyId } from "../core/ids.ts";
import type { Principal } from "../core/principal.ts";

/** What a gate asks. What it answers is only as good as the last `ready`. @throws MillraceError `unavailable` where there are no rules at all. */
export interface RulesView {
  /** Resolves when it can be asked the rest. @throws MillraceError `unavailable`. */
  ready(): Promise<void>;
  /** Whether the principal's token is worthless. */
  isRevoked(principal: Principal): boolean;
  /** Whether it is for this company. */
  isRevokedFor(principal: Principal, company: CompanyId): boolean;
  features(company: CompanyId): CompanyFeatures;
}

export interface RuleSet extends Omit<RulesView, "ready"> {
  add(rule: AccessRule): void;
}

/** Empty: nothing is revoked, everything may be used. */
export function createRuleSet(): RuleSet {
  const subjects = new Map<string, number>();
  const companies = new Map<CompanyId, number>();
  const features = new Map<CompanyId, CompanyFeatures>();
  let allMs = Number.NEGATIVE_INFINITY;
  return {
    // Of two revocations the later one stands, however they come.
    add(rule) {
      if (rule.kind === "subject-revoked") {
        subjects.set(rule.subject, Math.max(rule.atMs, subjects.get(rule.subject) ?? 0));
      } else if (rule.kind === "company-revoked") {
        companies.set(rule.company, Math.max(rule.atMs, companies.get(rule.company) ?? 0));
      } else if (rule.kind === "all-revoked") {
        allMs = Math.max(rule.atMs, allMs);
        // It says what they do, and stands for those that the store let go of: a copy that is never read again stays as small.
        for (const revoked of [subjects, companies] as Map<string, number>[]) {
          for (const [name, atMs] of revoked) if (atMs <= allMs) revoked.delete(name);
        }
      } else features.set(rule.company, rule.features);
    },
    isRevoked: ({ subject, issuedAtMs }) =>
      issuedAtMs <= allMs ||
      (subject !== undefined && issuedAtMs <= (subjects.get(subject) ?? Number.NEGATIVE_INFINITY)),
    isRevokedFor: ({ issuedAtMs }, company) =>
      issuedAtMs <= (companies.get(company) ?? Number.NEGATIVE_INFINITY),
    features: (company) => features.get(company) ?? ALL_FEATURES,
  };
}

/** Asks the set there is at the moment, and fails closed where there is none: rules that nobody has read let nobody in. */
export function viewOf(current: () => RuleSet | undefined): Omit<RulesView, "ready"> {
  const standing = (): RuleSet => {
    const set = current();
    if (set !== undefined) return set;
    throw new MillraceError("unavailable", "Cannot tell what was decided about access: it has not been read");
  };
  return {
    isRevoked: (principal) => standing().isRevoked(principal),
    isRevokedFor: (principal, company) => standing().isRevokedFor(principal, company),
    features: (company) => standing().features(company),
  };
}
