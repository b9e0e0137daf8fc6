/** What goes into the scripts of the event log on Redis and what comes out: arguments, replies and wake-ups. */
import {
  BEFORE_FIRST,
  type Cursor,
  cursorParts,
  formatCursor,
  GENESIS,
  NO_EPOCH,
  positionParts,
} from "./cursor.ts";
import { type EventRecord, encodeRecord, type MillraceEvent } from "./event.ts";
import type { WakeUp } from "./follow.ts";
import type { CompanyId, EventType } from "./ids.ts";
import { PAGE_BYTES } from "./limits.ts";
import type { LogEntry, ReadResult } from "./log-entry.ts";
import { SPAN_SECONDS } from "./redis-log-scripts.ts";
import { TALLIED_MINUTES, TALLIED_SECONDS } from "./tallies.ts";

/** The keys of a company's log; the braces keep them in one cluster slot (Redis cluster specification, hash tags). */
export function logKeys(company: CompanyId) {
  const key = (name: string) => `millrace:{${company}}:${name}`;
  return {
    events: key("events"),
    meta: key("meta"),
    seen: [key("seen:0"), key("seen:1")],
    total: key("total"),
    today: key("today"),
    minutes: [key("minutes:0"), key("minutes:1")],
    seconds: [key("seconds:0"), key("seconds:1")],
    /** Not a key: the channel of wake-ups. */
    wake: key("wake"),
  } as const;
}

const SEPARATOR = "\x1e";

/** Source and id as one text. Neither holds a control character, so no other pair gives the same. */
function identityOf({ source, id }: MillraceEvent): string {
  return `${source}\x1f${id}`;
}

/** ARGV of APPEND_SCRIPT from the number of events on. */
export function encodeBatch(events: readonly MillraceEvent[]): string[] {
  const types = new Map<EventType, { readonly digits: string; events: number }>();
  let typeOfEach = "";
  for (const { type } of events) {
    let counted = types.get(type);
    if (counted === undefined) {
      counted = { digits: String(types.size + 1).padStart(3, "0"), events: 0 };
      types.set(type, counted);
    }
    counted.events++;
    typeOfEach += counted.digits;
  }
  const args = [String(events.length), String(types.size), typeOfEach, ...types.keys()];
  for (const counted of types.values()) args.push(String(counted.events));
  for (const event of events) args.push(identityOf(event));
  let records = "";
  for (const event of events) records += encodeRecord(event) + SEPARATOR;
  args.push(records);
  return args;
}

/** What an append did: the cursor of each event, and whether the log was made by it. */
export interface AppendReply {
  readonly isNewLog: boolean;
  readonly appended: readonly { readonly cursor: Cursor; readonly isNew: boolean }[];
}

/** Reads the reply of APPEND_SCRIPT for a batch of `count` events. */
export function parseAppendReply(reply: unknown, count: number): AppendReply {
  const [epoch, isNewLog, ms, first, ...duplicates] = reply as [
    string,
    number,
    string,
    number,
    ...(number | string)[],
  ];
  let seq = first;
  let next = 0;
  const appended = Array.from({ length: count }, (_, at) => {
    if (duplicates[next] !== at + 1) return { cursor: formatCursor(epoch, `${ms}-${seq++}`), isNew: true };
    next += 2;
    return { cursor: formatCursor(epoch, String(duplicates[next - 1])), isNew: false };
  });
  return { isNewLog: isNewLog === 1, appended };
}

/** ARGV of READ_SCRIPT. */
export function encodeRead(after: Cursor, limit: number): string[] {
  const { epoch, position } = cursorParts(after);
  const [ms, seq] = positionParts(position);
  return [epoch, String(ms), String(seq), String(limit), String(PAGE_BYTES), NO_EPOCH];
}

/** Reads the reply of READ_SCRIPT to a read after the cursor. */
export function parseReadReply(reply: unknown, after: Cursor): ReadResult {
  const [kind, epoch, ...rest] = reply as string[];
  if (kind === undefined || epoch === undefined) {
    if (cursorParts(after).epoch === NO_EPOCH) return { kind: "events", entries: [], more: false };
    return { kind: "reset", resumeAfter: GENESIS, oldest: undefined };
  }
  if (kind !== "events") {
    const [resumeAfter, oldest] = rest;
    return {
      kind: kind as "expired" | "reset",
      resumeAfter: formatCursor(epoch, resumeAfter!),
      oldest: oldest === undefined ? undefined : formatCursor(epoch, oldest),
    };
  }
  const entries: LogEntry[] = [];
  for (let at = 1; at < rest.length; at += 2) {
    entries.push({ cursor: formatCursor(epoch, rest[at]!), record: rest[at + 1] as EventRecord });
  }
  return { kind: "events", entries, more: Number(rest[0]) === 1 };
}

/** ARGV of LATEST_SCRIPT: a step back from before the id, `+` at the tip. `wanted`: how many of each type are still missing. */
export function encodeLatest(
  before: string,
  entries: number,
  wanted: ReadonlyMap<EventType, number>,
): string[] {
  return [before, String(entries), String(PAGE_BYTES), ...[...wanted].flat().map(String)];
}

/** Reads the reply of LATEST_SCRIPT. `before` is where the next step begins; undefined when there is none. Entries are newest first. */
export function parseLatestReply(reply: unknown): {
  before: string | undefined;
  looked: number;
  entries: LogEntry[];
} {
  const [epoch, before, looked, ...rest] = reply as [string?, string?, number?, ...string[]];
  const entries: LogEntry[] = [];
  for (let at = 0; at < rest.length; at += 2) {
    entries.push({ cursor: formatCursor(epoch!, rest[at]!), record: rest[at + 1] as EventRecord });
  }
  return { before: before === "" ? undefined : before, looked: Number(looked ?? 0), entries };
}

/** Takes the messages of APPEND_SCRIPT: `wake` gets what was appended, undefined when the log is to be read. */
export function createWakeUpReader(wake: (wakeUp: WakeUp | undefined) => void) {
  /** Epoch, id before and first new id of the records that follow. */
  let head: readonly string[] | undefined;
  return {
    message(payload: string): void {
      if (!payload.startsWith("{")) {
        const [epoch, previous, first, hasRecords] = payload.split(SEPARATOR);
        head = hasRecords === "1" ? [epoch!, previous!, first!] : undefined;
        if (head === undefined) wake(undefined);
        return;
      }
      // Subscribed between the two messages: the read that follows a subscription finds these.
      if (head === undefined) return;
      const [epoch, previous, first] = head as [string, string, string];
      head = undefined;
      const [ms, seq] = positionParts(first);
      wake({
        previous: formatCursor(epoch, previous),
        // Nothing is behind the last separator.
        entries: payload
          .split(SEPARATOR)
          .slice(0, -1)
          .map((record, at) => ({
            cursor: formatCursor(epoch, `${ms}-${seq + at}`),
            record: record as EventRecord,
          })),
      });
    },
    restored(): void {
      head = undefined;
      wake(undefined);
    },
  };
}

/** Reads the reply of `HMGET meta epoch ms seq`. */
export function parseTip(reply: unknown): Cursor {
  const [epoch, ms, seq] = reply as (string | null)[];
  return typeof epoch === "string" ? formatCursor(epoch, `${ms}-${seq}`) : GENESIS;
}

type Counts = readonly (string | number)[];

/** Reads the reply of TALLIES_SCRIPT. */
export function parseTalliesReply(reply: unknown) {
  const [now, epoch, last, total = [], today = [], hour = [], hourBefore = [], span = [], spanBefore = []] =
    reply as [string, string?, string?, Counts?, Counts?, Counts?, Counts?, Counts?, Counts?];
  const nowMs = Number(now);
  // From entries, never by assignment: a type may be called `__proto__`.
  return {
    at: formatCursor(epoch ?? NO_EPOCH, last ?? BEFORE_FIRST),
    nowMs,
    total: Object.fromEntries(pairs(total)) as Record<EventType, number>,
    today: Object.fromEntries(pairs(today)) as Record<EventType, number>,
    minutes: series(TALLIED_MINUTES, Math.floor(nowMs / 60_000), 60, [hour, hourBefore]),
    seconds: series(TALLIED_SECONDS, Math.floor(nowMs / 1000), SPAN_SECONDS, [span, spanBefore]),
  };
}

/**
 * The last `length` counts of each type, oldest first, up to number `now`, from two hashes that take turns every `turn`: of the turn
 * that is going on, and of the one before. A field is the number within its turn and the type.
 */
function series(
  length: number,
  now: number,
  turn: number,
  hashes: readonly [Counts, Counts],
): Record<EventType, number[]> {
  const found = new Map<string, number[]>();
  for (const [turnsAgo, counts] of hashes.entries()) {
    for (const [name, count] of pairs(counts)) {
      const colon = name.indexOf(":");
      const ago = (now % turn) + turnsAgo * turn - Number(name.slice(0, colon));
      if (ago >= length) continue;
      const type = name.slice(colon + 1);
      const counted = found.get(type) ?? new Array<number>(length).fill(0);
      found.set(type, counted);
      counted[length - 1 - ago] = count;
    }
  }
  return Object.fromEntries(found) as Record<EventType, number[]>;
}

/** `field, value, field, value, …` as pairs. */
function pairs(flat: Counts): [string, number][] {
  const result: [string, number][] = [];
  for (let at = 0; at < flat.length; at += 2) result.push([String(flat[at]), Number(flat[at + 1])]);
  return result;
}
