/** The write half of the embedded event log: duplicates dropped, positions given, entries stored, counted and trimmed. */
import type { DatabaseSync } from "node:sqlite";
import { type Cursor, newEpoch } from "../../core/cursor.ts";
import { encodeRecord, type MillraceEvent } from "../../core/event.ts";
import type { WakeUp } from "../../core/follow.ts";
import type { CompanyId, EventType } from "../../core/ids.ts";
import type { Appended, LogEntry } from "../../ports/event-log.ts";
import { createLogFinder, cursorOf, type LogRow } from "./sqlite-log-row.ts";
import type { SqliteTallies } from "./sqlite-tallies.ts";
import type { SqliteTrim } from "./sqlite-trim.ts";

/** What an append has done to one log so far. */
interface Growth {
  readonly row: LogRow;
  readonly previous: Cursor;
  ms: number;
  seq: number;
  readonly entries: LogEntry[];
  readonly added: Map<EventType, number>;
}

export interface AppendOutcome {
  readonly results: Appended[];
  /** One for each log that grew, to be announced once the transaction is committed. */
  readonly wakeUps: ReadonlyMap<CompanyId, WakeUp>;
}

/** Appends events; runs inside a write transaction. */
export function createSqliteAppend(
  connection: DatabaseSync,
  { tallies, trim }: { tallies: SqliteTallies; trim: SqliteTrim },
): (events: readonly MillraceEvent[]) => AppendOutcome {
  const findLog = createLogFinder(connection);
  const addLog = connection.prepare(
    "INSERT INTO logs (company, epoch, last_ms, last_seq, kept, types, changed) VALUES (?, ?, 0, 0, 0, 0, 0)",
  );
  const growLog = connection.prepare(
    `UPDATE logs SET last_ms = :ms, last_seq = :seq, kept = kept + :added, types = :types,
       oldest_ms = coalesce(oldest_ms, :oldest), changed = max((SELECT max(changed) + 1 FROM logs), :nowMs) WHERE id = :id`,
  );
  const remember = connection.prepare(
    "INSERT INTO seen (log, id, source, ms, seq) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
  );
  const recall = connection.prepare("SELECT ms, seq FROM seen WHERE log = ? AND id = ? AND source = ?");
  const addEntry = connection.prepare(
    "INSERT INTO entries (log, ms, seq, prev_ms, prev_seq, record) VALUES (?, ?, ?, ?, ?, ?)",
  );

  const growthOf = (company: CompanyId): Growth => {
    let row = findLog(company);
    if (row === undefined) {
      const epoch = newEpoch();
      const id = Number(addLog.run(company, epoch).lastInsertRowid);
      row = { id, epoch, ms: 0, seq: 0, kept: 0, types: 0 };
    }
    const { ms, seq } = row;
    return { row, previous: cursorOf(row, row), ms, seq, entries: [], added: new Map() };
  };

  const appendOne = (growth: Growth, event: MillraceEvent, nowMs: number): Appended => {
    const { row } = growth;
    // When the clock went back, the last millisecond goes on.
    const ms = Math.max(nowMs, growth.ms);
    const seq = ms === growth.ms ? growth.seq + 1 : 0;
    if (remember.run(row.id, event.id, event.source, ms, seq).changes === 0) {
      const first = recall.get(row.id, event.id, event.source) as { ms: number; seq: number };
      return { cursor: cursorOf(row, first), isNew: false };
    }
    const cursor = cursorOf(row, { ms, seq });
    const record = encodeRecord(event);
    addEntry.run(row.id, ms, seq, growth.ms, growth.seq, record);
    growth.ms = ms;
    growth.seq = seq;
    growth.entries.push({ cursor, record });
    growth.added.set(event.type, (growth.added.get(event.type) ?? 0) + 1);
    return { cursor, isNew: true };
  };

  return (events) => {
    const nowMs = Date.now();
    const growths = new Map<CompanyId, Growth>();
    const results = events.map((event) => {
      const growth = growths.get(event.companyId) ?? growthOf(event.companyId);
      growths.set(event.companyId, growth);
      return appendOne(growth, event, nowMs);
    });
    const wakeUps = new Map<CompanyId, WakeUp>();
    for (const [company, { row, previous, ms, seq, entries, added }] of growths) {
      if (entries.length === 0) continue;
      const types = tallies.count(row.id, row.types, added, ms);
      // All events of one append have the same millisecond.
      growLog.run({ id: row.id, ms, seq, added: entries.length, types, oldest: ms, nowMs });
      trim.cap(row.id, row.kept + entries.length);
      wakeUps.set(company, { previous, entries });
    }
    trim.age(nowMs, events.length);
    return { results, wakeUps };
  };
}
