import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSqliteDeadLetters } from "../../functions/runtimes/node/dead-letters-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { describeDeadLetters } from "../contracts/dead-letters.ts";

const logger = { debug() {}, info() {}, warn() {}, error() {} };

describeDeadLetters({
  name: "SQLite",
  async create({ maxLetters, maxBytes }) {
    const stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "millrace-sqlite-"));
    stack.defer(() => rmSync(folder, { recursive: true }));
    return {
      async open() {
        const database = stack.use(openSqliteDatabase({ folder, logger }));
        return createSqliteDeadLetters({ database, maxLetters, maxBytes });
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
