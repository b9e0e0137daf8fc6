/** `GET /stream/history`, page by page: what is read where no stream gets through, and to catch up with another tab's. */
import { gapOf, type Item } from "./item.ts";
import type { Attempt, Outcome } from "./keep-open.ts";
import { refusalOf } from "./stream.ts";
import { fetchAs, type GetToken, siblingUrl } from "./token.ts";

/** Whose events, and which. */
export interface UpdatesRequest {
  /** Of the server: its origin. */
  readonly url: string | URL;
  readonly companyId: string;
  /** Undefined: all. */
  readonly types: readonly string[] | undefined;
  readonly getToken: GetToken | undefined;
}

export interface Page {
  readonly kind: "page";
  /** Every event behind the cursor; those of other types without type and data. */
  readonly items: readonly Item[];
  /** Where the next page begins. */
  readonly next: string;
  readonly more: boolean;
}

/** Events of a page: the server's most. */
const PAGE_EVENTS = "500";

/** The page behind a cursor; empty: no events, and where the log ends. Rejects when the server cannot be reached. */
export async function readPage(
  { url, companyId, types, getToken }: UpdatesRequest,
  after: string,
  attempt: Pick<Attempt, "signal" | "retry">,
): Promise<Page | Outcome> {
  const address = siblingUrl(url, "/stream/history", {
    companyId,
    limit: PAGE_EVENTS,
    after: after || "latest",
  });
  // Full pages do not change: the browser may have them.
  const response = await fetchAs(getToken, address, { cache: "default", signal: attempt.signal });
  const refused = await refusalOf(response, attempt);
  if (refused) return refused;
  const page = await response.json();
  const items: Item[] = [];
  let prev = after;
  // In one step with the event behind it: between the two there is no cursor, and it must not be told again.
  let gap = page.gap && gapOf(page.gap);
  for (const { cursor, type, data } of page.events) {
    items.push({ cursor, prev, gap, ...(!types || types.includes(type) ? { type, data } : {}) });
    prev = cursor;
    gap = undefined;
  }
  if (gap) items.push({ cursor: page.next, prev, gap });
  return { kind: "page", items, next: page.next, more: page.more };
}
