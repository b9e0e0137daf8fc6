/**
 * AccessRules: what has been decided about access since tokens were signed, kept in the log's store for all instances.
 *
 * - **Durable**: a rule that was put stands until another of the same kind and name replaces it; of two revocations the later time wins.
 * - **Announced**: every change, and every renewal, reaches all watchers on all instances, the one that made it too, well within a second. What
 *   was missed while the store was away is not said again: `restored` means read anew.
 * - **Idle costs nothing**: no command while nobody watches, none while nothing changes.
 * - **Errors**: `unavailable` when the store does not answer; `invalid-input` when there are MAX_ACCESS_RULES (core/limits.ts) already.
 *
 * Checked by `describeAccessRules` (test/contracts/access-rules.ts) on every adapter.
 */
import type { AccessRule, Renewal } from "../core/access-rule.ts";

export type { AccessRule, CompanyFeatures, Renewal } from "../core/access-rule.ts";

export interface AccessWatcher {
  changed(change: AccessRule | Renewal): void;
  /** The store is back after it was away: changes may have been missed. */
  restored(): void;
}

export interface AccessRules {
  /** Every rule that stands, in no order. */
  read(): Promise<readonly AccessRule[]>;
  /** Keeps and announces it. */
  put(rule: AccessRule): Promise<void>;
  announce(renewal: Renewal): Promise<void>;
  /** Resolves when every later change is heard. The function returned ends it. */
  watch(watcher: AccessWatcher): Promise<() => void>;
}
