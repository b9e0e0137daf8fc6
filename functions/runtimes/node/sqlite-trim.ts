/**
 * What the embedded event log forgets: entries and the memory of duplicates by age, entries by the hard cap. Runs inside appends, a
 * bounded piece at a time: at most twice what the append added and a page, so that no append pays for a backlog.
 */
import type { DatabaseSync } from "node:sqlite";
import { PAGE_EVENTS } from "../../core/limits.ts";

/** Milliseconds between looks for aged entries, at most; a tenth of a shorter retention. */
const LOOK_MS = 60_000;

export interface SqliteTrim {
  /** Drops the oldest entries of a log over the cap. */
  cap(log: number, kept: number): void;
  /** Drops what is older than the retention, of any log, when it is time to look. `added`: the events of this append. */
  age(nowMs: number, added: number): void;
}

/** `retentionMs`: age from which entries may go. `maxEvents`: entries kept a log whatever their age. */
export function createSqliteTrim(
  connection: DatabaseSync,
  { retentionMs, maxEvents }: { retentionMs: number; maxEvents: number },
): SqliteTrim {
  const oldestLog = connection.prepare("SELECT id FROM logs WHERE oldest_ms < ? ORDER BY oldest_ms LIMIT 1");
  // The last of the oldest n entries; one range delete then takes them all.
  const nth = connection.prepare(
    "SELECT ms, seq FROM entries WHERE log = :log ORDER BY ms, seq LIMIT 1 OFFSET :last",
  );
  const lastAged = connection.prepare(
    `SELECT ms, seq FROM (SELECT ms, seq FROM entries WHERE log = :log ORDER BY ms, seq LIMIT :most)
     WHERE ms < :before ORDER BY ms DESC, seq DESC LIMIT 1`,
  );
  const dropEntries = connection.prepare("DELETE FROM entries WHERE log = ? AND (ms, seq) <= (?, ?)");
  const dropped = connection.prepare(
    `UPDATE logs SET kept = kept - :dropped,
       oldest_ms = (SELECT ms FROM entries WHERE log = :log ORDER BY ms, seq LIMIT 1) WHERE id = :log`,
  );
  const forget = connection.prepare(
    `DELETE FROM seen WHERE (log, id, source) IN
       (SELECT log, id, source FROM seen INDEXED BY seen_by_age WHERE ms < ? ORDER BY ms LIMIT ?)`,
  );
  let nextLookMs = 0;

  const dropUpTo = (log: number, last: { ms: number; seq: number } | undefined): number => {
    const { changes } = last ? dropEntries.run(log, last.ms, last.seq) : { changes: 0 };
    dropped.run({ log, dropped: changes });
    return Number(changes);
  };

  return {
    cap(log, kept) {
      if (kept <= maxEvents) return;
      dropUpTo(log, nth.get({ log, last: kept - maxEvents - 1 }) as { ms: number; seq: number } | undefined);
    },
    age(nowMs, added) {
      if (nowMs < nextLookMs) return;
      const before = nowMs - retentionMs;
      const most = 2 * added + PAGE_EVENTS;
      let left = most;
      while (left > 0) {
        const log = oldestLog.get(before) as { id: number } | undefined;
        if (log === undefined) break;
        left -= Math.max(1, dropUpTo(log.id, lastAged.get({ log: log.id, most: left, before }) as never));
      }
      const forgotten = Number(forget.run(before, most).changes);
      // What is left over is for the next append.
      if (left > 0 && forgotten < most) nextLookMs = nowMs + Math.min(LOOK_MS, retentionMs / 10);
    },
  };
}
