/** The read half of the embedded telemetry store. Each function runs inside a read transaction. */
import type { DatabaseSync } from "node:sqlite";
import type { CompanyId } from "../../core/ids.ts";
import type { Reading } from "../../core/reading.ts";
import { HOUR_MS, type HourCount, hourOf, isCut, planPage } from "../../core/telemetry-page.ts";
import type { Gpu, GpusQuery, Page, ReadingsQuery } from "../../ports/telemetry-store.ts";
import { decodeLabels } from "./sqlite-telemetry-labels.ts";
import { ALL_METRICS } from "./sqlite-telemetry-tables.ts";

/** Bounds for a query that has none. */
const [EVER, NEVER] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER];

/** Readings of one GPU, of a metric or all, between two times, both included. */
interface Span {
  readonly gpu: number;
  readonly metric: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What of the span lies in these hours, both included. */
const cut = (span: Span, firstHourMs: number, lastHourMs: number): Span => ({
  ...span,
  fromMs: Math.max(span.fromMs, firstHourMs),
  untilMs: Math.min(span.untilMs, lastHourMs + HOUR_MS - 1),
});

export function createTelemetryRead(connection: DatabaseSync) {
  const gpus = createGpusRead(connection);
  const findGpu = connection.prepare("SELECT id FROM gpus WHERE company = ? AND uuid = ?");
  const findMetric = connection.prepare("SELECT id FROM metrics WHERE name = ?");
  const counted = connection.prepare(
    `SELECT hour AS hourMs, n FROM counts
     WHERE gpu = :gpu AND metric = :metric AND hour BETWEEN :first AND :last ORDER BY hour`,
  );
  const ways = {
    all: {
      asc: createWalk(connection, { order: "ASC", byMetric: false }),
      desc: createWalk(connection, { order: "DESC", byMetric: false }),
    },
    one: {
      asc: createWalk(connection, { order: "ASC", byMetric: true }),
      desc: createWalk(connection, { order: "DESC", byMetric: true }),
    },
  };

  /** How many readings each hour has of the span: what is counted, but for the two hours that the span cuts. */
  const countsOf = (span: Span, count: (span: Span) => number): HourCount[] => {
    const { gpu, metric, fromMs, untilMs } = span;
    const hours = counted.all({ gpu, metric, first: hourOf(fromMs), last: hourOf(untilMs) });
    return (hours as unknown as HourCount[]).map(({ hourMs, n }) => ({
      hourMs,
      n: isCut(hourMs, fromMs, untilMs) ? count(cut(span, hourMs, hourMs)) : n,
    }));
  };

  return {
    ...gpus,
    readings(query: ReadingsQuery): Page<Reading> {
      const { companyId, uuid } = query;
      const gpu = (findGpu.get(companyId, uuid) as { id: number } | undefined)?.id;
      const metric =
        query.metric === undefined
          ? ALL_METRICS
          : (findMetric.get(query.metric) as { id: number } | undefined)?.id;
      if (gpu === undefined || metric === undefined) return { total: 0, items: [] };
      const span = { gpu, metric, fromMs: query.fromMs ?? EVER, untilMs: query.untilMs ?? NEVER };
      const walk = ways[metric === ALL_METRICS ? "all" : "one"][query.order];
      const { total, hours, skip } = planPage(countsOf(span, walk.count), query);
      if (hours === undefined) return { total, items: [] };
      const rows = walk.page(cut(span, ...hours), skip, query.limit);
      return {
        total,
        items: rows.map(({ ms, name, value, labels }) => ({
          ...{ companyId, uuid, metric_name: name, timeMs: ms, value },
          labels: decodeLabels(labels),
        })),
      };
    },
  };
}

interface ReadingRow {
  readonly ms: number;
  readonly name: string;
  readonly value: number | string;
  readonly labels: string;
}

/** A walk over the readings of a span in one direction. */
function createWalk(
  connection: DatabaseSync,
  { order, byMetric }: { order: "ASC" | "DESC"; byMetric: boolean },
) {
  const within = `gpu = :gpu AND ${byMetric ? "metric = :metric" : ":metric = 0"} AND ms BETWEEN :fromMs AND :untilMs`;
  const counting = connection.prepare(`SELECT count(*) AS n FROM readings WHERE ${within}`);
  const timeAt = connection.prepare(
    `SELECT ms FROM readings WHERE ${within} ORDER BY ms ${order} LIMIT 1 OFFSET :skip`,
  );
  // CROSS: the readings outermost, in the order of their key (SQLite, query planner).
  const rows = connection.prepare(
    `SELECT ms, name, value, labels
     FROM (SELECT * FROM readings WHERE ${within}) AS r
       CROSS JOIN metrics ON metrics.id = r.metric CROSS JOIN series ON series.id = r.series
     ORDER BY ms ${order}, name ${order} LIMIT :limit OFFSET :skip`,
  );
  const count = (span: Span) => Number((counting.get({ ...span }) as { n: number }).n);
  return {
    count,
    /** Skips along the index alone, to the time at which the page begins; what is of that time is put in order, and what is left skipped. */
    page(span: Span, skip: number, limit: number): ReadingRow[] {
      const at = (timeAt.get({ ...span, skip }) as { ms: number } | undefined)?.ms;
      if (at === undefined) return [];
      const passed =
        skip === 0 ? 0 : count(order === "ASC" ? { ...span, untilMs: at - 1 } : { ...span, fromMs: at + 1 });
      const rest = order === "ASC" ? { ...span, fromMs: at } : { ...span, untilMs: at };
      return rows.all({ ...rest, skip: skip - passed, limit }) as unknown as ReadingRow[];
    },
  };
}

function createGpusRead(connection: DatabaseSync) {
  const within = `(:companies IS NULL OR company IN (SELECT value FROM json_each(:companies)))
    AND last_ms >= :fromMs AND first_ms <= :untilMs`;
  const count = connection.prepare(`SELECT count(*) AS n FROM gpus WHERE ${within}`);
  const page = (order: "ASC" | "DESC") =>
    connection.prepare(
      `SELECT company, uuid, first_ms AS firstMs, last_ms AS lastMs, labels
       FROM (
         SELECT * FROM gpus WHERE ${within} ORDER BY uuid ${order}, company ${order} LIMIT :limit OFFSET :offset
       ) AS page JOIN series ON series.id = page.series
       ORDER BY uuid ${order}, company ${order}`,
    );
  const pages = { asc: page("ASC"), desc: page("DESC") };
  const companiesOf = connection.prepare(
    `SELECT company FROM gpus
     WHERE uuid = :uuid AND (:companies IS NULL OR company IN (SELECT value FROM json_each(:companies))) ORDER BY company`,
  );
  const list = (companies: GpusQuery["companies"]) =>
    companies === "all" ? null : JSON.stringify(companies);

  return {
    gpus({ companies, fromMs = EVER, untilMs = NEVER, order, offset, limit }: GpusQuery): Page<Gpu> {
      const wanted = { companies: list(companies), fromMs: fromMs ?? EVER, untilMs: untilMs ?? NEVER };
      const { n: total } = count.get(wanted) as { n: number };
      const rows = pages[order].all({ ...wanted, offset, limit }) as unknown as GpuRow[];
      return { total, items: rows.map(parseGpu) };
    },
    owners(uuid: string, companies: GpusQuery["companies"]): CompanyId[] {
      return companiesOf.all({ uuid, companies: list(companies) }).map(({ company }) => company as CompanyId);
    },
  };
}

interface GpuRow {
  readonly company: CompanyId;
  readonly uuid: string;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly labels: string;
}

function parseGpu({ company, uuid, firstMs, lastMs, labels }: GpuRow): Gpu {
  const { gpu_id, device, modelName, Hostname } = decodeLabels(labels);
  return {
    ...{ companyId: company, uuid, gpu_id, device, modelName, Hostname },
    ...{ firstSeenMs: firstMs, lastSeenMs: lastMs },
  };
}
