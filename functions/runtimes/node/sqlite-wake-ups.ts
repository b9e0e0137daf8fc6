/**
 * Who is told when a log of the embedded store grows. Appends through this connection are handed on with their entries. Commits of
 * other connections, of this process or another, are noticed by watching the folder: the file system says "something happened",
 * `PRAGMA data_version` says whether it was a foreign commit (SQLite, pragma data_version), `logs.changed` says whose log.
 * No timer and no query while nothing is written; nothing is watched while nobody subscribes.
 */
import { type FSWatcher, utimesSync, watch } from "node:fs";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { describeError, MillraceError } from "../../core/errors.ts";
import type { WakeUp } from "../../core/follow.ts";
import type { CompanyId } from "../../core/ids.ts";
import type { Logger } from "../../core/logger.ts";

type Wake = (wakeUp: WakeUp | undefined) => void;

/** Milliseconds after a write to look again: the write is seen before its commit is, and its writer may die before it rings. */
const LOOK_AGAIN_MS = 100;
/** Milliseconds after which a folder that could not be watched any more is tried again. */
const WATCH_AGAIN_MS = 1000;

export interface SqliteWakeUps extends Disposable {
  /** `wake` is called with the entries of this connection's appends, with undefined when the log should be read. */
  subscribe(company: CompanyId, wake: Wake): () => void;
  /** `looker` is called after commits of other connections, whatever they changed. */
  onCommit(looker: () => void): () => void;
  /** After a commit that is no append: tells the other processes. @throws MillraceError `unavailable` when the file is gone. */
  ring(what: string): void;
  /** After a commit: tells the other processes, then this connection's subscribers. @throws MillraceError `unavailable` when the file is gone. */
  announce(wakeUps: ReadonlyMap<CompanyId, WakeUp>): void;
}

/** `file` is the database file in `folder`. @throws from `subscribe` when the folder cannot be watched. */
export function createSqliteWakeUps(options: {
  connection: DatabaseSync;
  folder: string;
  file: string;
  logger: Logger;
}): SqliteWakeUps {
  const { connection, folder, file, logger } = options;
  const subscribers = new Map<CompanyId, Set<Wake>>();
  const lookers = new Set<() => void>();
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  let dataVersion = 0;
  let newest = 0;

  const readDataVersion = () =>
    (connection.prepare("PRAGMA data_version").get() as { data_version: number }).data_version;
  const readNewest = () =>
    (connection.prepare("SELECT max(changed) AS newest FROM logs").get() as { newest: number | null })
      .newest ?? 0;

  const wakeAll = (company: CompanyId, wakeUp: WakeUp | undefined) => {
    for (const wake of subscribers.get(company) ?? []) wake(wakeUp);
  };

  const lookForLogs = () => {
    const known = newest;
    newest = readNewest();
    if (newest < known) {
      // The store was emptied or rolled back: every tail must find out what became of its log.
      for (const company of subscribers.keys()) wakeAll(company, undefined);
      return;
    }
    const moved = connection.prepare("SELECT company FROM logs WHERE changed > ?").all(known);
    for (const { company } of moved) wakeAll(company as CompanyId, undefined);
  };

  const attempt = (body: () => void) => {
    try {
      body();
    } catch (error) {
      logger.warn({ reason: describeError(error) }, "cannot look for commits of other processes");
    }
  };

  const look = () =>
    attempt(() => {
      const version = readDataVersion();
      if (version === dataVersion) return;
      dataVersion = version;
      attempt(lookForLogs);
      for (const looker of lookers) attempt(looker);
    });

  const start = () => {
    dataVersion = readDataVersion();
    newest = readNewest();
    watcher = watch(folder, { persistent: false }, (_event, name) => {
      look();
      if (name !== file) {
        timer ??= setTimeout(() => {
          timer = undefined;
          look();
        }, LOOK_AGAIN_MS).unref();
      }
    });
    watcher.on("error", (error) => {
      logger.warn(
        { reason: describeError(error) },
        "no longer told of commits of other processes, trying again",
      );
      stop();
      watchAgain();
    });
  };
  const watchAgain = () => {
    timer = setTimeout(() => {
      timer = undefined;
      if (subscribers.size === 0 && lookers.size === 0) return;
      try {
        start();
      } catch {
        return watchAgain();
      }
      // Nobody was told of what was committed meanwhile.
      for (const company of subscribers.keys()) wakeAll(company, undefined);
      for (const looker of lookers) attempt(looker);
    }, WATCH_AGAIN_MS).unref();
  };
  const stop = () => {
    watcher?.close();
    watcher = undefined;
    clearTimeout(timer);
    timer = undefined;
  };

  const ring = (what: string) => {
    // The bell: a change of the file's times is one system call and an event on every platform, which a write to the open
    // write-ahead log is not on macOS. It fails when somebody deleted the file: what we wrote is lost when we close it.
    try {
      const now = new Date();
      utimesSync(join(folder, file), now, now);
    } catch (error) {
      throw new MillraceError(
        "unavailable",
        `Cannot ${what} in DATA_DIR ${JSON.stringify(folder)}: ${describeError(error)}, expected the file as it was opened; start again to make a new one`,
        { cause: error },
      );
    }
  };

  return {
    subscribe(company, wake) {
      if (watcher === undefined) start();
      const wakes = subscribers.get(company) ?? new Set();
      subscribers.set(company, wakes.add(wake));
      return () => {
        wakes.delete(wake);
        if (wakes.size === 0 && subscribers.get(company) === wakes) subscribers.delete(company);
        if (subscribers.size === 0 && lookers.size === 0) stop();
      };
    },
    onCommit(looker) {
      if (watcher === undefined) start();
      lookers.add(looker);
      return () => {
        lookers.delete(looker);
        if (subscribers.size === 0 && lookers.size === 0) stop();
      };
    },
    ring,
    announce(wakeUps) {
      ring("append to the event log");
      for (const [company, wakeUp] of wakeUps) wakeAll(company, wakeUp);
    },
    [Symbol.dispose]() {
      subscribers.clear();
      lookers.clear();
      stop();
    },
  };
}
