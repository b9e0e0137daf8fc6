/** Rules about access and renewals, and the text in which a store keeps them and hands them from instance to instance. */
import type { CompanyId } from "./ids.ts";
import type { Principal } from "./principal.ts";

/** What a company may use. */
export interface CompanyFeatures {
  readonly streaming: boolean;
  /** Open streams on one instance; undefined: MAX_CONNECTIONS_PER_COMPANY. */
  readonly maxConnections: number | undefined;
}

export type AccessRule =
  /** Tokens of the subject, or naming the company, that were issued at or before `atMs` (milliseconds since 1970) are worthless, the latter for that company. */
  | { readonly kind: "subject-revoked"; readonly subject: string; readonly atMs: number }
  | { readonly kind: "company-revoked"; readonly company: CompanyId; readonly atMs: number }
  | { readonly kind: "features"; readonly company: CompanyId; readonly features: CompanyFeatures };

/** A connection goes on under a fresh token. Not kept: whoever holds the connection hears it, or nobody does. */
export interface Renewal {
  readonly kind: "renewed";
  readonly connection: string;
  readonly principal: Principal;
}

/** What a company may use that nobody has decided about. */
export const ALL_FEATURES: CompanyFeatures = { streaming: true, maxConnections: undefined };

/** What a rule is about: another one of the same name replaces it. */
export function ruleName(rule: AccessRule): string {
  return `${rule.kind}:${rule.kind === "subject-revoked" ? rule.subject : rule.company}`;
}

/** When it was decided, where a later decision outweighs an earlier one whichever comes last; 0 where the last to come does. */
export function ruleTime(rule: AccessRule): number {
  return rule.kind === "features" ? 0 : rule.atMs;
}

export function encodeNews(news: AccessRule | Renewal): string {
  return JSON.stringify(news);
}

/** Undefined: of a kind that a newer version knows. The store is trusted: whoever can write to it can write events. */
export function decodeNews(text: string): AccessRule | Renewal | undefined {
  const news = JSON.parse(text) as AccessRule | Renewal;
  switch (news.kind) {
    case "subject-revoked":
    case "company-revoked":
    case "features":
    case "renewed":
      return news;
    default:
      return undefined;
  }
}

export function decodeRule(text: string): AccessRule | undefined {
  const rule = decodeNews(text);
  return rule?.kind === "renewed" ? undefined : rule;
}
