/** A reading of a GPU: what NVIDIA's DCGM exporter gives, one value of one metric at one time, and whose GPU it is. */
import { encodeText } from "./bytes.ts";
import { MillraceError } from "./errors.ts";
import type { MillraceEvent } from "./event.ts";
import { type CompanyId, type EventType, quote } from "./ids.ts";
import { memberText } from "./json-member.ts";
import { readTimestamp } from "./timestamp.ts";

/** The type of an event that is a reading: besides the log, it goes to the telemetry store. */
export const TELEMETRY_TYPE = "telemetry.gpu" as EventType;

/** `(companyId, uuid, metric_name, timeMs)` identifies it: the same one delivered twice is stored once. Names as the exporter has them. */
export interface Reading {
  readonly companyId: CompanyId;
  /** Of the GPU: 1-128 characters. A `gpu_id` is only unique within its host. */
  readonly uuid: string;
  /** 1-128 characters, such as DCGM_FI_DEV_GPU_UTIL. */
  readonly metric_name: string;
  /** Milliseconds since 1970 (timestamp.ts). */
  readonly timeMs: number;
  /** A number where it is one; a whole number that would lose digits, or one that would become infinite, is text, as it was written. */
  readonly value: number | string;
  readonly labels: ReadingLabels;
}

export const READING_LABELS = [
  ...(["gpu_id", "device", "modelName", "Hostname", "container", "pod", "namespace", "labels_raw"] as const),
] as const;

/** Text as it came; empty where the message has none. At most 256 characters, `labels_raw` 4 KiB of UTF-8. */
export type ReadingLabels = Readonly<Record<(typeof READING_LABELS)[number], string>>;

/** Characters of `uuid` and `metric_name`: they are in keys, of stores and of URLs. */
const MAX_KEY_CHARS = 128;
/** Control characters and lone surrogates: stores differ in what they make of them, so two keys might become one. */
const NOT_IN_KEY = /[\u0000-\u001f\u007f-\u009f]|[\ud800-\udfff]/u;
/** No UTF-8 has them: a store would give back something else. */
const LONE_SURROGATE = /[\ud800-\udfff]/u;
/** A page of the API has a thousand readings, and stores remember what they have seen: a name may not be a document. */
const MAX_LABEL_CHARS = 256;
const MAX_RAW_BYTES = 4_096;
/** Clocks differ, and some have the wrong zone. What is of later would be kept until then, and each hour is one more to count. */
const MAX_AHEAD_MS = 86_400_000;

/**
 * Of an event of {@link TELEMETRY_TYPE}.
 * @param nowMs Milliseconds since 1970; a reading is of at most a day later.
 * @throws MillraceError `invalid-input` naming what is wrong.
 */
export function parseReading(
  { companyId, data }: Pick<MillraceEvent, "companyId" | "data">,
  nowMs = Date.now(),
): Reading {
  return { companyId, ...parseRow(data, nowMs) };
}

/** As {@link parseReading}, of whomever it is. @param json An object as JSON. */
export function parseRow(json: string, nowMs = Date.now()): Omit<Reading, "companyId"> {
  const data = JSON.parse(json) as Readonly<Record<string, unknown>>;
  const text = (name: string) => (typeof data[name] === "string" ? data[name] : undefined);
  const key = (name: "uuid" | "metric_name") => {
    const value = text(name);
    const isKey = value !== undefined && value.length >= 1 && value.length <= MAX_KEY_CHARS;
    // A path that ends in one of them is another path (WHATWG URL): nobody could ask for its readings.
    if (name === "uuid" && (value === "." || value === ".."))
      throw invalid(name, value, "anything but . and .., which no URL can name");
    if (isKey && !NOT_IN_KEY.test(value)) return value;
    throw invalid(
      name,
      data[name],
      `text of 1-${MAX_KEY_CHARS} characters, none of them a control character`,
    );
  };
  const { timestamp } = data;
  const value = typeof data.value === "number" ? readNumber(data.value, json) : data.value;
  const timeMs = typeof timestamp === "string" ? readTimestamp(timestamp) : undefined;
  if (timeMs === undefined) throw invalid("timestamp", timestamp, "RFC 3339 such as 2026-01-31T12:00:00Z");
  if (timeMs > nowMs + MAX_AHEAD_MS) throw invalid("timestamp", timestamp, "at most a day ahead of now");
  const isText = typeof value === "string" && value.length <= MAX_KEY_CHARS && !LONE_SURROGATE.test(value);
  const isValue = typeof value === "number" || isText;
  if (!isValue) throw invalid("value", value, `a number, or text of at most ${MAX_KEY_CHARS} characters`);
  const labels = READING_LABELS.map((name) => [name, boundLabel(name, text(name) ?? "")]);
  return {
    uuid: key("uuid"),
    metric_name: key("metric_name"),
    timeMs,
    value,
    labels: Object.fromEntries(labels) as ReadingLabels,
  };
}

function boundLabel(name: keyof ReadingLabels, text: string): string {
  const isRaw = name === "labels_raw";
  const [max, unit] = isRaw ? [MAX_RAW_BYTES, "bytes"] : [MAX_LABEL_CHARS, "characters"];
  // A character is at most 3 bytes of UTF-8, so most labels need no count.
  if (text.length * (isRaw ? 3 : 1) <= max) return text;
  const length = isRaw ? encodeText(text).byteLength : text.length;
  if (length <= max) return text;
  throw new MillraceError(
    "invalid-input",
    `Cannot store a reading: ${name} is ${length} ${unit}, expected at most ${max} ${unit}`,
  );
}

/** @param data The JSON that the number is the member `value` of. */
function readNumber(value: number, data: string): number | string {
  const isExact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
  // Adding 0 makes 0 of -0, which not every store keeps apart.
  return isExact ? value + 0 : memberText(data, "value")!;
}

function invalid(name: string, was: unknown, expected: string): MillraceError {
  const shown = was === undefined ? "missing" : quote(typeof was === "string" ? was : JSON.stringify(was));
  return new MillraceError(
    "invalid-input",
    `Cannot store a reading: ${name} is ${shown}, expected ${expected}`,
  );
}
