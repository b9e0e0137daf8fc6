/** Events of the log as the schema has them, and pages of them. */
import { type Cursor, GENESIS } from "../core/cursor.ts";
import type { GapReason } from "../core/encoding.ts";
import { MillraceError } from "../core/errors.ts";
import { type EventRecord, recordType } from "../core/event.ts";
import { PAGE_BYTES, PAGE_EVENTS } from "../core/limits.ts";
import type { EventLog } from "../ports/event-log.ts";
import { refusalError } from "./errors.ts";
import { readEventTypes, readPageSize } from "./inputs.ts";
import type { GraphqlContext, GraphqlRequest } from "./request.ts";

/** Pages of the log looked through for one of ours: a type that nobody sends must not cost more. */
const MAX_PAGES = 4;

export interface EventSource {
  readonly cursor: Cursor;
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly subject?: string;
  readonly time: string;
  readonly data: unknown;
}

export interface GapSource {
  readonly reason: GapReason;
  readonly requested: Cursor;
  readonly resumedAt: Cursor;
}

export function eventOf(cursor: Cursor, record: EventRecord): EventSource {
  return { ...(parseExactly(record) as EventSource), cursor };
}

export function eventResolvers({ log }: { readonly log: Pick<EventLog, "read"> }) {
  /** Characters of the events of all pages of a request: they share what one page may have, since each is parsed in one go. */
  const readChars = new WeakMap<GraphqlRequest, number>();
  return {
    Query: {
      async events(_: unknown, args: EventsArgs, { asked }: GraphqlContext) {
        const { company, streaming } = asked;
        // As /stream/history, of which this is a view.
        if (!streaming) throw refusalError("disabled");
        const first = readPageSize("first", args.first);
        const types = readEventTypes(args.types);
        const wanted = types && new Set<string>(types);
        const items: EventSource[] = [];
        let next = args.after ?? GENESIS;
        let gap: GapSource | undefined;
        for (let page = 0; page < MAX_PAGES; page++) {
          const result = await log.read(company, next, wanted === undefined ? first : PAGE_EVENTS);
          if (result.kind !== "events") {
            next = result.resumeAfter;
            // Who names no cursor wants what there is: nothing that was asked for is missing.
            if (!args.after) continue;
            const resumedAt = result.oldest ?? next;
            gap ??= { reason: result.kind, requested: args.after, resumedAt };
            continue;
          }
          for (const { cursor, record } of result.entries) {
            if (items.length === first) return { items, next, more: true, gap };
            if (wanted?.has(recordType(record)) ?? true) {
              const chars = (readChars.get(asked) ?? 0) + record.length;
              // Shorter than asked for rather than more than can be answered; one at least, so that each goes on.
              if (chars > PAGE_BYTES && items.length > 0) return { items, next, more: true, gap };
              readChars.set(asked, chars);
              items.push(eventOf(cursor, record));
            }
            next = cursor;
          }
          if (!result.more || items.length === first) return { items, next, more: result.more, gap };
        }
        if (gap === undefined || items.length > 0 || wanted !== undefined)
          return { items, next, more: true, gap };
        throw new MillraceError("unavailable", "Cannot read a page of events: the log was trimmed meanwhile");
      },
    },
  };
}

interface EventsArgs {
  readonly types?: readonly string[] | null;
  readonly after?: Cursor | null;
  readonly first: number | null;
}

/** Of recent engines (ECMAScript, JSON.parse source text access); elsewhere numbers are as exact as a double. */
const { rawJSON } = JSON as { rawJSON?: (text: string) => unknown };

type Reviver = (name: string, value: unknown, context?: { readonly source?: string }) => unknown;

const exactly: Reviver = (_name, value, context) => {
  const source = context?.source;
  return typeof value !== "number" || source === undefined || String(value) === source
    ? value
    : rawJSON!(source);
};

/** Parsing and printing would change large numbers: those stay the text they came as. */
function parseExactly(text: string): unknown {
  // Others have none that could change, and the closer look is slow.
  const mayChange = rawJSON !== undefined && /\d{16}|[.\d][eE0]/.test(text);
  return mayChange ? JSON.parse(text, exactly) : JSON.parse(text);
}
