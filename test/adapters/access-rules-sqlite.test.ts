import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createSqliteAccessRules } from "../../functions/runtimes/node/access-rules-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { describeAccessRules } from "../contracts/access-rules.ts";
import { silent } from "../support/logger.ts";
import { waitFor } from "../support/wait.ts";

describeAccessRules({
  name: "SQLite",
  async create({ maxRules }) {
    const stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "millrace-sqlite-"));
    stack.defer(() => rmSync(folder, { recursive: true }));
    const open = () => stack.use(openSqliteDatabase({ folder, logger: silent }));
    return {
      open: async () => createSqliteAccessRules({ database: open(), maxRules }),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});

it("watch: says restored when news were forgotten before they were read, as by a process that was suspended", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-sqlite-"));
  try {
    using own = openSqliteDatabase({ folder, logger: silent });
    using other = openSqliteDatabase({ folder, logger: silent });
    const rules = createSqliteAccessRules({ database: other });
    const heard: string[] = [];
    const end = await createSqliteAccessRules({ database: own }).watch({
      changed: ({ kind }) => void heard.push(kind),
      restored: () => void heard.push("restored"),
    });
    const revoke = (atMs: number) => rules.put({ kind: "subject-revoked", subject: "alice", atMs });
    await revoke(1);
    await waitFor("the first", () => heard.length === 1);
    // In one turn, so that nothing is read in between.
    const both = revoke(2);
    other.connection.exec("DELETE FROM access_news");
    await Promise.all([both, revoke(3)]);
    await waitFor("the rest", () => heard.includes("restored"));
    expect(heard).toEqual(["subject-revoked", "restored"]);
    await revoke(4);
    await waitFor("what comes next", () => heard.length === 3);
    end();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
