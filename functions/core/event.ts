/**
 * The event: a CloudEvents 1.0 event of one company (cloudevents.io spec, JSON event format).
 *
 * Data is kept as the JSON text it came as: parsing and printing would change large numbers and key order.
 * In the log an event is one {@link EventRecord}: its CloudEvents JSON on one line, attributes first, `data` last, so
 * that a frame is cut from it without parsing.
 */
import { MillraceError } from "./errors.ts";
import { type CompanyId, type EventType, isCompanyId, isEventType, quote } from "./ids.ts";
import { memberTexts } from "./json-member.ts";
import { MAX_ATTRIBUTE_CHARS, MAX_DATA_BYTES } from "./limits.ts";
import { readTimestamp } from "./timestamp.ts";

declare const brand: unique symbol;
/** A JSON object as text, on one line, that carries `companyId`. */
export type DataText = string & { readonly [brand]: "DataText" };
/** A whole event as CloudEvents JSON text, on one line, in the attribute order of {@link encodeRecord}. */
export type EventRecord = string & { readonly [brand]: "EventRecord" };

/** `(companyId, source, id)` identifies an event: the same one delivered twice is stored once. */
export interface MillraceEvent {
  readonly companyId: CompanyId;
  /** Where it comes from: a URI reference such as `/nats/metrics`. 1-256 characters. */
  readonly source: string;
  /** Unique within its source. 1-256 characters. */
  readonly id: string;
  readonly type: EventType;
  /** What it is about: the broker's subject or routing key. 1-256 characters. */
  readonly subject?: string;
  /** When it happened, RFC 3339. */
  readonly time: string;
  readonly data: DataText;
}

/** What a source found in a message, before validation. */
export interface EventInput {
  readonly companyId: unknown;
  readonly source: unknown;
  readonly id: unknown;
  readonly type: unknown;
  readonly subject?: unknown;
  /** RFC 3339; now when it is missing. */
  readonly time?: unknown;
  /** The payload as the JSON text it came as. */
  readonly dataText: string;
}

/**
 * Types an event may not have: the stream's own notices, and the events an EventSource dispatches by itself (WHATWG HTML 9.2.2), which a
 * listener could not tell from them.
 */
const RESERVED_TYPES = [
  ...["gap", "busy", "draining", "disabled", "reauthenticate", "renewed"],
  ...["open", "error"],
];
/** Control characters and lone surrogates have no place in an attribute (CloudEvents, type system: String). */
const NOT_IN_ATTRIBUTE = /[\u0000-\u001f\u007f-\u009f]|[\ud800-\udfff]/u;

/**
 * Validates everything about one event.
 * @throws MillraceError `invalid-input` naming the attribute, its value and what is expected.
 */
export function parseEvent(input: EventInput): MillraceEvent {
  const { companyId, type } = input;
  if (companyId === undefined || companyId === null || companyId === "") {
    throw invalid("companyId", "no company in the message", "one of 1-64 characters of A-Z a-z 0-9 . _ -");
  }
  if (!isCompanyId(companyId))
    throw invalid("companyId", show(companyId), "1-64 characters of A-Z a-z 0-9 . _ -");
  if (!isEventType(type)) throw invalid("type", show(type), "1-64 characters of a-z 0-9 . _ -");
  if (RESERVED_TYPES.includes(type)) {
    throw invalid(
      "type",
      quote(type),
      `a type other than ${RESERVED_TYPES.join(", ")}, which say something of the stream itself`,
    );
  }
  const time = input.time ?? new Date().toISOString();
  if (!isTime(time)) {
    throw invalid("time", show(time), "a date and time of RFC 3339, such as 2026-01-31T12:00:00Z");
  }
  const event = {
    companyId,
    source: parseAttribute("source", input.source),
    id: parseAttribute("id", input.id),
    type,
    time,
    data: parseData(companyId, input.dataText),
  };
  return input.subject === undefined
    ? event
    : { ...event, subject: parseAttribute("subject", input.subject) };
}

/** Whether a value is a date and time of RFC 3339, and in the calendar: there is no 30 February. */
export function isTime(value: unknown): value is string {
  return typeof value === "string" && readTimestamp(value) !== undefined;
}

/** Puts the company into the payload and the payload on one line. A payload that is not an object becomes `{"companyId", "value"}`. */
function parseData(companyId: CompanyId, text: string): DataText {
  // A character is at most 3 bytes of UTF-8, so most payloads need no count.
  if (text.length * 3 > MAX_DATA_BYTES && new TextEncoder().encode(text).byteLength > MAX_DATA_BYTES) {
    throw invalid("data", `over ${MAX_DATA_BYTES} bytes`, `at most ${MAX_DATA_BYTES} bytes of JSON`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid("data", `not JSON (${quote(text)})`, "a JSON value");
  }
  // In valid JSON a raw line break is white space between tokens; \x1e cannot occur at all (RFC 8259 section 7).
  const line = text.replace(/[\r\n]+/g, " ").trim();
  const owner = JSON.stringify(companyId);
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    return `{"companyId":${owner},"value":${line}}` as DataText;
  }
  if (Object.hasOwn(value, "companyId")) {
    const own = (value as Record<string, unknown>).companyId;
    // A message that says two companies belongs to none: fail closed. Said twice, readers differ in which one they take.
    if (own !== companyId) throw invalid("data.companyId", show(own), `the company of the message, ${owner}`);
    if (mayRepeat(text) && memberTexts(text, "companyId").length > 1) {
      throw invalid("data.companyId", "there more than once", "one, as of any name (RFC 8259 section 4)");
    }
    return line as DataText;
  }
  const rest = line.slice(1).trimStart();
  return (rest === "}" ? `{"companyId":${owner}}` : `{"companyId":${owner},${rest}`) as DataText;
}

/** Whether a second `companyId` may be somewhere, plain or behind an escape: most payloads need no closer look. */
function mayRepeat(text: string): boolean {
  return text.indexOf(COMPANY_MEMBER) !== text.lastIndexOf(COMPANY_MEMBER) || text.includes("\\u");
}
const COMPANY_MEMBER = '"companyId"';

function parseAttribute(name: string, value: unknown): string {
  if (
    typeof value === "string" &&
    value.length >= 1 &&
    value.length <= MAX_ATTRIBUTE_CHARS &&
    !NOT_IN_ATTRIBUTE.test(value)
  ) {
    return value;
  }
  throw invalid(name, show(value), `1-${MAX_ATTRIBUTE_CHARS} characters, none of them a control character`);
}

function show(value: unknown): string {
  return value === undefined
    ? "missing"
    : quote(typeof value === "string" ? value : (JSON.stringify(value) ?? String(value)));
}

function invalid(name: string, was: string, expected: string): MillraceError {
  return new MillraceError("invalid-input", `Cannot read event ${name}: ${was}, expected ${expected}`);
}

const HEAD = '{"specversion":"1.0","type":"';
const DATA = ',"data":';

/** The event as it is stored and as `?format=cloudevents` sends it. */
export function encodeRecord(event: MillraceEvent): EventRecord {
  const subject = event.subject === undefined ? "" : `,"subject":${JSON.stringify(event.subject)}`;
  return `${HEAD}${event.type}","source":${JSON.stringify(event.source)},"id":${JSON.stringify(event.id)}${subject},"time":"${event.time}","companyid":"${event.companyId}","datacontenttype":"application/json"${DATA}${event.data}}` as EventRecord;
}

/** The type of a stored event, without parsing it. */
export function recordType(record: EventRecord): EventType {
  return record.slice(HEAD.length, record.indexOf('"', HEAD.length)) as EventType;
}

/** The data of a stored event, byte for byte, without parsing it: a quote inside an attribute is escaped, so the first match is the member. */
export function recordData(record: EventRecord): DataText {
  return record.slice(record.indexOf(DATA) + DATA.length, -1) as DataText;
}
