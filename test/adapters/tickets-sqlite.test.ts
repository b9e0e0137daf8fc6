import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { createSqliteTickets } from "../../functions/runtimes/node/tickets-sqlite.ts";
import { describeTickets } from "../contracts/tickets.ts";
import { silent } from "../support/logger.ts";

describeTickets({
  name: "SQLite",
  async create() {
    const stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "millrace-sqlite-"));
    stack.defer(() => rmSync(folder, { recursive: true }));
    const open = () => stack.use(openSqliteDatabase({ folder, logger: silent }));
    return {
      open: async () => createSqliteTickets({ database: open() }),
      async held() {
        return Number(open().connection.prepare("SELECT count(*) AS held FROM tickets").get()?.held);
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
