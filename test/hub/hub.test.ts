import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createHub } from "../../functions/hub/hub.ts";
import { createSqliteLog } from "../../functions/runtimes/node/event-log-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { describeHub } from "../contracts/hub.ts";
import { silent } from "../support/logger.ts";

describeHub(
  {
    name: "in memory",
    create: (log, times) =>
      createHub({
        log,
        logger: silent,
        heartbeatMs: 15_000,
        idleTimeoutMs: 900_000,
        maxConnectionAgeMs: 0,
        bufferEvents: 100,
        maxConnectionsPerCompany: 10_000,
        ...times,
      }),
  },
  async ({ maxEvents }) => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-hub-"));
    const stack = new AsyncDisposableStack();
    const options = { retentionMs: 3_600_000, maxEvents, timeZone: "UTC", logger: silent };
    return {
      async open() {
        const database = stack.use(openSqliteDatabase({ folder, logger: silent }));
        return stack.use(createSqliteLog({ database, ...options }));
      },
      async wipe() {
        using connection = new DatabaseSync(join(folder, "millrace.db"), { timeout: 5000 });
        const tables = ["logs", "entries", "seen", "counts", "minutes"];
        connection.exec(`BEGIN IMMEDIATE; ${tables.map((table) => `DELETE FROM ${table};`).join("")} COMMIT`);
      },
      snapshot: () => Promise.reject(new Error("not asked for")),
      held: async () => 0,
      async [Symbol.asyncDispose]() {
        await stack.disposeAsync();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  },
);
