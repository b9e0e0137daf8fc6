/** The read half of the embedded event log: what comes after a cursor, or why nothing can. Runs inside a read transaction. */
import type { DatabaseSync } from "node:sqlite";
import { type Cursor, cursorParts, GENESIS, NO_EPOCH, positionParts } from "../../core/cursor.ts";
import type { EventRecord } from "../../core/event.ts";
import type { CompanyId } from "../../core/ids.ts";
import { PAGE_BYTES } from "../../core/limits.ts";
import type { LogEntry, ReadResult } from "../../ports/event-log.ts";
import { createLogFinder, cursorOf, type LogRow } from "./sqlite-log-row.ts";

interface EntryRow {
  readonly ms: number;
  readonly seq: number;
  readonly prevMs: number;
  readonly prevSeq: number;
  readonly record: EventRecord;
  readonly bytes: number;
}

/** Reads at most `limit` entries after the cursor, as the port says. */
export function createSqliteRead(
  connection: DatabaseSync,
): (company: CompanyId, after: Cursor, limit: number) => ReadResult {
  const findLog = createLogFinder(connection);
  const entriesAfter = connection.prepare(
    `SELECT ms, seq, prev_ms AS prevMs, prev_seq AS prevSeq, record, octet_length(record) AS bytes
     FROM entries WHERE log = ? AND (ms, seq) > (?, ?) ORDER BY ms, seq LIMIT ?`,
  );

  /** A gap that ends before `first`, or at the tip when nothing is kept behind it. */
  const gap = (kind: "expired" | "reset", row: LogRow, first: EntryRow | undefined): ReadResult => {
    if (first === undefined) return { kind, resumeAfter: cursorOf(row, row), oldest: undefined };
    const { prevMs, prevSeq } = first;
    return { kind, resumeAfter: cursorOf(row, { ms: prevMs, seq: prevSeq }), oldest: cursorOf(row, first) };
  };

  const page = (row: LogRow, ms: number, seq: number, limit: number): ReadResult => {
    const entries: LogEntry[] = [];
    let bytes = 0;
    let last: EntryRow | undefined;
    for (const found of entriesAfter.iterate(row.id, ms, seq, limit)) {
      const entry = found as unknown as EntryRow;
      if (last === undefined) {
        const ahead = entry.prevMs - ms || entry.prevSeq - seq;
        // Behind the cursor: its position never was in this log, which was put back to before it and went on.
        if (ahead !== 0) return gap(ahead > 0 ? "expired" : "reset", row, entry);
      }
      bytes += entry.bytes;
      if (last !== undefined && bytes > PAGE_BYTES) break;
      entries.push({ cursor: cursorOf(row, entry), record: entry.record });
      last = entry;
    }
    if (last === undefined) return gap("expired", row, undefined);
    return { kind: "events", entries, more: last.ms !== row.ms || last.seq !== row.seq };
  };

  return (company, after, limit) => {
    const { epoch, position } = cursorParts(after);
    const row = findLog(company);
    if (row === undefined) {
      if (epoch === NO_EPOCH) return { kind: "events", entries: [], more: false };
      return { kind: "reset", resumeAfter: GENESIS, oldest: undefined };
    }
    if (epoch === NO_EPOCH) return page(row, 0, 0, limit);
    if (epoch !== row.epoch) {
      return gap("reset", row, entriesAfter.get(row.id, 0, 0, 1) as EntryRow | undefined);
    }
    const [ms, seq] = positionParts(position);
    const ahead = ms - row.ms || seq - row.seq;
    if (ahead === 0) return { kind: "events", entries: [], more: false };
    if (ahead > 0) return gap("reset", row, undefined);
    return page(row, ms, seq, limit);
  };
}
