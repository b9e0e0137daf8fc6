/**
 * AccessRules: what has been decided about access since tokens were signed, kept in the log's store for all instances.
 *
 * - **Durable**: a revocation stands until a later one of the same subject or company replaces it, and for LONGEST_TOKEN_MS at least: then no
 *   token is left that it could concern.
 * - **Bounded**: half of MAX_ACCESS_RULES (core/limits.ts) are for features, half for revocations, so that neither keeps the other out. A
 *   revocation is never refused: where there is no room the oldest one leaves, and where that still could concern a token, everybody's tokens of
 *   its time and before are revoked in its place (`all-revoked`). That sends away more than was meant, and never less.
 * - **Together**: two instances that change different features of one company at the same time both have their way.
 * - **Announced**: every change, and every renewal, reaches all watchers on all instances, the one that made it too, well within a second. What
 *   was missed while the store was away is not said again: `restored` means read anew.
 * - **Idle costs nothing**: no command while nobody watches, none while nothing changes.
 * - **Errors**: `unavailable` when the store does not answer; `invalid-input` when features of one more company find no room.
 *
 * Checked by `describeAccessRules` (test/contracts/access-rules.ts) on every adapter.
 */
import type {
  AccessRule,
  CompanyFeatures,
  FeaturesChange,
  Renewal,
  Revocation,
} from "../core/access-rule.ts";
import type { CompanyId } from "../core/ids.ts";

export type { AccessRule, CompanyFeatures, Renewal } from "../core/access-rule.ts";

export interface AccessWatcher {
  changed(change: AccessRule | Renewal): void;
  /** The store is back after it was away: changes may have been missed. */
  restored(): void;
}

export interface AccessRules {
  /** Every rule that stands, in no order. */
  read(): Promise<readonly AccessRule[]>;
  /** Another text after every change of the rules, at the price of one small command. What is read after it is at least as new. */
  version(): Promise<string>;
  /** Keeps and announces it. Resolves with the time of `all-revoked` when that had to be put for want of room, else undefined. */
  put(revocation: Revocation): Promise<number | undefined>;
  /** Changes what is named, keeps and announces it. Resolves with what the company may use then. */
  changeFeatures(company: CompanyId, change: FeaturesChange): Promise<CompanyFeatures>;
  announce(renewal: Renewal): Promise<void>;
  /** Resolves when every later change is heard. The function returned ends it. */
  watch(watcher: AccessWatcher): Promise<() => void>;
}
