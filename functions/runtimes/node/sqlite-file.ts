/**
 * One SQLite file in DATA_DIR, shared by any number of processes. Readers never wait (WAL); writers wait for each other. A commit is on
 * disk when it returns (synchronous=FULL).
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describeError, type ErrorCode, MillraceError } from "../../core/errors.ts";

/** Bytes the write-ahead log file is cut back to after a checkpoint. */
const WAL_BYTES = 16 * 1024 * 1024;
/** SQLite's text of SQLITE_BUSY. Its number is not to be had on Deno. */
const BUSY = "database is locked";

export interface SqliteFileOptions {
  readonly folder: string;
  readonly file: string;
  /** What makes each version of the tables of the one before it. */
  readonly steps: readonly string[];
  /** Milliseconds the process stands still for another's transaction before a call gives up. */
  readonly busyMs: number;
  /** KiB of pages kept in memory. */
  readonly cacheKib: number;
  /** Of the error when it cannot be opened: whether somebody waits for it to be repaired. */
  readonly unusable: ErrorCode;
}

/** The last process to dispose leaves one file and no write-ahead log behind. */
export interface SqliteFile extends Disposable {
  readonly connection: DatabaseSync;
  /** Runs the body in one write transaction. `what` is for the error. @throws MillraceError `unavailable`, with nothing written. */
  write<T>(what: string, body: () => T): T;
  /** Runs the body on one snapshot. @throws MillraceError `unavailable`. */
  read<T>(what: string, body: () => T): T;
}

/**
 * Opens the file, making folder, file and tables where they are missing.
 * @throws MillraceError `unusable` naming DATA_DIR when the folder cannot be used or holds the file of a newer version.
 */
export function openSqliteFile(options: SqliteFileOptions): SqliteFile {
  const { folder, file, steps, busyMs, cacheKib, unusable } = options;
  const place = `DATA_DIR ${JSON.stringify(folder)}`;
  let opened: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true });
    opened = new DatabaseSync(join(folder, file), { timeout: busyMs });
    opened.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -${cacheKib}; PRAGMA journal_size_limit = ${WAL_BYTES}`,
    );
    migrate(opened, steps);
  } catch (cause) {
    opened?.close();
    const why =
      cause instanceof NewerFile
        ? cause.message
        : `${describeError(cause)}, expected a folder this user can write to`;
    throw new MillraceError(unusable, `Cannot open ${place}: ${why}`, { cause });
  }
  const connection = opened;
  const run = <T>(begin: string, what: string, body: () => T): T => {
    try {
      connection.exec(begin);
      const result = body();
      connection.exec("COMMIT");
      return result;
    } catch (cause) {
      if (connection.isOpen && connection.isTransaction) connection.exec("ROLLBACK");
      throw new MillraceError("unavailable", `Cannot ${what} in ${place}: ${describeError(cause)}`, {
        cause,
      });
    }
  };
  return {
    connection,
    write: (what, body) => run("BEGIN IMMEDIATE", what, body),
    read: (what, body) => run("BEGIN", what, body),
    [Symbol.dispose]() {
      if (connection.isOpen) connection.close();
    },
  };
}

/** Whether a call gave up because another process was writing: nothing is wrong, and a moment later it will do. */
export function isBusy(error: unknown): boolean {
  return error instanceof MillraceError && error.cause instanceof Error && error.cause.message === BUSY;
}

class NewerFile extends Error {}

/** One process makes the tables while the others wait. */
function migrate(connection: DatabaseSync, steps: readonly string[]): void {
  connection.exec("BEGIN IMMEDIATE");
  const { user_version: version } = connection.prepare("PRAGMA user_version").get() as {
    user_version: number;
  };
  if (version > steps.length) {
    throw new NewerFile(
      `written by a newer Millrace (schema ${version}), expected schema ${steps.length}: start the newer one, or give this one a DATA_DIR of its own`,
    );
  }
  if (version < steps.length) {
    connection.exec(`${steps.slice(version).join("")} PRAGMA user_version = ${steps.length}`);
  }
  connection.exec("COMMIT");
}
