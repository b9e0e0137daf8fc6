/** `GET /stream/history`: the events of the stream as JSON pages. */
import { Hono } from "hono";
import * as z from "zod";
import { type Cursor, GENESIS } from "../core/cursor.ts";
import { MillraceError } from "../core/errors.ts";
import type { CompanyId } from "../core/ids.ts";
import { PAGE_EVENTS } from "../core/limits.ts";
import type { LogEntry } from "../core/log-entry.ts";
import { REFUSALS } from "../core/refusals.ts";
import type { Settings } from "../core/settings.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { Gate } from "../ports/gate.ts";
import type { Operation } from "./operation.ts";
import { COMPANY, CURSOR, count, queryOf, readQuery } from "./query.ts";
import { refuseByStatus } from "./refusal.ts";

/** What history needs. */
export interface HistoryDeps {
  readonly settings: Pick<Settings, "STREAMING_ENABLED">;
  readonly log: Pick<EventLog, "read" | "tip">;
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

/** In place of a cursor: where the log ends. No cursor is a word without a dot. */
const LATEST = "latest";

const QUERY = z.object({
  companyId: COMPANY.meta({ description: "One of the companies of the caller's token" }),
  after: z
    .union(
      [z.literal(LATEST), CURSOR],
      "expected the id of an event of this stream, as it was sent, or latest",
    )
    .optional()
    .meta({
      description:
        "A cursor; without it, from the beginning. `latest`: no events, `next` is where the log ends",
    }),
  limit: count(PAGE_EVENTS).default(DEFAULT_LIMIT).meta({ description: "Events of a page, at most" }),
});

const EVENT = z
  .looseObject({
    cursor: z.string().meta({ description: "Where a stream resumes behind it" }),
    specversion: z.literal("1.0"),
    type: z.string(),
    source: z.string(),
    id: z.string(),
    time: z.string().meta({ format: "date-time" }),
    companyid: COMPANY,
    datacontenttype: z.literal("application/json"),
    subject: z.string().optional(),
    data: z.looseObject({ companyId: z.string() }),
  })
  .meta({ id: "Event", description: "A CloudEvent (CloudEvents 1.0) and its cursor" });

const GAP = z
  .object({
    reason: z.enum(["expired", "reset"]).meta({
      description: "`expired`: kept no longer; `reset`: the cursor is of a log that is gone",
    }),
    requested: z.string(),
    resumedAt: z.string().meta({ description: "The cursor of the oldest event kept" }),
  })
  .meta({ id: "Gap", description: "What lies behind `after` and cannot be given any more" });

const PAGE = z
  .object({
    events: z.array(EVENT),
    next: z.string().meta({ description: "`after` of the next page, also when there is none yet" }),
    more: z.boolean().meta({ description: "False: the end has been reached" }),
    gap: GAP.optional(),
  })
  .meta({
    examples: [
      {
        events: [
          {
            cursor: "x1pq0c7wz2fa.1763700000000-0",
            specversion: "1.0",
            type: "metric_updated",
            source: "/nats/metrics",
            id: "1",
            time: "2026-01-31T12:00:00.000Z",
            companyid: "acme",
            datacontenttype: "application/json",
            data: { companyId: "acme", metricName: "integration_score", value: 0.85 },
          },
        ],
        next: "x1pq0c7wz2fa.1763700000000-0",
        more: false,
      },
    ],
  });

export const HISTORY = {
  method: "get",
  path: "/stream/history",
  id: "readHistory",
  tag: "Streams",
  access: "cookie",
  summary: "The same events as JSON pages",
  description:
    "A page behind a named `after` with more behind it does not change, and may be kept by the browser.",
  query: QUERY,
  answers: {
    200: {
      description: "A page",
      json: PAGE,
      headers: { ETag: "Of the page, for `If-None-Match`", "Cache-Control": "Always `private`" },
    },
    304: { description: "As `If-None-Match` names it" },
  },
  problems: [400, 401, 403, 503],
} as const satisfies Operation;

export function historyRoutes({ settings, log, gate }: HistoryDeps): Hono {
  const app = new Hono();
  app.get(HISTORY.path, async (c) => {
    const query = queryOf(c);
    const { principal } = await gate.admit(c.req.raw, "cookie");
    const { companyId: company, after, limit } = readQuery(HISTORY.query, query);
    const { streaming } = gate.permit(principal, company);
    if (!(settings.STREAMING_ENABLED && streaming)) return refuseByStatus(c, REFUSALS.disabled);
    const page =
      after === LATEST
        ? { entries: [], next: await log.tip(company), more: false, gap: undefined }
        : await readPage(log, company, after ?? GENESIS, limit);
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
function cacheControl({ more, gap }: Page, after: Cursor | typeof LATEST | undefined): string {
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
