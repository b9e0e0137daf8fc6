/** The newest entries of some types in the embedded event log, as the port says. Runs inside a read transaction. */
import type { DatabaseSync } from "node:sqlite";
import { type EventRecord, recordType } from "../../core/event.ts";
import type { CompanyId, EventType } from "../../core/ids.ts";
import { LOOK_BACK_EVENTS } from "../../core/limits.ts";
import type { LogEntry } from "../../ports/event-log.ts";
import { createLogFinder, cursorOf } from "./sqlite-log-row.ts";

export function createSqliteLatest(
  connection: DatabaseSync,
): (company: CompanyId, types: ReadonlySet<EventType>, limit: number) => LogEntry[] {
  const findLog = createLogFinder(connection);
  const newestFirst = connection.prepare(
    "SELECT ms, seq, record FROM entries WHERE log = ? ORDER BY ms DESC, seq DESC LIMIT ?",
  );
  return (company, types, limit) => {
    const row = findLog(company);
    if (row === undefined || limit === 0) return [];
    const missing = new Map(Array.from(types, (type) => [type, limit]));
    const found: LogEntry[] = [];
    // Left before its end, an iteration lets go of its rows.
    for (const entry of newestFirst.iterate(row.id, LOOK_BACK_EVENTS)) {
      if (missing.size === 0) break;
      const { ms, seq, record } = entry as { ms: number; seq: number; record: EventRecord };
      const type = recordType(record);
      const wanted = missing.get(type);
      if (wanted === undefined) continue;
      if (wanted === 1) missing.delete(type);
      else missing.set(type, wanted - 1);
      found.push({ cursor: cursorOf(row, { ms, seq }), record });
    }
    return found.reverse();
  };
}
