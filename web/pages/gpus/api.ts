/** The metrics API, as far as the page asks it: pages of GPUs and of readings. */
import { fetchWithToken } from "../../kit/token.ts";
import { type Labels, MAX_GPUS, type Reading, readLabels, readReading } from "./fleet.ts";

/** An answer that is none. `status`: of HTTP. */
export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface Page {
  readonly total: number;
  readonly items: readonly unknown[];
}

export interface GpuList {
  readonly total: number;
  readonly gpus: readonly { readonly uuid: string; readonly labels: Labels }[];
  /** How far the server's clock is ahead of this one, milliseconds. */
  readonly aheadMs: number;
}

export interface Series {
  /** Oldest first. */
  readonly readings: readonly Reading[];
  /** There are older ones in the time that was asked for. */
  readonly isCut: boolean;
}

/** Readings of a page of the API, the most it gives. */
const PAGE_ITEMS = 1_000;
/** Pages of a series: what a chart of this width can still tell apart, several times over. */
const MAX_PAGES = 10;
/** Newest readings of a GPU of which each metric's last is taken: an exporter's own list is about as long. */
const LATEST_ITEMS = 40;

export interface Api {
  /** @throws ApiError, TypeError where the server cannot be reached. */
  gpus(): Promise<GpuList>;
  /** The newest readings of one GPU, whatever their metric. @throws as `gpus`. */
  latest(uuid: string): Promise<readonly Reading[]>;
  /** The newest readings of one metric since then, at most {@link PAGE_ITEMS} times {@link MAX_PAGES}. @throws as `gpus`. */
  series(uuid: string, metric: string, fromMs: number, signal: AbortSignal): Promise<Series>;
}

export function createApi(companyId: string): Api {
  async function get(path: string, query: Record<string, string>, signal?: AbortSignal) {
    const all = new URLSearchParams({ companyId, ...query });
    const response = await fetchWithToken(`/api/v1/gpus${path}?${all}`, signal ? { signal } : {});
    if (!response.ok) {
      const { message } = Object(await response.json().catch(() => undefined)) as { message?: string };
      throw new ApiError(response.status, message ?? `the server answered ${response.status}`);
    }
    return { response, page: (await response.json()) as Page };
  }
  const readings = (uuid: string, query: Record<string, string>, signal?: AbortSignal) =>
    get(`/${encodeURIComponent(uuid)}/telemetry`, { sort: "desc", ...query }, signal);

  return {
    async gpus() {
      const { response, page } = await get("", { limit: String(MAX_GPUS) });
      const saidMs = Date.parse(response.headers.get("date") ?? "");
      const gpus = page.items.map((item) => ({
        uuid: String((item as { uuid: unknown }).uuid),
        labels: readLabels(item),
      }));
      return { total: page.total, gpus, aheadMs: Number.isNaN(saidMs) ? 0 : saidMs - Date.now() };
    },
    async latest(uuid) {
      const { page } = await readings(uuid, { limit: String(LATEST_ITEMS) });
      return page.items.map(readReading).filter((reading) => reading !== undefined);
    },
    async series(uuid, metric, fromMs, signal) {
      const found: Reading[] = [];
      // Those that come meanwhile would move the pages.
      let untilMs: number | undefined;
      for (let page = 1; ; page++) {
        const until = untilMs === undefined ? {} : { end_time: new Date(untilMs).toISOString() };
        const bounds = { start_time: new Date(fromMs).toISOString(), ...until };
        const limits = { limit: String(PAGE_ITEMS), page: String(page) };
        const { total, items } = (await readings(uuid, { metric, ...bounds, ...limits }, signal)).page;
        found.push(...items.map(readReading).filter((reading) => reading !== undefined));
        untilMs ??= found[0]?.timeMs;
        const isOver = items.length < PAGE_ITEMS || page * PAGE_ITEMS >= total;
        if (isOver || page === MAX_PAGES) return { readings: found.reverse(), isCut: !isOver };
      }
    },
  };
}
