/** The row of one company's log: what outlives its entries. */
import type { DatabaseSync } from "node:sqlite";
import { type Cursor, formatCursor } from "../../core/cursor.ts";
import type { CompanyId } from "../../core/ids.ts";

export interface LogRow {
  readonly id: number;
  readonly epoch: string;
  /** Position of the newest entry. */
  readonly ms: number;
  readonly seq: number;
  /** Entries kept. */
  readonly kept: number;
  /** Distinct types counted. */
  readonly types: number;
}

/** Finds a company's log, if it has one. */
export function createLogFinder(connection: DatabaseSync): (company: CompanyId) => LogRow | undefined {
  const find = connection.prepare(
    "SELECT id, epoch, last_ms AS ms, last_seq AS seq, kept, types FROM logs WHERE company = ?",
  );
  return (company) => find.get(company) as LogRow | undefined;
}

/** The cursor of a position in the log. */
export function cursorOf({ epoch }: LogRow, { ms, seq }: { ms: number; seq: number }): Cursor {
  return formatCursor(epoch, `${ms}-${seq}`);
}
