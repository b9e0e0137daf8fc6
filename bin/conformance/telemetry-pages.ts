/** What the checks of the metrics API ask, and what there is to look at. */
import { type Check, notRun, type Outcome } from "./check.ts";
import type { Context } from "./context.ts";
import type { Answer } from "./http.ts";
import { show } from "./sse-parser.ts";

export const GPUS = "/api/v1/gpus";

export type Item = Readonly<Record<string, unknown>>;
export interface Page {
  readonly total: number;
  readonly page: number;
  readonly limit: number;
  readonly items: readonly Item[];
}
type Query = Readonly<Record<string, string | number>>;

/** Readings looked at: what a page may hold at most. */
export const MOST = 1_000;
/** For pages that could overlap. */
const LEAST = 4;
/** Says that the check cannot look. */
class NotThere extends Error {}

export const ask = (
  context: Context,
  path: string,
  query: Query = {},
  token?: string | null,
): Promise<Answer> => {
  const parameters = new URLSearchParams(
    Object.entries(query).map(([name, value]) => [name, String(value)] as [string, string]),
  );
  return context.askRoute(`${path}?${parameters}`, token === undefined ? {} : { token });
};

/** @throws NotThere where the server has no store; Error, in words for the report, at what is no page. */
export async function pageOf(
  context: Context,
  path: string,
  query: Query = {},
  token?: string,
): Promise<Page> {
  const answer = await ask(context, path, query, token);
  if (answer.status === 503) throw new NotThere(`${GPUS} answered 503: this server has no telemetry store`);
  const { total, page, limit, items } = (answer.json ?? {}) as Partial<Page>;
  if (answer.status !== 200 || !Array.isArray(items) || ![total, page, limit].every(Number.isInteger))
    throw new Error(
      `${path} answered ${answer.status} ${show(answer.text)}, expected 200 and total, page, limit, items`,
    );
  if (items.length > limit!) throw new Error(`a page of ${items.length} items, expected at most ${limit}`);
  return answer.json as Page;
}

export const telemetryOf = (uuid: unknown) => `${GPUS}/${encodeURIComponent(String(uuid))}/telemetry`;

interface Known {
  readonly gpus: readonly Item[];
  /** Of the GPU that has the most. */
  readonly path: string;
  /** The oldest, and the time of the last: what comes meanwhile is newer. */
  readonly readings: readonly Item[];
  readonly until: string;
}

async function look(context: Context): Promise<Known> {
  const { company: companyId } = context.target;
  const { items: gpus } = await pageOf(context, GPUS, { companyId, limit: 20 });
  let [path, readings]: [string, readonly Item[]] = ["", []];
  for (const { uuid } of gpus) {
    const one = telemetryOf(uuid);
    const { items } = await pageOf(context, one, { companyId, limit: MOST });
    if (items.length > readings.length) [path, readings] = [one, items];
  }
  const newest = readings.at(-1);
  const settled = readings.filter((item) => timeOf(item) < timeOf(newest!));
  if (settled.length < LEAST)
    throw new NotThere(
      `no GPU of ${companyId} has readings of ${LEAST + 1} times, so there is nothing to look at`,
    );
  return { gpus, path, readings: settled, until: String(settled.at(-1)!.timestamp) };
}

/** With what there is; not run where that is nothing. */
export const withReadings =
  (run: (context: Context, known: Known) => Promise<Outcome>): Check["run"] =>
  async (context) => {
    try {
      return await run(context, await look(context));
    } catch (error) {
      if (error instanceof NotThere) return notRun(error.message);
      throw error;
    }
  };

export const keyOf = ({ timestamp, metric_name, value }: Item) => `${timestamp} ${metric_name} ${value}`;
export const keys = (items: readonly Item[]) => items.map(keyOf);
export const timeOf = ({ timestamp }: Item) => Date.parse(String(timestamp));
