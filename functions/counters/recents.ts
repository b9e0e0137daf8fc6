/** The newest payloads of some types, over one company or several: in the order of the store's clock, each once. */
import { comparePositions, cursorParts } from "../core/cursor.ts";
import { type DataText, recordData, recordType } from "../core/event.ts";
import type { CompanyId, EventType } from "../core/ids.ts";
import { MAX_DATA_BYTES } from "../core/limits.ts";
import type { LogEntry } from "../core/log-entry.ts";

export interface Recents {
  /** Another one after every change. */
  readonly version: number;
  /** In any order, also entries that are here already. */
  add(company: CompanyId, entries: readonly LogEntry[]): void;
  /** The company's log is gone, or it is to be read anew. */
  forget(company: CompanyId): void;
  /** Oldest first; the newest that together have at most MAX_CHARS, one at least. */
  of(type: EventType): readonly DataText[];
}

interface Kept {
  readonly company: CompanyId;
  readonly entry: LogEntry;
  readonly position: string;
}

/** Characters of one type's payloads together: a client that is slow may hold a snapshot of its own, and ten of the largest would be over a megabyte. */
const MAX_CHARS = MAX_DATA_BYTES;

/** Keeps at most `limit` of each type: with the largest payloads `limit` x 128 KiB. */
export function createRecents(types: readonly EventType[], limit: number): Recents {
  const kept = new Map<EventType, Kept[]>(types.map((type) => [type, []]));
  let version = 0;

  const insert = (list: Kept[], added: Kept) => {
    let at = list.length;
    // Nearly always it is the newest.
    while (at > 0 && comparePositions(list[at - 1]!.position, added.position) > 0) at--;
    for (let same = at; same > 0 && list[same - 1]!.position === added.position; same--) {
      if (list[same - 1]!.entry.cursor === added.entry.cursor) return;
    }
    if (at === 0 && list.length === limit) return;
    version++;
    list.splice(at, 0, added);
    if (list.length > limit) list.shift();
  };

  return {
    get version() {
      return version;
    },
    add(company, entries) {
      for (const entry of entries) {
        const list = kept.get(recordType(entry.record));
        if (list !== undefined) {
          insert(list, { company, entry, position: cursorParts(entry.cursor).position });
        }
      }
    },
    forget(company) {
      version++;
      for (const [type, list] of kept)
        kept.set(
          type,
          list.filter((known) => known.company !== company),
        );
    },
    of(type) {
      const payloads: DataText[] = [];
      let chars = 0;
      for (const { entry } of [...(kept.get(type) ?? [])].reverse()) {
        const payload = recordData(entry.record);
        chars += payload.length;
        if (chars > MAX_CHARS && payloads.length > 0) break;
        payloads.push(payload);
      }
      return payloads.reverse();
    },
  };
}
