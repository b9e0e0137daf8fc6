import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSqliteInstanceRegistry } from "../../functions/runtimes/node/instance-registry-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { describeInstanceRegistry } from "../contracts/instance-registry.ts";

const logger = { debug() {}, info() {}, warn() {}, error() {} };

describeInstanceRegistry({
  name: "SQLite",
  async create({ leaseMs, lostMs }) {
    const stack = new AsyncDisposableStack();
    const folder = mkdtempSync(join(tmpdir(), "millrace-sqlite-"));
    stack.defer(() => rmSync(folder, { recursive: true }));
    const open = () => stack.use(openSqliteDatabase({ folder, logger }));
    return {
      open: async () => createSqliteInstanceRegistry({ database: open(), leaseMs, lostMs }),
      async held() {
        const row = open()
          .connection.prepare(
            "SELECT (SELECT count(*) FROM instances) + (SELECT count(*) FROM bridges) AS held",
          )
          .get();
        return Number(row?.held);
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  },
});
