/** What the rules about access say, as of some moment. */
import { type AccessRule, ALL_FEATURES, type CompanyFeatures } from "../core/access-rule.ts";
import type { CompanyId } from "../core/ids.ts";
import type { Principal } from "../core/principal.ts";

/** What a gate asks. */
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
  return {
    // Of two revocations the later one stands, however they come.
    add(rule) {
      if (rule.kind === "subject-revoked") {
        subjects.set(rule.subject, Math.max(rule.atMs, subjects.get(rule.subject) ?? 0));
      } else if (rule.kind === "company-revoked") {
        companies.set(rule.company, Math.max(rule.atMs, companies.get(rule.company) ?? 0));
      } else features.set(rule.company, rule.features);
    },
    isRevoked: ({ subject, issuedAtMs }) =>
      subject !== undefined && issuedAtMs <= (subjects.get(subject) ?? Number.NEGATIVE_INFINITY),
    isRevokedFor: ({ issuedAtMs }, company) =>
      issuedAtMs <= (companies.get(company) ?? Number.NEGATIVE_INFINITY),
    features: (company) => features.get(company) ?? ALL_FEATURES,
  };
}
