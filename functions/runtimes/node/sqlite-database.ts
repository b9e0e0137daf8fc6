/**
 * The embedded store: one SQLite file in DATA_DIR, shared by all that a store keeps and by any number of processes.
 */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Logger } from "../../core/logger.ts";
import { openSqliteFile, type SqliteFile } from "./sqlite-file.ts";
import { createSqliteWakeUps, type SqliteWakeUps } from "./sqlite-wake-ups.ts";

/** Milliseconds a writer waits for another process's transaction, which takes some milliseconds, before it gives up. */
const BUSY_MS = 5_000;
/** KiB of pages a connection caches: ids that come in no order touch pages all over `seen`. SQLite's own 2,000 cost an eighth more CPU. */
const CACHE_KIB = 16_384;
const FILE = "millrace.db";

/** What version 2 added. */
const SECONDS = `
  CREATE TABLE seconds (
    log INTEGER NOT NULL, second INTEGER NOT NULL, type TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (log, second, type)
  ) STRICT, WITHOUT ROWID;
`;
/** What version 3 added. News are numbered for good (SQLite, AUTOINCREMENT), so that a watcher knows what it has missed. */
const ACCESS = `
  CREATE TABLE access_rules (
    name TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, rule TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE access_news (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, news TEXT NOT NULL
  ) STRICT;
  CREATE TABLE tickets (
    id TEXT PRIMARY KEY, expires_ms INTEGER NOT NULL, sealed TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX tickets_by_end ON tickets (expires_ms);
`;
/** What version 4 added. */
const BRIDGES = `
  CREATE TABLE bridges (
    bridge TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, report TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
`;
/**
 * Version 1.
 *
 * `logs` outlives its entries: epoch, last position and all-time counts are never trimmed. `changed` orders the commits
 * (about milliseconds since 1970, so it grows through a wipe too), so that another process finds the logs that moved. `prev` of an entry tells a trimmed neighbour from one that never was.
 */
const SCHEMA = `
  CREATE TABLE logs (
    id INTEGER PRIMARY KEY, company TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL, last_ms INTEGER NOT NULL,
    last_seq INTEGER NOT NULL, kept INTEGER NOT NULL, types INTEGER NOT NULL, oldest_ms INTEGER, changed INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX logs_by_age ON logs (oldest_ms) WHERE oldest_ms IS NOT NULL;
  CREATE INDEX logs_by_change ON logs (changed);
  CREATE TABLE entries (
    log INTEGER NOT NULL, ms INTEGER NOT NULL, seq INTEGER NOT NULL, prev_ms INTEGER NOT NULL, prev_seq INTEGER NOT NULL,
    record TEXT NOT NULL, PRIMARY KEY (log, ms, seq)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE seen (
    log INTEGER NOT NULL, id TEXT NOT NULL, source TEXT NOT NULL, ms INTEGER NOT NULL, seq INTEGER NOT NULL,
    PRIMARY KEY (log, id, source)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX seen_by_age ON seen (ms);
  CREATE TABLE counts (
    log INTEGER NOT NULL, type TEXT NOT NULL, total INTEGER NOT NULL, day_ms INTEGER NOT NULL, day INTEGER NOT NULL,
    PRIMARY KEY (log, type)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE minutes (
    log INTEGER NOT NULL, minute INTEGER NOT NULL, type TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (log, minute, type)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY AUTOINCREMENT, letter TEXT NOT NULL
  ) STRICT;
  CREATE TABLE instances (
    instance TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, report TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
`;
/** What makes each version of the one before it. */
const STEPS = [SCHEMA, SECONDS, ACCESS, BRIDGES];

/** The open store. */
export interface SqliteDatabase extends SqliteFile {
  readonly wakeUps: SqliteWakeUps;
}

/**
 * Opens the store, making folder, file and tables where they are missing.
 * @throws MillraceError `invalid-settings` naming DATA_DIR when the folder cannot be used or holds the store of a newer version.
 */
export function openSqliteDatabase({ folder, logger }: { folder: string; logger: Logger }): SqliteDatabase {
  const file = openSqliteFile({
    folder,
    file: FILE,
    steps: STEPS,
    busyMs: BUSY_MS,
    cacheKib: CACHE_KIB,
    unusable: "invalid-settings",
  });
  const wakeUps = createSqliteWakeUps({ connection: file.connection, folder, file: FILE, logger });
  return {
    ...file,
    wakeUps,
    [Symbol.dispose]() {
      wakeUps[Symbol.dispose]();
      file[Symbol.dispose]();
    },
  };
}

/**
 * Which version the store in the folder is of, and which one opening it makes it; nothing is changed.
 * @throws Error of SQLite when there is none, or it cannot be read.
 */
export function versionOfStore(folder: string): { readonly found: number; readonly current: number } {
  using connection = new DatabaseSync(join(folder, FILE), { readOnly: true, timeout: BUSY_MS });
  const { user_version } = connection.prepare("PRAGMA user_version").get() as { user_version: number };
  return { found: user_version, current: STEPS.length };
}
