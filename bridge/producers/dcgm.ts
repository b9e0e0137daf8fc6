/** Demo GPU telemetry: a small fleet a company, in the rows of the DCGM exporter, and the same as CSV. */
import { createHash } from "node:crypto";
import { DCGM_COLUMNS, type DcgmRow, TELEMETRY_SUBJECT } from "./dcgm-row.ts";
import type { GeneratorOptions, Message } from "./message.ts";
import { between, round, walk } from "./walk.ts";

const MODEL = "NVIDIA H100 80GB HBM3";
const DRIVER = "535.129.03";

export interface FleetOptions extends GeneratorOptions {
  /** Default 3. */
  readonly hostsPerCompany?: number | undefined;
  /** Default 8, as a host with H100s has them. */
  readonly gpusPerHost?: number | undefined;
}

/** One reading and whose GPU it is of. */
export interface Reading {
  readonly companyId: string;
  readonly row: DcgmRow;
}

interface Gpu {
  readonly labels: Omit<DcgmRow, "timestamp" | "metric_name" | "value" | "labels_raw">;
  /** Percent that the job on it makes of it; 0: there is none. */
  load: number;
  /** Percent. */
  util: number;
  /** Degrees Celsius. */
  temp: number;
}

/**
 * Readings without end: host after host, every metric of every GPU with one timestamp, as a scrape gives them. A GPU keeps its uuid
 * from run to run, so that its history goes on. It is busy, more or less, or idle for a while; what it reads follows from that.
 */
export function* dcgmReadings({
  companies,
  random = Math.random,
  now = Date.now,
  hostsPerCompany = 3,
  gpusPerHost = 8,
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
  const load = random() < 0.7 ? newLoad(random) : 0;
  const labels = { ...place, container: "", pod: "", namespace: "" };
  return { labels, load, util: load, temp: warmthOf(load) };
}

/** Lets a moment pass for the GPU and reads it: an H100 draws 70 W idle, 700 W at most, and has 80 GiB. */
function measure(gpu: Gpu, random: () => number): [metric: string, value: number][] {
  if (random() < (gpu.load > 0 ? 0.02 : 0.06)) gpu.load = gpu.load > 0 ? 0 : newLoad(random);
  const { load } = gpu;
  gpu.util =
    load > 0
      ? walk(Math.max(gpu.util, load - 10), 5, load - 15, Math.min(100, load + 10), random)
      : walk(gpu.util / 4, 1, 0, 5, random);
  gpu.temp = walk(gpu.temp + (warmthOf(gpu.util) - gpu.temp) * 0.2, 0.5, 25, 90, random);
  const share = gpu.util / 100;
  return [
    ["DCGM_FI_DEV_GPU_UTIL", Math.round(gpu.util)],
    ["DCGM_FI_DEV_MEM_COPY_UTIL", Math.round(gpu.util * (0.6 + random() * 0.15))],
    ["DCGM_FI_DEV_GPU_TEMP", Math.round(gpu.temp)],
    ["DCGM_FI_DEV_POWER_USAGE", round(70 + share * 600 + random() * 20, 3)],
    ["DCGM_FI_DEV_FB_USED", Math.round(load > 0 ? 22_000 + load * 540 + random() * 40 : 600 + random() * 20)],
    ["DCGM_FI_DEV_SM_CLOCK", load > 0 ? 1980 : 345],
  ];
}

/** Training takes all of a GPU, inference what comes. */
function newLoad(random: () => number): number {
  return random() < 0.5 ? between(88, 100, random) : between(30, 87, random);
}

/** Degrees Celsius that it comes to. */
function warmthOf(util: number): number {
  return 30 + util * 0.38;
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
