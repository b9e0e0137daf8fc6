/** A line of the log as the page holds it: read once, as small as 100,000 of them should be. Pure. */

/** From the least to the worst; what the stream itself says (a gap) is beyond all of them. */
export const LEVELS = ["debug", "info", "warn", "error"] as const;
export type Level = (typeof LEVELS)[number];
export const NOTE = LEVELS.length;

export interface Line {
  /** Milliseconds since 1970; NaN where the line does not say. */
  readonly atMs: number;
  /** Its place in LEVELS, or NOTE. */
  readonly level: number;
  /** Empty in a note. */
  readonly service: string;
  readonly message: string;
  /** What else it says, as JSON text; empty where it says nothing else. */
  readonly more: string;
  /** Tells it from a line that is alike in every byte; shown with the whole line alone. */
  readonly messageId: string;
}

/** The same few names and shapes for all lines, instead of a copy each. */
const names = new Map<string, string>();
/** Names kept; beyond them a line has its own copy. */
const MAX_NAMES = 2_000;

/** Of the JSON text of a `log_line`, whose shape the server vouches for; what is no such thing is its own message. */
export function readLine(data: string): Line {
  let said: Record<string, unknown>;
  try {
    said = Object(JSON.parse(data));
  } catch {
    said = { message: data };
  }
  const { ts, level, service, message, messageId, companyId: _, ...more } = said;
  return {
    atMs: typeof ts === "string" ? Date.parse(ts) : Number.NaN,
    level: Math.max(0, LEVELS.indexOf(level as Level)),
    service: sameName(textOf(service)),
    message: textOf(message),
    more: textOfMore(more),
    messageId: textOf(messageId),
  };
}

/** What the page says between lines, at its place. */
export function noteLine(message: string, atMs: number): Line {
  return { atMs, level: NOTE, service: "", message, more: "", messageId: "" };
}

/** Fields alone (what `millrace/services` sends) are shown without their wrapping. */
function textOfMore(more: Record<string, unknown>): string {
  const members = Object.keys(more);
  if (members.length === 0) return "";
  const { fields } = more;
  const isWrapped = members.length === 1 && typeof fields === "object" && fields !== null;
  return JSON.stringify(isWrapped ? fields : more);
}

function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined ? "" : JSON.stringify(value);
}

function sameName(name: string): string {
  const known = names.get(name);
  if (known !== undefined) return known;
  if (names.size < MAX_NAMES) names.set(name, name);
  return name;
}

/** As it stands in a file: `2026-11-21T18:05:12.123Z WARN  balance-sync  message {"more":1}`. */
export function formatLine({ atMs, level, service, message, more }: Line): string {
  const time = Number.isNaN(atMs) ? "-" : new Date(atMs).toISOString();
  if (level === NOTE) return `${time} ----- ${message}`;
  const word = (LEVELS[level] ?? "").toUpperCase().padEnd(5);
  return `${time} ${word} ${service}  ${message}${more && ` ${more}`}`;
}
