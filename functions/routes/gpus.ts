/** The metrics API: `GET /api/v1/gpus` and `GET /api/v1/gpus/:id/telemetry`, GPUs and their readings as numbered pages. */
import { Hono } from "hono";
import * as z from "zod";
import { MillraceError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import type { Reading } from "../core/reading.ts";
import type { Settings } from "../core/settings.ts";
import type { Gpu, TelemetryStore } from "../ports/telemetry-store.ts";
import { NO_STORE, problem } from "./answer.ts";
import { type MetricsAccessDeps, metricsAccess } from "./metrics-access.ts";
import type { Operation } from "./operation.ts";
import { COMPANY, choice, count, queryOf, readQuery, TIME } from "./query.ts";

export interface GpusDeps extends MetricsAccessDeps {
  readonly settings: MetricsAccessDeps["settings"] & Pick<Settings, "DEFAULT_PAGE_SIZE">;
  readonly telemetry: Pick<TelemetryStore, "gpus" | "owners" | "readings">;
  readonly logger: Logger;
}

/** Items of a page: what is put together in memory for one answer. */
const MAX_LIMIT = 1_000;
/** As many digits as are read. */
const MAX_PAGE = 999_999_999;

/** Oldest first, unless asked otherwise: pages that were read hold still while readings come in. */
const PAGE_QUERY = {
  companyId: COMPANY.optional().meta({ description: "Of the companies the caller may see, this one alone" }),
  limit: count(MAX_LIMIT)
    .optional()
    .meta({
      description: "Items of a page; without it what DEFAULT_PAGE_SIZE says (100)",
      examples: [100],
    }),
  page: count(MAX_PAGE)
    .default(1)
    .meta({ description: "Number of the page", examples: [1] }),
  start_time: TIME.optional().meta({ description: "From this time on, RFC 3339, included" }),
  end_time: TIME.optional().meta({
    description: "Up to this time, RFC 3339, included",
    examples: ["2026-01-31T13:00:00Z"],
  }),
};

const GPUS_QUERY = z.object({
  ...PAGE_QUERY,
  sort: choice("asc", "desc").default("asc").meta({ description: "By uuid" }),
});

const READINGS_QUERY = z.object({
  ...PAGE_QUERY,
  sort: choice("asc", "desc").default("asc").meta({ description: "By time, `asc`: oldest first" }),
  metric: z
    .string()
    .min(1, "expected 1-128 characters")
    .max(128, "expected 1-128 characters")
    .optional()
    .meta({ description: "Readings of this metric alone", examples: ["DCGM_FI_DEV_GPU_UTIL"] }),
});

const WHEN = z.iso.datetime();
const EXAMPLE_GPU = {
  companyId: "acme",
  uuid: "GPU-5fd4f087-86f3-7a43-b711-4771313afc50",
  gpu_id: "0",
  device: "nvidia0",
  modelName: "NVIDIA H100 80GB HBM3",
  Hostname: "mtv5-dgx1-hgpu-031",
};

const GPU = z
  .object({
    companyId: COMPANY,
    uuid: z.string().meta({ description: "Names the GPU: a `gpu_id` is only unique within its host" }),
    gpu_id: z.string(),
    device: z.string(),
    modelName: z.string(),
    Hostname: z.string(),
    firstSeen: WHEN.meta({ description: "Of its oldest reading that is kept" }),
    lastSeen: WHEN.meta({ description: "Of its newest reading; may lag by some seconds" }),
  })
  .meta({
    id: "Gpu",
    description: "A GPU as its newest reading names it",
    examples: [
      { ...EXAMPLE_GPU, firstSeen: "2026-01-31T12:00:00.000Z", lastSeen: "2026-01-31T12:59:59.000Z" },
    ],
  });

const READING = z
  .object({
    companyId: COMPANY,
    timestamp: WHEN.meta({ description: "RFC 3339, UTC, milliseconds" }),
    metric_name: z.string(),
    gpu_id: z.string(),
    device: z.string(),
    uuid: z.string(),
    modelName: z.string(),
    Hostname: z.string(),
    container: z.string(),
    pod: z.string(),
    namespace: z.string(),
    value: z.union([z.number(), z.string()]).meta({ description: "A number where it is one" }),
    labels_raw: z.string(),
  })
  .meta({
    id: "Reading",
    description:
      "One value of one metric at one time. Names are those of NVIDIA's DCGM exporter; empty: the reading had none",
    examples: [
      {
        ...EXAMPLE_GPU,
        ...{ timestamp: "2026-01-31T12:00:00.000Z", metric_name: "DCGM_FI_DEV_GPU_UTIL", value: 87 },
        ...{ container: "", pod: "", namespace: "", labels_raw: "" },
      },
    ],
  });

const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    total: z.int().min(0).meta({ description: "Of all that is asked for, on whatever page" }),
    page: z.int().min(1),
    limit: z.int().min(1).max(MAX_LIMIT),
    items: z.array(item),
  });

const WHO =
  "A bearer equal to `AUTH_TOKEN` sees the GPUs of every company, as the role `ops` does; another JWT those of its companies. Where no `AUTH_TOKEN` is set, who shows nothing at all sees every company's too.";

export const LIST_GPUS = {
  method: "get",
  path: "/api/v1/gpus",
  id: "listGpus",
  tag: "GPUs",
  access: "metrics",
  summary: "GPUs by uuid",
  description: `With times, those whose \`firstSeen\` is not after \`end_time\` and whose \`lastSeen\` is not before \`start_time\`: one that was silent in between is among them. ${WHO}`,
  query: GPUS_QUERY,
  answers: { 200: { description: "A page of GPUs", json: pageOf(GPU) } },
  problems: [400, 401, 403, 503],
} as const satisfies Operation;

export const LIST_READINGS = {
  method: "get",
  path: "/api/v1/gpus/:id/telemetry",
  id: "listReadings",
  tag: "GPUs",
  access: "metrics",
  summary: "Readings of one GPU by time",
  description: `Of one time, by metric name. A uuid that several of the caller's companies have takes \`companyId\`. ${WHO}`,
  params: z.object({
    id: z.string().meta({ description: "The GPU's uuid", examples: [EXAMPLE_GPU.uuid] }),
  }),
  query: READINGS_QUERY,
  answers: { 200: { description: "A page of readings", json: pageOf(READING) } },
  problems: [400, 401, 403, 404, 503],
} as const satisfies Operation;

export function gpusRoutes({ settings, gate, telemetry, logger }: GpusDeps): Hono {
  if (settings.AUTH_TOKEN === undefined && settings.AUTH_MODE !== "none")
    logger.warn({}, "Without AUTH_TOKEN anybody sees the GPUs of every company, expected one in public");
  const admit = metricsAccess({ settings, gate });

  /** What the store is asked for, and what the answer says of it. */
  const pageBy = (query: z.output<typeof GPUS_QUERY>) => {
    const { limit = settings.DEFAULT_PAGE_SIZE, page, sort, start_time, end_time } = query;
    if (start_time !== undefined && end_time !== undefined && start_time > end_time) {
      throw new MillraceError(
        "invalid-input",
        `Cannot read start_time "${rfc3339(start_time)}": after end_time "${rfc3339(end_time)}", expected it before`,
      );
    }
    const bounds = { fromMs: start_time, untilMs: end_time, order: sort, offset: (page - 1) * limit, limit };
    return { bounds, page, limit };
  };

  const app = new Hono();
  app.get(LIST_GPUS.path, async (c) => {
    const visible = await admit(c.req.raw);
    const query = readQuery(LIST_GPUS.query, queryOf(c));
    const companies = visible(query.companyId);
    const { bounds, page, limit } = pageBy(query);
    const { total, items } = await telemetry.gpus({ companies, ...bounds });
    return c.json({ total, page, limit, items: items.map(gpuJson) }, 200, NO_STORE);
  });
  app.get(LIST_READINGS.path, async (c) => {
    const uuid = c.req.param("id");
    const visible = await admit(c.req.raw);
    const query = readQuery(LIST_READINGS.query, queryOf(c));
    const companies = visible(query.companyId);
    const { bounds, page, limit } = pageBy(query);
    const [companyId, ...others] = await telemetry.owners(uuid, companies);
    if (companyId === undefined)
      return problem(c, 404, `Cannot find the GPU ${quote(uuid)}: expected the uuid of one of /api/v1/gpus`);
    if (others.length > 0) {
      throw new MillraceError(
        "invalid-input",
        `Cannot tell which GPU ${quote(uuid)} is: several companies have it, expected companyId to be one of ${[companyId, ...others].join(", ")}`,
      );
    }
    const { metric } = query;
    const { total, items } = await telemetry.readings({ companyId, uuid, metric, ...bounds });
    return c.json({ total, page, limit, items: items.map(readingJson) }, 200, NO_STORE);
  });
  return app;
}

const rfc3339 = (timeMs: number) => new Date(timeMs).toISOString();

function gpuJson({ firstSeenMs, lastSeenMs, ...gpu }: Gpu): z.input<typeof GPU> {
  return { ...gpu, firstSeen: rfc3339(firstSeenMs), lastSeen: rfc3339(lastSeenMs) };
}

function readingJson({
  companyId,
  uuid,
  metric_name,
  timeMs,
  value,
  labels,
}: Reading): z.input<typeof READING> {
  return { companyId, uuid, timestamp: rfc3339(timeMs), metric_name, value, ...labels };
}
