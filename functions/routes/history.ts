/** `GET /stream/history`: the events of the stream as JSON pages. */
import { Hono } from "hono";
import { type Cursor, GENESIS } from "../core/cursor.ts";
import { MillraceError } from "../core/errors.ts";
import type { CompanyId } from "../core/ids.ts";
import { PAGE_EVENTS } from "../core/limits.ts";
import type { LogEntry } from "../core/log-entry.ts";
import type { Settings } from "../core/settings.ts";
import type { Authenticator } from "../ports/authenticator.ts";
import type { EventLog } from "../ports/event-log.ts";
import { authenticate, requireCompany } from "./access.ts";
import { queryOf, readCompany, readCount, readCursor, readOnce } from "./query.ts";
import { REFUSALS, refuseByStatus } from "./refusal.ts";

/** What history needs. */
export interface HistoryDeps {
  readonly settings: Pick<Settings, "STREAMING_ENABLED">;
  readonly log: Pick<EventLog, "read">;
  readonly authenticator: Authenticator;
}

/** What cannot be replayed, as the stream's `gap` event says it. */
interface Gap {
  readonly reason: "expired" | "reset";
  readonly requested: Cursor;
  readonly resumedAt: Cursor;
}

interface Page {
  readonly entries: readonly LogEntry[];
  /** Where the next page begins. */
  readonly next: Cursor;
  readonly more: boolean;
  readonly gap: Gap | undefined;
}

const DEFAULT_LIMIT = 100;
/** Each gap that is answered with another one means that the log was trimmed in between. */
const MAX_GAPS = 3;

export function historyRoutes({ settings, log, authenticator }: HistoryDeps): Hono {
  const app = new Hono();
  app.get("/stream/history", async (c) => {
    const query = queryOf(c);
    const principal = await authenticate(authenticator, c.req.raw, query);
    const company = readCompany(query);
    const after = readCursor("after", readOnce(query, "after"));
    const limit = readCount(query, "limit", { max: PAGE_EVENTS, fallback: DEFAULT_LIMIT });
    requireCompany(principal, company);
    if (!settings.STREAMING_ENABLED) return refuseByStatus(c, REFUSALS.disabled);
    const page = await readPage(log, company, after ?? GENESIS, limit);
    // Who names no cursor wants what there is: nothing that was asked for is missing.
    return c.body(pageJson(page, after !== undefined), 200, {
      "content-type": "application/json",
      "cache-control": "private, no-cache",
    });
  });
  return app;
}

async function readPage(
  log: HistoryDeps["log"],
  company: CompanyId,
  requested: Cursor,
  limit: number,
): Promise<Page> {
  let after = requested;
  let gap: Gap | undefined;
  for (let gaps = 0; gaps <= MAX_GAPS; gaps++) {
    const result = await log.read(company, after, limit);
    if (result.kind === "events") {
      const { entries, more } = result;
      return { entries, next: entries.at(-1)?.cursor ?? after, more, gap };
    }
    after = result.resumeAfter;
    // The first reason is the client's; a later one is of a cursor it never had.
    gap = { reason: gap?.reason ?? result.kind, requested, resumedAt: result.oldest ?? after };
  }
  throw new MillraceError(
    "unavailable",
    `Cannot read a page of events: the log was trimmed ${MAX_GAPS} times meanwhile, expected it to hold still`,
  );
}

/** Put together from the stored text: parsing and printing would change large numbers. */
function pageJson({ entries, next, more, gap }: Page, withGap: boolean): string {
  const events = entries.map(({ cursor, record }) => `{"cursor":"${cursor}",${record.slice(1)}`);
  const said = withGap && gap ? `,"gap":${JSON.stringify(gap)}` : "";
  return `{"events":[${events.join(",")}],"next":"${next}","more":${more}${said}}`;
}
