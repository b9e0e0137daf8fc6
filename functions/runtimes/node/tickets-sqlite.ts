/** Tickets in the embedded store. */
import type { Tickets } from "../../ports/tickets.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";

export function createSqliteTickets({ database }: { database: SqliteDatabase }): Tickets {
  const { connection } = database;
  const forget = connection.prepare("DELETE FROM tickets WHERE expires_ms <= ?");
  const keep = connection.prepare("INSERT INTO tickets (id, expires_ms, sealed) VALUES (?, ?, ?)");
  const take = connection.prepare("DELETE FROM tickets WHERE id = ? AND expires_ms > ? RETURNING sealed");
  return {
    async put(id, sealed, ttlMs) {
      const nowMs = Date.now();
      database.write("keep a ticket", () => {
        forget.run(nowMs);
        keep.run(id, nowMs + ttlMs, sealed);
      });
    },
    async take(id) {
      const row = database.write("take a ticket", () => take.get(id, Date.now()));
      return row === undefined ? undefined : String(row.sealed);
    },
  };
}
