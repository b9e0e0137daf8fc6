/**
 * TelemetryStore in a SQLite file of its own (node:sqlite): readings are many, and the log's file stays small and its lock free. A write is
 * on disk when it resolves. Transactions are small, with a turn of the event loop between two, and a process that finds another one writing
 * waits without standing still.
 */
import { setImmediate as turn } from "node:timers/promises";
import { jitter, sleep } from "../../core/backoff.ts";
import { MillraceError } from "../../core/errors.ts";
import type { TelemetryStore } from "../../ports/telemetry-store.ts";
import { isBusy, openSqliteFile, type SqliteFile } from "./sqlite-file.ts";
import { createTelemetryExpire } from "./sqlite-telemetry-expire.ts";
import { createTelemetryRead } from "./sqlite-telemetry-read.ts";
import { STEPS } from "./sqlite-telemetry-tables.ts";
import { createTelemetryWrite } from "./sqlite-telemetry-write.ts";

const FILE = "telemetry.db";
/** Readings of one transaction: what holds the event loop for some milliseconds (`npm run bench`, telemetry). */
const WRITE_READINGS = 500;
/** Milliseconds the process may stand still for another's transaction, and between two such tries. */
const BUSY_MS = 10;
/** Milliseconds after which a call gives up on a file that another process keeps locked. */
const WAIT_MS = 30_000;
/** KiB of pages kept in memory: GPUs take turns, so a write touches pages all over the file. */
const CACHE_KIB = 32_768;

export interface SqliteTelemetryOptions {
  /** DATA_DIR. */
  readonly folder: string;
}

/** Opens its file when it is first asked, so that who never asks needs no folder. */
export function createSqliteTelemetry({ folder }: SqliteTelemetryOptions): TelemetryStore {
  let opened: ReturnType<typeof open> | undefined;
  let isDisposed = false;

  /** Runs the body on the open file; again, while another process is writing. */
  const patiently = async <T>(body: (parts: ReturnType<typeof open>) => T): Promise<T> => {
    for (const giveUpMs = performance.now() + WAIT_MS; ; ) {
      try {
        if (isDisposed)
          throw new MillraceError("unavailable", "Cannot reach the telemetry store: it is closed");
        opened ??= open(folder);
        return body(opened);
      } catch (error) {
        if (!isBusy(error) || performance.now() > giveUpMs) throw error;
      }
      await sleep(jitter(BUSY_MS));
    }
  };

  return {
    async write(readings) {
      let stored = 0;
      for (let at = 0; at < readings.length; at += WRITE_READINGS) {
        if (at > 0) await turn();
        const some = readings.slice(at, at + WRITE_READINGS);
        stored += await patiently(({ write }) => write(some));
      }
      return { stored };
    },
    gpus: (query) => patiently(({ file, read }) => file.read("read GPUs", () => read.gpus(query))),
    owners: (uuid, companies) =>
      patiently(({ file, read }) => file.read("read GPUs", () => read.owners(uuid, companies))),
    readings: (query) =>
      patiently(({ file, read }) => file.read("read readings", () => read.readings(query))),
    async expire(beforeMs) {
      while (await patiently(({ expire }) => expire(beforeMs))) await turn();
    },
    ping: () => patiently(({ file, ping }) => file.read("reach the telemetry store", ping)),
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      opened?.file[Symbol.dispose]();
    },
  };
}

function open(folder: string) {
  const file = openSqliteFile({
    folder,
    file: FILE,
    steps: STEPS,
    busyMs: BUSY_MS,
    cacheKib: CACHE_KIB,
    unusable: "unavailable",
  });
  try {
    return file.read(`use ${FILE}`, () => prepare(file));
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

/** Every statement, so that a file with other tables is found before it is used. */
function prepare(file: SqliteFile) {
  const { connection } = file;
  const { write, forget } = createTelemetryWrite(connection);
  const expireSlice = createTelemetryExpire(connection);
  const anyGpu = connection.prepare("SELECT id FROM gpus LIMIT 1");
  /** What the writer knows of rows is wrong after what did not come to be, and after what was removed. */
  const change = <T>(what: string, body: () => T): T => {
    try {
      return file.write(what, body);
    } catch (error) {
      forget();
      throw error;
    }
  };
  return {
    file,
    read: createTelemetryRead(connection),
    write: (readings: Parameters<typeof write>[0]) => change("store readings", () => write(readings)),
    expire: (beforeMs: number) =>
      change("expire readings", () => {
        forget();
        return expireSlice(beforeMs);
      }),
    ping: () => void anyGpu.get(),
  };
}
