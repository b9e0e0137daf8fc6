/** Demo GPU telemetry: a small fleet a company, in the rows of the DCGM exporter, and the same as CSV. */
import { createHash } from "node:crypto";
import { DCGM_COLUMNS, type DcgmRow, TELEMETRY_SUBJECT } from "./dcgm-row.ts";
import type { GeneratorOptions, Message } from "./message.ts";
import { round, walk } from "./walk.ts";

const MODEL = "NVIDIA H100 80GB HBM3";
const DRIVER = "535.129.03";

export interface FleetOptions extends GeneratorOptions {
  /** Default 2. */
  readonly hostsPerCompany?: number | undefined;
  /** Default 4. */
  readonly gpusPerHost?: number | undefined;
}

/** One reading and whose GPU it is of. */
export interface Reading {
  readonly companyId: string;
  readonly row: DcgmRow;
}

interface Gpu {
  readonly labels: Omit<DcgmRow, "timestamp" | "metric_name" | "value" | "labels_raw">;
  /** Whether a job runs on it. */
  busy: boolean;
  /** Percent. */
  util: number;
  /** Degrees Celsius. */
  temp: number;
}

/**
 * Readings without end: host after host, every metric of every GPU with one timestamp, as a scrape gives them. A GPU keeps its uuid
 * from run to run, so that its history goes on. It is busy or idle for a while; what it reads follows from that.
 */
export function* dcgmReadings({
  companies,
  random = Math.random,
  now = Date.now,
  hostsPerCompany = 2,
  gpusPerHost = 4,
}: FleetOptions): Generator<Reading, never> {
  // The companies in turn: each has something to show soon.
  const hosts = Array.from({ length: hostsPerCompany }).flatMap((_, host) =>
    companies.map((companyId) => ({
      companyId,
      gpus: Array.from({ length: gpusPerHost }, (_, gpu) =>
        createGpu(`${companyId}-gpu-${String(host + 1).padStart(3, "0")}`, gpu, random),
      ),
    })),
  );
  for (let turn = 0; ; turn++) {
    const { companyId, gpus } = hosts[turn % hosts.length]!;
    const timestamp = new Date(now()).toISOString();
    for (const gpu of gpus) {
      for (const [metric_name, value] of measure(gpu, random)) {
        const labels_raw = labelsOf(gpu, metric_name);
        yield { companyId, row: { timestamp, metric_name, ...gpu.labels, value, labels_raw } };
      }
    }
  }
}

/** The readings as messages. */
export function* demoTelemetry(options: FleetOptions): Generator<Message, never> {
  const { newId = () => crypto.randomUUID() } = options;
  const readings = dcgmReadings(options);
  for (;;) {
    const { companyId, row } = readings.next().value;
    const body = { companyId, ...row };
    const message = { source: "/demo/dcgm", subject: TELEMETRY_SUBJECT, time: row.timestamp };
    yield { id: newId(), ...message, companyId, body };
  }
}

/** Lines of a CSV file to try the CSV producer on: the header, then `count` readings. Each line ends with LF. */
export function* dcgmCsv({ count, ...fleet }: FleetOptions & { readonly count: number }): Generator<string> {
  yield `${DCGM_COLUMNS.join(",")}\n`;
  const readings = dcgmReadings(fleet);
  for (let n = 0; n < count; n++) {
    const { row } = readings.next().value;
    yield `${DCGM_COLUMNS.map((column) => quoteField(String(row[column]))).join(",")}\n`;
  }
}

function createGpu(Hostname: string, index: number, random: () => number): Gpu {
  const hex = createHash("sha256").update(`${Hostname}/${index}`).digest("hex");
  const uuid = `GPU-${hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5")}`;
  const place = { gpu_id: String(index), device: `nvidia${index}`, uuid, modelName: MODEL, Hostname };
  const busy = random() < 0.6;
  return {
    labels: { ...place, container: "", pod: "", namespace: "" },
    busy,
    util: busy ? 95 : 0,
    temp: busy ? 62 : 32,
  };
}

/** Lets a moment pass for the GPU and reads it: an H100 draws 70 W idle, 700 W at most, and has 80 GiB. */
function measure(gpu: Gpu, random: () => number): [metric: string, value: number][] {
  if (random() < 0.02) gpu.busy = !gpu.busy;
  gpu.util = gpu.busy
    ? walk(Math.max(gpu.util, 80), 6, 70, 100, random)
    : walk(gpu.util / 4, 1, 0, 5, random);
  const warmth = 30 + gpu.util * 0.38;
  gpu.temp = walk(gpu.temp + (warmth - gpu.temp) * 0.2, 0.5, 25, 90, random);
  const share = gpu.util / 100;
  return [
    ["DCGM_FI_DEV_GPU_UTIL", Math.round(gpu.util)],
    ["DCGM_FI_DEV_MEM_COPY_UTIL", Math.round(gpu.util * (0.6 + random() * 0.15))],
    ["DCGM_FI_DEV_GPU_TEMP", Math.round(gpu.temp)],
    ["DCGM_FI_DEV_POWER_USAGE", round(70 + share * 600 + random() * 20, 3)],
    ["DCGM_FI_DEV_FB_USED", Math.round(gpu.busy ? 61_000 + share * 15_000 : 600 + random() * 20)],
    ["DCGM_FI_DEV_SM_CLOCK", gpu.busy ? 1980 : 345],
  ];
}

function labelsOf({ labels }: Gpu, metric: string): string {
  const { Hostname, uuid, device, gpu_id, modelName } = labels;
  return Object.entries({
    DCGM_FI_DRIVER_VERSION: DRIVER,
    Hostname,
    UUID: uuid,
    __name__: metric,
    device,
    gpu: gpu_id,
    instance: `${Hostname}:9400`,
    job: "dgx_dcgm_exporter",
    modelName,
  })
    .map(([name, value]) => `${name}="${value}"`)
    .join(",");
}

/** RFC 4180 section 2. */
function quoteField(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
