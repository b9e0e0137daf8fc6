/** Rules about access and renewals, and the text in which a store keeps them and hands them from instance to instance. */
import { MillraceError } from "./errors.ts";
import { type CompanyId, quote } from "./ids.ts";
import type { Principal } from "./principal.ts";

/** What a company may use. */
export interface CompanyFeatures {
  readonly streaming: boolean;
  /** Open streams on one instance; undefined: MAX_CONNECTIONS_PER_COMPANY. */
  readonly maxConnections: number | undefined;
}

/** What is left out stays; `null`: what {@link ALL_FEATURES} says. */
export interface FeaturesChange {
  readonly streaming?: boolean | undefined;
  readonly maxConnections?: number | null | undefined;
}

/** Tokens of the subject, or naming the company, that were issued at or before `atMs` (milliseconds since 1970) are worthless, the latter for that company. */
export type Revocation =
  | { readonly kind: "subject-revoked"; readonly subject: string; readonly atMs: number }
  | { readonly kind: "company-revoked"; readonly company: CompanyId; readonly atMs: number };

export type AccessRule =
  | Revocation
  /** Of everybody: what stands for the revocations up to then that there was no room for. */
  | { readonly kind: "all-revoked"; readonly atMs: number }
  | { readonly kind: "features"; readonly company: CompanyId; readonly features: CompanyFeatures };

/**
 * The longest life of a token, in milliseconds: a year, and a day for leap years and clocks. A revocation that is older concerns no token
 * that is still good, so a store need not keep it for good.
 */
export const LONGEST_TOKEN_MS = 366 * 86_400_000;

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
  if (rule.kind === "all-revoked") return rule.kind;
  return `${rule.kind}:${rule.kind === "subject-revoked" ? rule.subject : rule.company}`;
}

export function changeOf(
  held: CompanyFeatures,
  { streaming, maxConnections }: FeaturesChange,
): CompanyFeatures {
  return {
    streaming: streaming ?? held.streaming,
    maxConnections: maxConnections === undefined ? held.maxConnections : (maxConnections ?? undefined),
  };
}

/** Whether it need not be kept: it says what holds without it. */
export function isDefault({ streaming, maxConnections }: CompanyFeatures): boolean {
  return streaming === ALL_FEATURES.streaming && maxConnections === ALL_FEATURES.maxConnections;
}

/** `most`: companies whose features are kept. */
export function noRoomForFeatures(most: number): MillraceError {
  return new MillraceError(
    "invalid-input",
    `Cannot keep the features of one more company: those of ${most} are kept, expected one of them to be given back its defaults first`,
  );
}

export function encodeNews(news: AccessRule | Renewal): string {
  return JSON.stringify(news);
}

/**
 * Undefined: of a kind that a newer version knows. The store is trusted: whoever can write to it can write events.
 * @throws MillraceError `unavailable` for what is no rule at all: it may have been a revocation, so nobody is let in until it is gone.
 */
export function decodeNews(text: string): AccessRule | Renewal | undefined {
  let news: AccessRule | Renewal;
  try {
    news = JSON.parse(text);
  } catch (cause) {
    throw new MillraceError("unavailable", `Cannot read a rule about access ${quote(text)}: expected JSON`, {
      cause,
    });
  }
  switch (news.kind) {
    case "subject-revoked":
    case "company-revoked":
    case "all-revoked":
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
