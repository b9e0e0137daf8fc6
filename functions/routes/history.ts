/** `GET /stream/history`: the events of the stream as JSON pages. */
import { Hono } from "hono";
import { type Cursor, GENESIS } from "../core/cursor.ts";
import { MillraceError } from "../core/errors.ts";
import type { CompanyId } from "../core/ids.ts";
import { PAGE_EVENTS } from "../core/limits.ts";
import type { LogEntry } from "../core/log-entry.ts";
import { REFUSALS } from "../core/refusals.ts";
import type { Settings } from "../core/settings.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { Gate } from "../ports/gate.ts";
import { queryOf, readCompany, readCount, readCursor, readOnce } from "./query.ts";
import { refuseByStatus } from "./refusal.ts";

/** What history needs. */
export interface HistoryDeps {
  readonly settings: Pick<Settings, "STREAMING_ENABLED">;
  readonly log: Pick<EventLog, "read">;
  readonly gate: Gate;
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
/**
 * Seconds a browser may keep a page that will not change. Not for good: an operator who shortens the retention wants events gone, from
 * browsers too.
 */
const FULL_PAGE_SECONDS = 3_600;
/** Each gap that is answered with another one means that the log was trimmed in between. */
const MAX_GAPS = 3;

export function historyRoutes({ settings, log, gate }: HistoryDeps): Hono {
  const app = new Hono();
  app.get("/stream/history", async (c) => {
    const query = queryOf(c);
    const { principal } = await gate.admit(c.req.raw, "cookie");
    const company = readCompany(query);
    const after = readCursor("after", readOnce(query, "after"));
    const limit = readCount(query, "limit", { max: PAGE_EVENTS, fallback: DEFAULT_LIMIT });
    const { streaming } = gate.permit(principal, company);
    if (!(settings.STREAMING_ENABLED && streaming)) return refuseByStatus(c, REFUSALS.disabled);
    const page = await readPage(log, company, after ?? GENESIS, limit);
    const etag = etagOf(page);
    c.header("etag", etag);
    c.header("cache-control", cacheControl(page, after));
    // Whose page it is depends on who asks; the origin may be there already.
    c.header("vary", "Authorization, Cookie", { append: true });
    if (matches(c.req.header("if-none-match"), etag)) return c.body(null, 304);
    c.header("content-type", "application/json");
    // Who names no cursor wants what there is: nothing that was asked for is missing.
    return c.body(pageJson(page, after !== undefined));
  });
  return app;
}

/**
 * Private always: it is one company's, and a shared cache does not know who may read it. A page behind a named cursor with more behind it is
 * full for good; every other one grows, or begins elsewhere once events have expired.
 */
function cacheControl({ more, gap }: Page, after: Cursor | undefined): string {
  const isFixed = after !== undefined && more && gap === undefined;
  return isFixed ? `private, max-age=${FULL_PAGE_SECONDS}` : "private, no-cache";
}

/** Of two pages of one URL: the events between the first and the last are the same, because the log only grows and is trimmed. */
function etagOf({ entries, next, more, gap }: Page): string {
  const said = gap === undefined ? "" : `:${gap.reason}:${gap.resumedAt}`;
  return `"${entries[0]?.cursor ?? ""}:${next}:${more}${said}"`;
}

/** Weakly (RFC 9110, section 13.1.2): a proxy that compresses the page makes its tag a weak one. */
function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = ifNoneMatch?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  return tags.includes(etag) || tags.includes("*");
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
