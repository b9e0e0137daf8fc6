/** `/stream/history`: what the log holds, as JSON pages. */
import { fetchWithToken } from "../../kit/token.ts";

/** One event of the log, as far as the page needs it. */
export interface HistoryEntry {
  readonly cursor: string;
  /** When it happened, milliseconds since 1970; NaN when the log does not say. */
  readonly timeMs: number;
}

const PAGE_EVENTS = 500;

/**
 * Every event of the company after the cursor that the log holds now, in log order, page by page.
 * @throws Error in words for the reader: when the server cannot be asked, answers otherwise, or there are more than `most`.
 */
export async function readHistory(
  companyId: string,
  after: string,
  { most, signal }: { most: number; signal: AbortSignal },
): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  for (let more = true; more; ) {
    const query = new URLSearchParams({ companyId, after, limit: String(PAGE_EVENTS) });
    const response = await fetchWithToken(`/stream/history?${query}`, { signal, cache: "no-store" });
    if (!response.ok) throw new Error(`the history answered ${response.status}`);
    const page = (await response.json()) as {
      events: { cursor: string; time: string }[];
      next: string;
      more: boolean;
    };
    for (const { cursor, time } of page.events) entries.push({ cursor, timeMs: Date.parse(time) });
    if (entries.length > most) throw new Error(`more than ${most} events to compare`);
    more = page.more && page.next !== after;
    after = page.next;
  }
  return entries;
}
