/**
 * EventLog on the embedded store (node:sqlite): the same guarantees as on Redis, for one machine. Calls run to their end before they
 * return, so the promises are there for the port's sake; an append is one transaction, on disk when it resolves.
 */
import { GENESIS } from "../../core/cursor.ts";
import { follow } from "../../core/follow.ts";
import type { CompanyId } from "../../core/ids.ts";
import { MAX_LOG_EVENTS, PAGE_EVENTS } from "../../core/limits.ts";
import type { Logger } from "../../core/logger.ts";
import type { EventLog } from "../../ports/event-log.ts";
import { createSqliteAppend } from "./sqlite-append.ts";
import type { SqliteDatabase } from "./sqlite-database.ts";
import { createSqliteLatest } from "./sqlite-latest.ts";
import { createLogFinder, cursorOf } from "./sqlite-log-row.ts";
import { createSqliteRead } from "./sqlite-read.ts";
import { createSqliteTallies } from "./sqlite-tallies.ts";
import { createSqliteTrim } from "./sqlite-trim.ts";

export interface SqliteLogOptions {
  /** Stays the caller's to dispose, after the log. */
  readonly database: SqliteDatabase;
  /** Milliseconds events and the memory of duplicates are kept. */
  readonly retentionMs: number;
  /** IANA name; says where a day of the tallies begins. */
  readonly timeZone: string;
  readonly logger: Logger;
  /** Events kept a company, whatever their age. Default MAX_LOG_EVENTS. */
  readonly maxEvents?: number;
}

/** The event log of one process on the embedded store. */
export function createSqliteLog(options: SqliteLogOptions): EventLog {
  const { database, retentionMs, timeZone, logger, maxEvents = MAX_LOG_EVENTS } = options;
  const { connection } = database;
  const tallies = createSqliteTallies(connection, timeZone);
  const trim = createSqliteTrim(connection, { retentionMs, maxEvents });
  const appendAll = createSqliteAppend(connection, { tallies, trim });
  const readAfter = createSqliteRead(connection);
  const latest = createSqliteLatest(connection);
  const findLog = createLogFinder(connection);
  const allLogs = connection.prepare("SELECT company FROM logs");
  const keptByLog = connection.prepare("SELECT company, kept FROM logs WHERE kept > 0");
  const disposed = new AbortController();
  const read = <T>(body: () => T) => database.read("read the event log", body);

  return {
    async append(events) {
      if (events.length === 0) return [];
      const { results, wakeUps } = database.write("append to the event log", () => appendAll(events));
      database.wakeUps.announce(wakeUps);
      return results;
    },
    async tip(company) {
      const row = read(() => findLog(company));
      return row === undefined ? GENESIS : cursorOf(row, row);
    },
    async read(company, after, limit) {
      return read(() => readAfter(company, after, limit));
    },
    tail(company, after, signal) {
      return follow({
        read: async (cursor) => read(() => readAfter(company, cursor, PAGE_EVENTS)),
        subscribe: async (wake) => database.wakeUps.subscribe(company, wake),
        after,
        signal: AbortSignal.any([signal, disposed.signal]),
        logger,
      });
    },
    async latest(company, types, limit) {
      return read(() => latest(company, types, limit));
    },
    async companies() {
      return read(() => allLogs.all()).map(({ company }) => company as CompanyId);
    },
    async tallies(company) {
      return read(() => {
        const row = findLog(company);
        if (row === undefined) {
          return { at: GENESIS, nowMs: Date.now(), total: {}, today: {}, minutes: {}, seconds: {} };
        }
        const nowMs = Math.max(Date.now(), row.ms);
        return { at: cursorOf(row, row), nowMs, ...tallies.read(row.id, nowMs) };
      });
    },
    async stats() {
      const rows = read(() => keptByLog.all()) as { company: CompanyId; kept: number }[];
      return {
        companies: rows.length,
        totalEvents: rows.reduce((sum, { kept }) => sum + kept, 0),
        eventsByCompany: Object.fromEntries(rows.map(({ company, kept }) => [company, kept])),
      };
    },
    async ping() {
      read(() => keptByLog.get());
    },
    async [Symbol.asyncDispose]() {
      disposed.abort();
    },
  };
}
