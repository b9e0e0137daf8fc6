/** Where a viewer of log lines begins who names no cursor. */
import { type Cursor, GENESIS } from "../core/cursor.ts";
import { LOGS_COMPANY } from "../core/ids.ts";
import { LOOK_BACK_EVENTS } from "../core/limits.ts";
import { LOG_LINE_TYPE } from "../core/log-line.ts";
import { shared } from "../core/shared.ts";
import type { EventLog } from "../ports/event-log.ts";
import { type LineFacts, type LineFilter, lineFacts } from "./line-filter.ts";

const TYPES = new Set([LOG_LINE_TYPE]);
/** Lines shown to a viewer who has none. */
const FIRST_LINES = 200;
/** Milliseconds for which a look at the newest lines is good, while nothing was appended: it reads up to 16 MiB. */
const LOOK_MS = 1_000;

/** The newest lines, without what they say: 2,000 are some 300 KiB. */
interface Look {
  readonly tip: Cursor;
  readonly lines: readonly (LineFacts & { readonly cursor: Cursor })[];
}

/**
 * The cursor after which the newest FIRST_LINES lines come that the filter lets through; fewer where there are fewer among the newest
 * LOOK_BACK_EVENTS lines; more by those that come while it looks. Nothing that is appended from the call on comes before it.
 * @throws MillraceError `unavailable`.
 */
export type FindLineStart = (filter: LineFilter) => Promise<Cursor>;

/** Who comes at the same moment shares a look. */
export function createFindLineStart(log: Pick<EventLog, "tip" | "latest" | "read">): FindLineStart {
  // Most want every line, and then a few are enough: the cursor before the first shown is that of the line before it.
  const looks = [FIRST_LINES + 1, LOOK_BACK_EVENTS].map((limit) => ({ limit, take: sharedLook(log, limit) }));
  return async (filter) => {
    let look: Look | undefined;
    for (const { limit, take } of looks) {
      look = await take();
      const start = startAmong(look, filter);
      if (start !== undefined) return start;
      if (look.lines.length < limit) break;
    }
    const { tip, lines } = look!;
    const oldest = lines[0];
    if (oldest === undefined) return tip;
    // All that was looked at is to be shown. What is before the oldest of it has no name, unless it is where the log begins.
    const beginning = await log.read(LOGS_COMPANY, GENESIS, 1);
    if (beginning.kind === "events") {
      return beginning.entries[0]?.cursor === oldest.cursor ? GENESIS : oldest.cursor;
    }
    return beginning.oldest === oldest.cursor ? beginning.resumeAfter : oldest.cursor;
  };
}

function sharedLook(log: Pick<EventLog, "tip" | "latest">, limit: number): () => Promise<Look> {
  let last: (Look & { readonly takenMs: number }) | undefined;

  return shared(async () => {
    const tip = await log.tip(LOGS_COMPANY);
    if (last !== undefined && last.tip === tip && performance.now() - last.takenMs < LOOK_MS) return last;
    const newest = await log.latest(LOGS_COMPANY, TYPES, limit);
    const lines = newest.map((entry) => ({ cursor: entry.cursor, ...lineFacts(entry) }));
    last = { tip, lines, takenMs: performance.now() };
    return last;
  });
}

/** Undefined: there are not that many, or nothing is before them. */
function startAmong({ lines }: Look, filter: LineFilter): Cursor | undefined {
  let missing = FIRST_LINES;
  for (let at = lines.length - 1; at > 0; at--) {
    if (filter.matchesLine(lines[at]!) && --missing === 0) return lines[at - 1]!.cursor;
  }
  return undefined;
}
