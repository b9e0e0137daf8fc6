/** Exact counts of the embedded event log: by type, all-time, today and for each of the last 60 minutes. */
import type { DatabaseSync } from "node:sqlite";
import type { EventType } from "../../core/ids.ts";
import { MAX_COUNTED_TYPES } from "../../core/limits.ts";
import { currentDayStart, localDayStarts } from "../../core/local-day.ts";
import type { Tallies } from "../../ports/event-log.ts";

const MINUTES = 60;
const MINUTE_MS = 60_000;
/** Where types over MAX_COUNTED_TYPES are counted together. */
const OTHER = "other" as EventType;

export interface SqliteTallies {
  /** Inside the transaction of the append: `nowMs` never goes back within a log. Returns how many types the log counts now. */
  count(log: number, types: number, added: ReadonlyMap<EventType, number>, nowMs: number): number;
  read(log: number, nowMs: number): Pick<Tallies, "total" | "today" | "minutes">;
}

/** `timeZone` says where a day begins. */
export function createSqliteTallies(connection: DatabaseSync, timeZone: string): SqliteTallies {
  const known = connection.prepare("SELECT 1 FROM counts WHERE log = ? AND type = ?");
  const count = connection.prepare(
    `INSERT INTO counts (log, type, total, day_ms, day) VALUES (:log, :type, :added, :day, :added)
     ON CONFLICT DO UPDATE SET total = total + :added, day = iif(day_ms = :day, day, 0) + :added, day_ms = :day`,
  );
  const countMinute = connection.prepare(
    `INSERT INTO minutes (log, minute, type, count) VALUES (:log, :minute, :type, :added)
     ON CONFLICT DO UPDATE SET count = count + :added`,
  );
  const forgetMinutes = connection.prepare("DELETE FROM minutes WHERE log = ? AND minute <= ?");
  const counts = connection.prepare("SELECT type, total, day_ms AS dayMs, day FROM counts WHERE log = ?");
  const minutes = connection.prepare("SELECT minute, type, count FROM minutes WHERE log = ? AND minute > ?");

  return {
    count(log, types, added, nowMs) {
      const day = currentDayStart(localDayStarts(nowMs, timeZone), nowMs);
      const minute = Math.floor(nowMs / MINUTE_MS);
      forgetMinutes.run(log, minute - MINUTES);
      let counted = types;
      for (const [type, events] of added) {
        let name = type;
        if (known.get(log, type) === undefined) {
          if (counted >= MAX_COUNTED_TYPES) name = OTHER;
          else counted++;
        }
        count.run({ log, type: name, added: events, day });
        countMinute.run({ log, minute, type: name, added: events });
      }
      return counted;
    },
    read(log, nowMs) {
      const day = currentDayStart(localDayStarts(nowMs, timeZone), nowMs);
      const first = Math.floor(nowMs / MINUTE_MS) - MINUTES + 1;
      const rows = counts.all(log) as { type: EventType; total: number; dayMs: number; day: number }[];
      const series = new Map<EventType, number[]>();
      for (const row of minutes.all(log, first - 1)) {
        const { minute, type, count } = row as { minute: number; type: EventType; count: number };
        const counts = series.get(type) ?? new Array<number>(MINUTES).fill(0);
        series.set(type, counts);
        counts[minute - first] = count;
      }
      // From entries, never by assignment: a type may be called `__proto__`.
      return {
        total: Object.fromEntries(rows.map(({ type, total }) => [type, total])),
        today: Object.fromEntries(
          rows.filter(({ dayMs }) => dayMs === day).map(({ type, day }) => [type, day]),
        ),
        minutes: Object.fromEntries(series),
      };
    },
  };
}
