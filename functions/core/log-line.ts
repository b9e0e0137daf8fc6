/** What the operator's services say of themselves on `logs:all` and `logs:<service>`: events of type `log_line`, `{ts, level, service, message}`. */
import { isTime } from "./event.ts";
import type { EventType } from "./ids.ts";
import { toServiceName, UNKNOWN_SERVICE } from "./service-name.ts";

export const LOG_LINE_TYPE = "log_line" as EventType;

/** From the least to the worst. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What else a service says of a line stays in it. */
export interface LogLine {
  /** RFC 3339. */
  readonly ts: string;
  readonly level: LogLevel;
  /** As {@link toServiceName} has it. */
  readonly service: string;
  /** At most {@link MAX_MESSAGE_BYTES}. */
  readonly message: string;
  readonly [more: string]: unknown;
}

/** What stands in for what a line, or a status, does not say. */
export interface Unsaid {
  /** Default `unknown`. */
  readonly service?: string | undefined;
  /** RFC 3339. Default now. */
  readonly ts?: string | undefined;
}

/** Bytes of UTF-8 of a message, the mark of what was cut included: of longer ones the beginning is what is read. */
export const MAX_MESSAGE_BYTES = 8 * 1024;
/** Of them, room for the mark. */
const MARK_BYTES = 32;

/** Other words for the levels, as loggers have them; a word that is not here either is `info`. */
const LEVELS: ReadonlyMap<unknown, LogLevel> = new Map<string, LogLevel>([
  ...LOG_LEVELS.map((level) => [level, level] as const),
  ...(["trace", "verbose", "silly"] as const).map((word) => [word, "debug"] as const),
  ["warning", "warn"],
  ...(["err", "fatal", "critical", "crit", "alert", "emerg", "emergency", "panic", "severe"] as const).map(
    (word) => [word, "error"] as const,
  ),
]);

/**
 * Never throws: whatever a service says is a line. What is no object is its message, and so is an object without a `message`. Twice is once:
 * a line is given back as it is (the same object).
 * @param value JSON, parsed.
 */
export function parseLogLine(value: unknown, unsaid: Unsaid = {}): LogLine {
  const said = isObject(value) ? value : undefined;
  const line = {
    ts: readTime(said, unsaid.ts),
    level: readLevel(said?.level),
    service: toServiceName(said?.service) ?? unsaid.service ?? UNKNOWN_SERVICE,
    message: cutMessage(textOf(said?.message ?? said?.msg ?? value)),
  };
  const isLine =
    said?.ts === line.ts &&
    said.level === line.level &&
    said.service === line.service &&
    said.message === line.message;
  return isLine ? (said as LogLine) : { ...said, ...line };
}

/** A level by any of its names; `info` where it is none. */
function readLevel(level: unknown): LogLevel {
  const known = LEVELS.get(level);
  if (known) return known;
  return (typeof level === "string" && LEVELS.get(level.trim().toLowerCase())) || "info";
}

/** RFC 3339, from the first of `ts`, `time` and `timestamp` that is it, or milliseconds since 1970; else `unsaid`, else now. */
export function readTime(
  said: Readonly<Record<string, unknown>> | undefined,
  unsaid: string | undefined,
): string {
  for (const name of ["ts", "time", "timestamp"]) {
    const time = toTime(said?.[name]);
    if (time !== undefined) return time;
  }
  return unsaid ?? new Date().toISOString();
}

/** RFC 3339 as it is, milliseconds since 1970 as RFC 3339; undefined for anything else, such as seconds. */
export function toTime(value: unknown): string | undefined {
  if (typeof value === "number") {
    return value >= MIN_MS && value <= MAX_MS ? new Date(value).toISOString() : undefined;
  }
  return isTime(value) ? value : undefined;
}
/** Less would be a year before 1974: not milliseconds. */
const MIN_MS = 1e11;
/** The end of the year 9999, the last that RFC 3339 can say. */
const MAX_MS = 253_402_300_799_999;

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function cutMessage(text: string): string {
  // A character is at most 3 bytes of UTF-8, so most messages need no count.
  if (text.length * 3 <= MAX_MESSAGE_BYTES) return text;
  const utf8 = new TextEncoder();
  if (text.length <= MAX_MESSAGE_BYTES) {
    const whole = utf8.encodeInto(text, new Uint8Array(MAX_MESSAGE_BYTES));
    if (whole.read === text.length) return text;
  }
  const { read } = utf8.encodeInto(
    text.slice(0, MAX_MESSAGE_BYTES),
    new Uint8Array(MAX_MESSAGE_BYTES - MARK_BYTES),
  );
  return `${text.slice(0, read)}… [${text.length - read} characters cut]`;
}
