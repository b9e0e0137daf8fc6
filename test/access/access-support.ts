/** What the tests of access share: an embedded store, tokens' facts without tokens, and connections that keep what they are told. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRulesCopy, type RulesCopyOptions } from "../../functions/access/rules-copy.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { CompanyId } from "../../functions/core/ids.ts";
import type { Logger } from "../../functions/core/logger.ts";
import type { Principal } from "../../functions/core/principal.ts";
import type { AccessRules } from "../../functions/ports/access-rules.ts";
import { createSqliteAccessRules } from "../../functions/runtimes/node/access-rules-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { createSqliteTickets } from "../../functions/runtimes/node/tickets-sqlite.ts";
import { recordingLogger } from "../support/logger.ts";

export const [ACME, GLOBEX] = ["acme" as CompanyId, "globex" as CompanyId];

/** Of alice, for acme, issued at 1,000, never ending. */
export const principalOf = (change: Partial<Principal> = {}): Principal => ({
  subject: "alice",
  companies: [ACME],
  roles: [],
  issuedAtMs: 1_000,
  expiresAtMs: undefined,
  ...change,
});

export type AccessStore = ReturnType<typeof openAccessStore>;

/** The rules can be cut off, and are counted. */
export function openAccessStore() {
  const folder = mkdtempSync(join(tmpdir(), "millrace-access-"));
  const logger = recordingLogger();
  const database = openSqliteDatabase({ folder, logger });
  const real = createSqliteAccessRules({ database });
  const state = { isAway: false, reads: 0, watchers: 0 };
  const restored = new Set<() => void>();
  const reachable = () => {
    if (state.isAway) throw new MillraceError("unavailable", "Cannot reach the store: it is away");
  };
  const rules: AccessRules = {
    ...real,
    async read() {
      state.reads++;
      reachable();
      return real.read();
    },
    async version() {
      reachable();
      return real.version();
    },
    async watch(watcher) {
      reachable();
      const end = await real.watch({
        changed: (news) => {
          if (!state.isAway) watcher.changed(news);
        },
        restored: () => watcher.restored(),
      });
      const restore = () => watcher.restored();
      restored.add(restore);
      state.watchers++;
      return () => {
        end();
        if (restored.delete(restore)) state.watchers--;
      };
    },
  };
  const copies: Disposable[] = [];
  return {
    /** As an instance has it. */
    rules,
    /** As another instance has it, which is never cut off. */
    others: real,
    tickets: createSqliteTickets({ database }),
    state,
    logger: logger as Logger,
    /** The fields of every line logged so far. */
    logged: () => logger.lines.map(({ fields }) => fields),
    copy(options: Partial<RulesCopyOptions> = {}) {
      const copy = createRulesCopy({ rules, logger, ...options });
      copies.push(copy);
      return copy;
    },
    /** Nothing is heard until it is back. */
    cutOff: () => {
      state.isAway = true;
    },
    /** `isAway`: it goes away again at once. */
    reconnect({ isAway = false } = {}) {
      state.isAway = isAway;
      for (const restore of [...restored]) restore();
    },
    [Symbol.dispose]() {
      for (const copy of copies) copy[Symbol.dispose]();
      database[Symbol.dispose]();
      rmSync(folder, { recursive: true });
    },
  };
}
