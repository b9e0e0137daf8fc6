/** What the tests of the counters share: stores with two instances each, and watchers that remember. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { createRedisLog } from "../../functions/adapters/event-log-redis.ts";
import { type CountersOptions, createCounters } from "../../functions/counters/counters.ts";
import type { Counters, Scope, SnapshotKind, SnapshotSink } from "../../functions/ports/counters.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import type { EndReason } from "../../functions/ports/hub.ts";
import { createSqliteLog } from "../../functions/runtimes/node/event-log-sqlite.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { recordingLogger, silent } from "../support/logger.ts";
import { startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

/** Milliseconds between snapshots here: a test need not wait a second for each. */
export const EVERY_MS = 20;
const LASTING = { retentionMs: 3_600_000, logger: silent };

export interface Store extends AsyncDisposable {
  /** Another instance: connections of its own. */
  open(): Promise<EventLog>;
  /** It loses everything while instances are open. */
  wipe?(): void;
}

export async function sqliteStore({ timeZone = "UTC" } = {}): Promise<Store> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-counters-"));
  const stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  return {
    async open() {
      const database = stack.use(openSqliteDatabase({ folder, logger: silent }));
      return stack.use(createSqliteLog({ database, timeZone, ...LASTING }));
    },
    wipe() {
      using connection = new DatabaseSync(join(folder, "millrace.db"), { timeout: 5000 });
      const tables = ["logs", "entries", "seen", "counts", "minutes", "seconds"];
      connection.exec(`BEGIN IMMEDIATE; ${tables.map((table) => `DELETE FROM ${table};`).join("")} COMMIT`);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export async function redisStore({ timeZone = "UTC" } = {}): Promise<Store & { readonly redis: TestServer }> {
  const stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  return {
    redis,
    async open() {
      const connection = stack.use(await connectRedis(redis.url, silent));
      return stack.use(createRedisLog({ redis: connection, timeZone, ...LASTING }));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export function countersOn(
  log: CountersOptions["log"],
  options: Partial<CountersOptions> = {},
): Counters & Disposable & { logged(): { level: string; message: string }[] } {
  const logger = recordingLogger();
  const counters = createCounters({
    log,
    logger,
    timeZone: "UTC",
    heartbeatMs: 60_000,
    idleTimeoutMs: 60_000,
    maxConnectionAgeMs: 0,
    maxConnectionsPerCompany: 100,
    everyMs: EVERY_MS,
    ...options,
  });
  return Object.assign(counters, { logged: () => [...logger.lines] });
}

export interface Feed {
  readonly [name: string]: {
    readonly total: number;
    readonly rate: number;
    readonly recent: readonly unknown[];
  };
}
export interface Dashboard {
  readonly companyId: string | null;
  readonly timeZone: string;
  readonly time: string;
  readonly counters: Readonly<Record<string, { total: number; today: number; minutes: number[] }>>;
}

/** A client that takes every snapshot, unless `takes` says it is full. */
export function watch<T>(
  counters: Counters,
  kind: SnapshotKind,
  scope: Scope,
  { takes = () => true }: { takes?: () => boolean } = {},
) {
  const texts: string[] = [];
  const ends: EndReason[] = [];
  const notices: string[] = [];
  let heartbeats = 0;
  const sink: SnapshotSink = {
    send({ text }) {
      texts.push(text);
      return takes();
    },
    heartbeat() {
      heartbeats++;
      return takes();
    },
    notify(name) {
      notices.push(name);
      return takes();
    },
    onDrain() {},
    end: (reason) => void ends.push(reason),
  };
  const joined = counters.watch({ kind, scope, sink });
  const last = () => (texts.length === 0 ? undefined : (JSON.parse(texts.at(-1)!) as T));
  return {
    joined,
    sink,
    texts,
    ends,
    notices,
    heartbeats: () => heartbeats,
    last,
    /** Resolves with the first newest snapshot that is as wanted. */
    until: (what: string, test: (snapshot: T) => boolean) =>
      waitFor(`${what}, have ${texts.at(-1)?.slice(0, 300)}`, () => {
        const snapshot = last();
        return snapshot !== undefined && test(snapshot) ? snapshot : undefined;
      }) as Promise<T>,
    leave() {
      joined.leave();
    },
  };
}
