/** What the metrics of NVIDIA's DCGM exporter are called, their units, and where their colours begin and end. Pure. */

export interface Metric {
  /** As the exporter has it. */
  readonly id: string;
  readonly label: string;
  /** Empty where it has none. */
  readonly unit: string;
  /** What a value is divided by to be of this unit. */
  readonly divisor: number;
  /** Decimals worth reading. */
  readonly decimals: number;
  /** The value at which the colours end, in the exporter's unit; undefined: the highest there is. */
  readonly most: number | undefined;
}

type Known = Partial<Omit<Metric, "id" | "label">> & { readonly label: string };

const percent = (label: string): Known => ({ label, unit: "%", most: 100 });
const ratio = (label: string): Known => ({ label, unit: "%", divisor: 0.01, most: 1 });
const memory = (label: string): Known => ({ label, unit: "GiB", divisor: 1024, decimals: 1 });

/** DCGM exporter, default-counters.csv. */
const KNOWN: Readonly<Record<string, Known>> = {
  DCGM_FI_DEV_GPU_UTIL: percent("Utilisation"),
  DCGM_FI_DEV_GPU_TEMP: { label: "Temperature", unit: "°C", most: 90 },
  DCGM_FI_DEV_FB_USED: memory("Memory used"),
  DCGM_FI_DEV_POWER_USAGE: { label: "Power", unit: "W" },
  DCGM_FI_DEV_MEM_COPY_UTIL: percent("Memory copy"),
  DCGM_FI_DEV_SM_CLOCK: { label: "SM clock", unit: "MHz" },
  DCGM_FI_DEV_MEM_CLOCK: { label: "Memory clock", unit: "MHz" },
  DCGM_FI_DEV_MEMORY_TEMP: { label: "Memory temperature", unit: "°C", most: 100 },
  DCGM_FI_DEV_FB_FREE: memory("Memory free"),
  DCGM_FI_DEV_ENC_UTIL: percent("Encoder"),
  DCGM_FI_DEV_DEC_UTIL: percent("Decoder"),
  DCGM_FI_DEV_XID_ERRORS: { label: "Last XID error" },
  DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION: { label: "Energy", unit: "kWh", divisor: 3.6e9, decimals: 1 },
  DCGM_FI_DEV_PCIE_REPLAY_COUNTER: { label: "PCIe replays" },
  DCGM_FI_PROF_GR_ENGINE_ACTIVE: ratio("Graphics engine active"),
  DCGM_FI_PROF_PIPE_TENSOR_ACTIVE: ratio("Tensor pipe active"),
  DCGM_FI_PROF_DRAM_ACTIVE: ratio("DRAM active"),
};
const ORDER = Object.keys(KNOWN);

export function metricOf(id: string): Metric {
  const known = Object.hasOwn(KNOWN, id) ? KNOWN[id] : undefined;
  return { unit: "", divisor: 1, decimals: 0, most: undefined, ...(known ?? unknown(id)), id };
}

/** Its name in words; what it measures is anybody's guess. */
function unknown(id: string): Known {
  const words = id
    .replace(/^DCGM_FI_(DEV_|PROF_)?/, "")
    .replaceAll("_", " ")
    .trim();
  return { label: words === id ? id : words.toLowerCase(), decimals: 2 };
}

/** Those that people look at first, then the others by name. */
export function compareMetrics(a: string, b: string): number {
  const [atA, atB] = [a, b].map((id) => (ORDER.indexOf(id) + ORDER.length + 1) % (ORDER.length + 1)) as [
    number,
    number,
  ];
  return atA - atB || (a < b ? -1 : 1);
}

/** A number alone, for where the unit stands elsewhere; what is no number as it is. */
export function formatValue({ divisor, decimals }: Metric, value: number | string): string {
  if (typeof value === "string") return value;
  const scaled = value / divisor;
  return scaled.toLocaleString("en", {
    maximumFractionDigits: Math.abs(scaled) >= 1_000 ? 0 : decimals,
    ...(decimals === 1 && Math.abs(scaled) < 1_000 ? { minimumFractionDigits: 1 } : {}),
  });
}

/** As short as a cell of the map wants it: four digits, then thousands. */
export function formatShort(metric: Metric, value: number | string): string {
  const scaled = Number(value) / metric.divisor;
  if (typeof value === "string" || Math.abs(scaled) < 1_000) return formatValue(metric, value);
  if (Math.abs(scaled) < 9_999.5) return scaled.toFixed(0);
  return scaled.toLocaleString("en", { notation: "compact" });
}

/** With its unit. */
export function formatFull(metric: Metric, value: number | string): string {
  return metric.unit === "" ? formatValue(metric, value) : `${formatValue(metric, value)} ${metric.unit}`;
}

/** Steps of the colours. */
export const LEVELS = 8;

/** Where the colours begin and end, in the exporter's unit. */
export interface Scale {
  readonly least: number;
  readonly most: number;
}

/** Of what there is; an end that is not known is a round number that all values are below. */
export function scaleOf({ most }: Metric, values: Iterable<number>): Scale {
  let [low, high] = [0, 0];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return { least: low < 0 ? -roundUp(-low) : 0, most: most ?? roundUp(high) };
}

/** 0 to {@link LEVELS} - 1; what is outside of the scale has the colour of its end. */
export function levelOf({ least, most }: Scale, value: number): number {
  const level = Math.floor(((value - least) / (most - least)) * LEVELS);
  return Math.min(LEVELS - 1, Math.max(0, level));
}

/** The next of 1, 1.5, 2, 3, 4, 5, 6, 8 times a power of ten; at least 1. */
function roundUp(value: number): number {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((one) => one * power >= value) ?? 10;
  return factor * power;
}
