/** Exact counts of the embedded event log: by type, all-time, today, and for each of the last minutes and seconds. */
import type { DatabaseSync } from "node:sqlite";
import type { EventType } from "../../core/ids.ts";
import { MAX_COUNTED_TYPES } from "../../core/limits.ts";
import { currentDayStart, localDayStarts } from "../../core/local-day.ts";
import { TALLIED_MINUTES, TALLIED_SECONDS } from "../../core/tallies.ts";
import type { Tallies } from "../../ports/event-log.ts";

/** What is counted one by one: the table, its column of numbers, how long one of them is, how many are kept. */
const SERIES = [
  { name: "minutes", column: "minute", lengthMs: 60_000, kept: TALLIED_MINUTES },
  { name: "seconds", column: "second", lengthMs: 1_000, kept: TALLIED_SECONDS },
] as const;
/** Where types over MAX_COUNTED_TYPES are counted together. */
const OTHER = "other" as EventType;

export interface SqliteTallies {
  /** Inside the transaction of the append: `nowMs` never goes back within a log. Returns how many types the log counts now. */
  count(log: number, types: number, added: ReadonlyMap<EventType, number>, nowMs: number): number;
  read(log: number, nowMs: number): Pick<Tallies, "total" | "today" | "minutes" | "seconds">;
}

/** `timeZone` says where a day begins. */
export function createSqliteTallies(connection: DatabaseSync, timeZone: string): SqliteTallies {
  const known = connection.prepare("SELECT 1 FROM counts WHERE log = ? AND type = ?");
  const count = connection.prepare(
    `INSERT INTO counts (log, type, total, day_ms, day) VALUES (:log, :type, :added, :day, :added)
     ON CONFLICT DO UPDATE SET total = total + :added, day = iif(day_ms = :day, day, 0) + :added, day_ms = :day`,
  );
  const counts = connection.prepare("SELECT type, total, day_ms AS dayMs, day FROM counts WHERE log = ?");
  const [minutes, seconds] = SERIES.map((series) => createSeries(connection, series)) as [Series, Series];

  return {
    count(log, types, added, nowMs) {
      const day = currentDayStart(localDayStarts(nowMs, timeZone), nowMs);
      minutes.forget(log, nowMs);
      seconds.forget(log, nowMs);
      let counted = types;
      for (const [type, events] of added) {
        let name = type;
        if (known.get(log, type) === undefined) {
          if (counted >= MAX_COUNTED_TYPES) name = OTHER;
          else counted++;
        }
        count.run({ log, type: name, added: events, day });
        minutes.count(log, name, events, nowMs);
        seconds.count(log, name, events, nowMs);
      }
      return counted;
    },
    read(log, nowMs) {
      const day = currentDayStart(localDayStarts(nowMs, timeZone), nowMs);
      const rows = counts.all(log) as { type: EventType; total: number; dayMs: number; day: number }[];
      // From entries, never by assignment: a type may be called `__proto__`.
      return {
        total: Object.fromEntries(rows.map(({ type, total }) => [type, total])),
        today: Object.fromEntries(
          rows.filter(({ dayMs }) => dayMs === day).map(({ type, day }) => [type, day]),
        ),
        minutes: minutes.read(log, nowMs),
        seconds: seconds.read(log, nowMs),
      };
    },
  };
}

interface Series {
  forget(log: number, nowMs: number): void;
  count(log: number, type: EventType, added: number, nowMs: number): void;
  /** The last ones of each type, oldest first. */
  read(log: number, nowMs: number): Record<EventType, number[]>;
}

function createSeries(
  connection: DatabaseSync,
  { name, column, lengthMs, kept }: (typeof SERIES)[number],
): Series {
  const add = connection.prepare(
    `INSERT INTO ${name} (log, ${column}, type, count) VALUES (:log, :at, :type, :added)
     ON CONFLICT DO UPDATE SET count = count + :added`,
  );
  const drop = connection.prepare(`DELETE FROM ${name} WHERE log = ? AND ${column} <= ?`);
  const find = connection.prepare(
    `SELECT ${column} AS at, type, count FROM ${name} WHERE log = ? AND ${column} > ?`,
  );
  const numberOf = (ms: number) => Math.floor(ms / lengthMs);
  return {
    forget(log, nowMs) {
      drop.run(log, numberOf(nowMs) - kept);
    },
    count(log, type, added, nowMs) {
      add.run({ log, at: numberOf(nowMs), type, added });
    },
    read(log, nowMs) {
      const before = numberOf(nowMs) - kept;
      const found = new Map<EventType, number[]>();
      for (const row of find.all(log, before)) {
        const { at, type, count } = row as { at: number; type: EventType; count: number };
        const counts = found.get(type) ?? new Array<number>(kept).fill(0);
        found.set(type, counts);
        counts[at - before - 1] = count;
      }
      return Object.fromEntries(found);
    },
  };
}
