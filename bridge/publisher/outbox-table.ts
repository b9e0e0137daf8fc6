/**
 * The outbox in SQLite: what is to be sent, and who sends it. On the caller's own connection, of which nothing is known but `prepare`.
 *
 * A message is added in whatever transaction the caller has open. Everything else begins a transaction of its own, which SQLite refuses
 * while one is open on the connection: so nothing is read that the caller may yet roll back. Such a call changes nothing and throws.
 */
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import { quote } from "../../functions/core/ids.ts";
import type { MessageProperties, OutgoingMessage } from "./message.ts";
import type { OutboxDatabase } from "./options.ts";

/** Rows of one turn of the flusher: at most 12.5 MiB of the largest messages. */
const TURN_ROWS = 100;
/** Sent rows deleted in one transaction, in which no other process can write. */
const PURGE_ROWS = 1000;

export interface OutboxRow {
  readonly seq: number;
  /** How often the broker has refused it. */
  readonly refusals: number;
  readonly message: OutgoingMessage;
}

/** What became of a row: taken, or refused and to be tried again not before `retryAt` (milliseconds since 1970). */
export type Settlement =
  | { readonly seq: number; readonly isTaken: true }
  | { readonly seq: number; readonly isTaken: false; readonly retryAt: number; readonly reason: string };

export interface OutboxTable {
  /** In the caller's transaction. A message id that is there already adds nothing. @throws what the database throws. */
  add(message: OutgoingMessage): void;
  /** Whether there is a row to send now and nobody else holds the lease. */
  hasWork(owner: string): boolean;
  /**
   * Settles rows, then takes or renews the lease and resolves with the next rows: in the order of their commits, none of a routing key
   * whose first row waits to be tried again. Nothing when another process holds the lease.
   */
  turn(owner: string, leaseMs: number, settled: readonly Settlement[]): OutboxRow[];
  release(owner: string): void;
  /** Deletes sent rows older than this. False: there may be more. */
  purge(olderThanMs: number): boolean;
  stats(owner: string): {
    readonly pending: number;
    readonly oldestMs: number | undefined;
    readonly isFlusher: boolean;
  };
}

/** @throws MillraceError `invalid-input` for a name that cannot be, `invalid-settings` when the tables cannot be made. */
export function openOutboxTable(database: OutboxDatabase, name: string): OutboxTable {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,62}$/.test(name)) {
    throw new MillraceError(
      "invalid-input",
      `Cannot use outbox table ${quote(name)}: expected 1-63 characters of A-Z a-z 0-9 _, the first no digit`,
    );
  }
  const run = (sql: string, ...parameters: unknown[]) => {
    database.prepare(sql).run(...parameters);
  };
  try {
    // A body is emptied once it is sent: what stays is what tells a repeated id.
    run(`CREATE TABLE IF NOT EXISTS ${name} (
      seq INTEGER PRIMARY KEY, message_id TEXT NOT NULL UNIQUE, routing_key TEXT NOT NULL, properties TEXT NOT NULL, body BLOB NOT NULL,
      created_ms INTEGER NOT NULL, refusals INTEGER NOT NULL DEFAULT 0, retry_ms INTEGER NOT NULL DEFAULT 0, last_error TEXT,
      sent_ms INTEGER)`);
    run(`CREATE INDEX IF NOT EXISTS ${name}_unsent ON ${name} (seq) WHERE sent_ms IS NULL`);
    run(
      `CREATE INDEX IF NOT EXISTS ${name}_refused ON ${name} (routing_key, retry_ms) WHERE sent_ms IS NULL AND refusals > 0`,
    );
    run(`CREATE INDEX IF NOT EXISTS ${name}_sent ON ${name} (sent_ms) WHERE sent_ms IS NOT NULL`);
    run(
      `CREATE TABLE IF NOT EXISTS ${name}_lease (id INTEGER PRIMARY KEY CHECK (id = 1), owner TEXT NOT NULL, until_ms INTEGER NOT NULL)`,
    );
    run(`INSERT INTO ${name}_lease VALUES (1, '', 0) ON CONFLICT DO NOTHING`);
  } catch (cause) {
    throw new MillraceError(
      "invalid-settings",
      `Cannot make outbox table "${name}": ${describeError(cause)}, expected an open SQLite database that can be written to`,
      { cause },
    );
  }

  const sql = {
    add: database.prepare(
      `INSERT INTO ${name} (message_id, routing_key, properties, body, created_ms) VALUES (?, ?, ?, ?, ?) ON CONFLICT (message_id) DO NOTHING`,
    ),
    next: database.prepare(
      `SELECT seq, message_id, routing_key, properties, body, refusals FROM ${name} WHERE sent_ms IS NULL AND routing_key NOT IN
        (SELECT routing_key FROM ${name} WHERE sent_ms IS NULL AND refusals > 0 AND retry_ms > ?) ORDER BY seq LIMIT ?`,
    ),
    lease: database.prepare(`SELECT owner, until_ms FROM ${name}_lease`),
    claim: database.prepare(`UPDATE ${name}_lease SET owner = ?, until_ms = ?`),
    sent: database.prepare(`UPDATE ${name} SET sent_ms = ?, body = x'', last_error = NULL WHERE seq = ?`),
    refused: database.prepare(
      `UPDATE ${name} SET refusals = refusals + 1, retry_ms = ?, last_error = ? WHERE seq = ? AND sent_ms IS NULL`,
    ),
    purge: database.prepare(
      `DELETE FROM ${name} WHERE seq IN (SELECT seq FROM ${name} WHERE sent_ms <= ? LIMIT ${PURGE_ROWS}) RETURNING seq`,
    ),
    stats: database.prepare(
      `SELECT count(*) AS pending, min(created_ms) AS oldest FROM ${name} WHERE sent_ms IS NULL`,
    ),
    begin: database.prepare("BEGIN"),
    beginWrite: database.prepare("BEGIN IMMEDIATE"),
    commit: database.prepare("COMMIT"),
    rollback: database.prepare("ROLLBACK"),
  };

  const transact = <T>(begin: "begin" | "beginWrite", body: () => T): T => {
    sql[begin].run();
    try {
      const result = body();
      sql.commit.run();
      return result;
    } catch (error) {
      // Some errors have ended the transaction already.
      try {
        sql.rollback.run();
      } catch {}
      throw error;
    }
  };

  const leaseOf = (owner: string): "ours" | "free" | "taken" => {
    const [lease] = sql.lease.all() as { owner: string; until_ms: number | bigint }[];
    const isCurrent = lease !== undefined && Number(lease.until_ms) > Date.now();
    return !isCurrent ? "free" : lease.owner === owner ? "ours" : "taken";
  };

  return {
    add({ messageId, routingKey, properties, body }) {
      const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
      sql.add.run(messageId, routingKey, JSON.stringify(properties), bytes, Date.now());
    },

    hasWork: (owner) =>
      transact("begin", () => sql.next.all(Date.now(), 1).length > 0 && leaseOf(owner) !== "taken"),

    turn: (owner, leaseMs, settled) =>
      transact("beginWrite", () => {
        for (const row of settled) {
          if (row.isTaken) sql.sent.run(Date.now(), row.seq);
          else sql.refused.run(row.retryAt, row.reason, row.seq);
        }
        if (leaseOf(owner) === "taken") return [];
        sql.claim.run(owner, Date.now() + leaseMs);
        return (sql.next.all(Date.now(), TURN_ROWS) as StoredRow[]).map(parseRow);
      }),

    release: (owner) =>
      transact("beginWrite", () => {
        if (leaseOf(owner) === "ours") sql.claim.run("", 0);
      }),

    purge: (olderThanMs) =>
      transact("beginWrite", () => sql.purge.all(Date.now() - olderThanMs).length < PURGE_ROWS),

    stats(owner) {
      const [found] = sql.stats.all() as { pending: number | bigint; oldest: number | bigint | null }[];
      const oldest = found?.oldest ?? undefined;
      return {
        pending: Number(found?.pending ?? 0),
        oldestMs: oldest === undefined ? undefined : Math.max(0, Date.now() - Number(oldest)),
        isFlusher: leaseOf(owner) === "ours",
      };
    },
  };
}

interface StoredRow {
  /** A bigint where the caller's connection is set so. */
  readonly seq: number | bigint;
  readonly message_id: string;
  readonly routing_key: string;
  readonly properties: string;
  readonly body: Uint8Array;
  readonly refusals: number | bigint;
}

function parseRow(row: StoredRow): OutboxRow {
  return {
    seq: Number(row.seq),
    refusals: Number(row.refusals),
    message: {
      messageId: row.message_id,
      routingKey: row.routing_key,
      properties: JSON.parse(row.properties) as MessageProperties,
      body: row.body,
    },
  };
}
