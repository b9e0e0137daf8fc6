/** DATA_DIR: whether this user may write there, to a disk that is of this machine and has room. */
import { accessSync, constants, existsSync, rmSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Logger } from "../../functions/core/logger.ts";
import { openSqliteDatabase, versionOfStore } from "../../functions/runtimes/node/sqlite-database.ts";
import { holdsStore } from "../context.ts";
import { bytes } from "./amounts.ts";
import type { Outcome, Probe } from "./examine.ts";

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };
const MIB = 1024 * 1024;
/** Bytes below which it is worth a word, and below which it is wrong: a write-ahead log alone may take 16 MiB. */
const LITTLE_ROOM = 2048 * MIB;
const NO_ROOM = 100 * MIB;
/** File systems of other machines, by their numbers on Linux (statfs(2)). */
const REMOTE: Readonly<Record<number, string>> = {
  26985: "NFS",
  20859: "SMB",
  4283649346: "CIFS",
  4266872130: "SMB2",
};

/** `keeps`: what is kept there by the settings. */
export function dataDirProbe(folder: string, keeps: string): Probe {
  return {
    what: `DATA_DIR ${folder}`,
    next: "give this user the right to write there, or set DATA_DIR to another folder",
    run() {
      const path = resolve(folder);
      let place = path;
      while (!existsSync(place)) place = dirname(place);
      const [found, size] = place === path ? lookInto(path) : absent(place);
      const { bavail, bsize, type } = statfsSync(place);
      const free = bavail * bsize;
      if (free < NO_ROOM) {
        return {
          fault: `${bytes(free)} are free: when nothing is, events are refused, and wait at the brokers`,
          next: "make room, set DATA_DIR to a larger disk, or shorten REPLAY_RETENTION_MS",
        };
      }
      const notes: Outcome[] = [];
      const remote = REMOTE[type >>> 0];
      if (remote !== undefined)
        notes.push({
          note: `is on ${remote}: SQLite needs a disk of this machine (its write-ahead log is shared memory), or use REDIS_URL`,
        });
      if (free < LITTLE_ROOM)
        notes.push({
          note: `${bytes(free)} are free, and the log grows until REPLAY_RETENTION_MS: keep an eye on it`,
        });
      return [
        `${found}${size > 0 ? ` of ${bytes(size)}` : ""}, keeps ${keeps}, ${bytes(free)} free`,
        ...notes,
      ];
    },
  };
}

function absent(parent: string): [string, number] {
  accessSync(parent, constants.W_OK);
  return ["not there yet, will be made", 0];
}

function lookInto(path: string): [string, number] {
  const probe = join(path, `.doctor-${process.pid}`);
  writeFileSync(probe, "");
  rmSync(probe);
  if (!holdsStore(path)) return ["writable, no log yet", 0];
  if (olderStore(path) === undefined) openSqliteDatabase({ folder: path, logger: silent })[Symbol.dispose]();
  const files = ["millrace.db", "millrace.db-wal"].map((file) => join(path, file));
  return [
    "writable, holds a log",
    files.reduce((sum, file) => sum + (statSync(file, { throwIfNoEntry: false })?.size ?? 0), 0),
  ];
}

/** Of a store that opening would change: the older Millrace, which may be running on it, could not start again. */
export function olderStore(folder: string): Outcome | undefined {
  try {
    const { found, current } = versionOfStore(folder);
    if (found >= current) return undefined;
    return {
      note: `of an older Millrace (schema ${found}): the first start of this one brings it up to date (schema ${current}), and the older one does not start on it any more. Copy the folder before`,
    };
  } catch {
    // Whoever opens it says why it cannot be.
    return undefined;
  }
}
