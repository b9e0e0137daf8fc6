/** What the EventLog contract needs of an adapter's test, and what its parts share. */
import { expect } from "vitest";
import { type Cursor, comparePositions, cursorParts, GENESIS } from "../../functions/core/cursor.ts";
import { type MillraceEvent, parseEvent } from "../../functions/core/event.ts";
import { type CompanyId, parseCompanyId } from "../../functions/core/ids.ts";
import type { EventLog, LogEntry, ReadResult } from "../../functions/ports/event-log.ts";
import { waitFor } from "../support/wait.ts";

export interface EventLogOptions {
  readonly retentionMs: number;
  readonly maxEvents: number;
}

/** One store. Disposing it closes every log opened on it and deletes its data. */
export interface EventLogBackend extends AsyncDisposable {
  /** One more instance on this store, with a connection of its own. */
  open(): Promise<EventLog>;
  /** The store loses everything while instances are open. */
  wipe(): Promise<void>;
  /** Keeps what the store holds now; the function returned puts the store back to it while instances are open. */
  snapshot(): Promise<() => Promise<void>>;
  /** The store is killed and started again with its data, while instances are open. */
  restart?(): Promise<void>;
  /** How many things all open tails hold: subscriptions, watches. */
  held(): Promise<number>;
}

export interface EventLogContract {
  readonly name: string;
  readonly create: (options: EventLogOptions) => Promise<EventLogBackend>;
  /** Whether the store is a server of its own, which can go away. */
  readonly restarts: boolean;
  /** Why it cannot run here. */
  readonly skip?: string | undefined;
}

/** Nothing is trimmed. */
export const LASTING: EventLogOptions = { retentionMs: 3_600_000, maxEvents: 1_000_000 };
let companies = 0;
/** A company no other test has. */
export const newCompany = (name = "company") => parseCompanyId(`${name}-${++companies}`);

/** The event `id` of a company. */
export function event(
  companyId: CompanyId,
  id: string | number,
  { type = "metric_updated", source = "/test", dataText = JSON.stringify({ id }) } = {},
): MillraceEvent {
  return parseEvent({ companyId, source, id: String(id), type, dataText, time: "2026-01-31T12:00:00Z" });
}

/** Events `from` to below `to`. */
export function events(companyId: CompanyId, from: number, to: number): MillraceEvent[] {
  return Array.from({ length: to - from }, (_, n) => event(companyId, from + n));
}

/** The id an entry's event was appended with. */
export const idOf = ({ record }: LogEntry) => (JSON.parse(record) as { id: string }).id;
/** The ids of {@link events}. */
export const ids = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, n) => String(from + n));

type Gap = Exclude<ReadResult, { kind: "events" }>;

/** The entries of a result that is no gap. */
export function entriesOf(result: ReadResult): readonly LogEntry[] {
  if (result.kind !== "events") throw new Error(`expected events, got ${JSON.stringify(result)}`);
  return result.entries;
}

/** Everything after the cursor, page by page. */
export async function readAll(
  log: EventLog,
  company: CompanyId,
  after: Cursor = GENESIS,
): Promise<LogEntry[]> {
  const all: LogEntry[] = [];
  for (;;) {
    const result = await log.read(company, all.at(-1)?.cursor ?? after, 500);
    all.push(...entriesOf(result));
    if (result.kind === "events" && !result.more) return all;
  }
}

/** A tail being read. */
export interface Reader {
  readonly entries: LogEntry[];
  readonly gaps: Gap[];
  ids(): string[];
  /** Resolves when as many entries are there. */
  has(count: number): Promise<void>;
  stop(): Promise<void>;
}

/** Reads a tail in the background. */
export function readTail(log: EventLog, company: CompanyId, after: Cursor): Reader {
  const controller = new AbortController();
  const entries: LogEntry[] = [];
  const gaps: Gap[] = [];
  const ended = (async () => {
    for await (const result of log.tail(company, after, controller.signal)) {
      if (result.kind === "events") entries.push(...result.entries);
      else gaps.push(result);
    }
  })();
  let failure: unknown;
  ended.catch((error: unknown) => {
    failure = error;
  });
  const reader = {
    entries,
    gaps,
    ids: () => entries.map(idOf),
    async has(count: number) {
      await waitFor(`${count} entries of ${company}, have ${entries.length}`, () => {
        if (failure !== undefined) throw failure;
        return entries.length >= count;
      });
    },
    async stop() {
      controller.abort();
      await ended;
    },
  };
  return reader;
}

/** One epoch, positions that grow strictly. */
export function expectGrowing(cursors: readonly Cursor[]): void {
  for (let at = 1; at < cursors.length; at++) {
    const [before, after] = [cursorParts(cursors[at - 1]!), cursorParts(cursors[at]!)];
    expect(after.epoch).toBe(before.epoch);
    expect(comparePositions(before.position, after.position)).toBeLessThan(0);
  }
}

export const sum = (numbers: readonly number[] = []) => numbers.reduce((a, b) => a + b, 0);

/** What the tests that leave the store in order share. */
interface Shared {
  readonly backend: EventLogBackend;
  /** Two instances on it. */
  readonly log: EventLog;
  readonly other: EventLog;
}

/** How a part of the suite states its tests; each is reported as skipped, with the reason, where the store is not there. */
export interface Tests {
  readonly test: (title: string, body: (shared: Shared) => Promise<void>) => void;
  /** On a store of its own, with two instances open. */
  readonly testStore: (
    title: string,
    options: Partial<EventLogOptions>,
    body: (own: EventLogBackend, a: EventLog, b: EventLog) => Promise<void>,
  ) => void;
}
