/**
 * From a broker's message to an event, by the rules of bridge.yaml.
 *
 * A message may be a CloudEvent: structured (its body is the event in JSON, told by `specversion` or by the content type
 * `application/cloudevents+json`) or binary (attributes in `ce-` headers, the body is the data; values percent-encoded, CloudEvents
 * HTTP binding section 3.1.3.2, which the NATS binding follows). A structured event is read as the binary one it stands for, so a
 * rule sees `ce-` headers and the data in both. What a CloudEvent says of its id, source, type, subject and time counts; of its
 * company too, but where bridge.yaml has a rule for the company the two must agree.
 *
 * Everything else is found by locators, tried in order: the first that yields a value wins, and the last resort follows.
 *
 * | | locators by default | last resort |
 * |---|---|---|
 * | company | header `companyid`, field `companyId` | none: a dead letter |
 * | type | none | the subject's type (core/subject.ts); without a subject the field `type` where it may be one, `telemetry.gpu` of a row of
 * |      |      | telemetry without such a field, else `message` |
 * | id | the broker's own, field `messageId`, field `id` | `content` where the broker delivers again and for a reading, else `random` |
 * | time | fields `ts`, `time`, `timestamp` | now |
 *
 * - A payload's `type` is not asked where there is a subject: it often says something else (`"type":"gauge"`), and the table from
 *   subject to type is what readers filter by.
 * - `content` is a SHA-256 of subject and body. A message delivered again has no other mark by which it can be known, and must be stored
 *   once; the price is that two messages alike in every byte count as one.
 * - `random` is right where nothing is delivered again (core NATS, framed TCP): two equal messages are two events there, a repeated
 *   heartbeat as much as a CSV file sent twice. A producer that repeats itself after an error gives its messages an id.
 * - An event of type `telemetry.gpu` is a reading (core/reading.ts), or undecodable. Its last resort is `content` everywhere: one value of one
 *   metric at one time is the same however often it comes, so a file of them may be sent again after any crash.
 * - A row of telemetry is an object with `metric_name`, `uuid`, `value` and `timestamp`, as producers send it that know nothing of events.
 * - A field `id` that names a thing rather than the message (`{"id":"order-7","state":"paid"}`) makes every later message of that
 *   thing a duplicate: give the source a rule, such as `id: random`.
 */
import { describeError } from "../functions/core/errors.ts";
import { type EventInput, isTime, parseEvent } from "../functions/core/event.ts";
import { type CompanyId, isEventType, quote } from "../functions/core/ids.ts";
import { parseReading, TELEMETRY_TYPE } from "../functions/core/reading.ts";
import { typeOfSubject } from "../functions/core/subject.ts";
import type { Decode, Decoded, RawMessage } from "../functions/ports/broker-source.ts";
import { previewText, viewBinary } from "./binary-preview.ts";
import { compile, type Find, field, type IdLocator, type Locator } from "./locator.ts";
import { header, invalid, isObject, type View, viewMessage, withDataText } from "./message-view.ts";

/** Rules given replace the default locators of their attribute. */
export interface DecodeRules {
  readonly company?: readonly Locator[] | undefined;
  readonly type?: readonly Locator[] | undefined;
  readonly id?: readonly IdLocator[] | undefined;
  readonly time?: readonly Locator[] | undefined;
}

export interface DecodeOptions {
  /** The event's `source` where the message names none: `/<kind>/<name>`. */
  readonly source: string;
  readonly rules: DecodeRules;
  /** The id of a message in which none is found. */
  readonly lastResortId: "content" | "random";
  /** Of a message that came before and is decoded again: what stands in for a random id and for now, so that twice is once. */
  readonly received?: { readonly randomId: string; readonly time: string } | undefined;
  /** The type of a subject for which no rule finds one. Default core/subject.ts. */
  readonly typeOf?: ((subject: string) => string) | undefined;
  /** Whose the messages of a subject are where no rule says it. Default the locators. */
  readonly companyOf?: ((subject: string) => string) | undefined;
  /** The payload's text as it is to be read, of the subject and of when it came (undefined: now). Default as it is. */
  readonly mend?: ((dataText: string, subject: string, receivedAt?: string) => string) | undefined;
  /** What of the subject `content` covers: messages alike in it and in their body count as one. Default all of it. */
  readonly contentScope?: ((subject: string) => string) | undefined;
  /**
   * `preview`: a body that is not JSON becomes an event with `{"encoding":"hex","bytes":N,"preview":"<the first 128 bytes>"}`, its
   * company told by a header or a rule. Default: it is undecodable.
   */
  readonly binary?: "preview" | undefined;
  /** Whose a row of telemetry is in which no company is found. Default nobody's: it is undecodable. */
  readonly rowCompany?: CompanyId | undefined;
}

const COMPANY_BY_DEFAULT: readonly Locator[] = [{ header: "companyid" }, { field: "companyId" }];
const ID_BY_DEFAULT: readonly Locator[] = [{ field: "messageId" }, { field: "id" }];
const ROW_MEMBERS = ["metric_name", "uuid", "value", "timestamp"];
const TIME_BY_DEFAULT: readonly Locator[] = [{ field: "ts" }, { field: "time" }, { field: "timestamp" }];

/** Never throws: what is wrong with a message is told in its `undecodable`. */
export function createDecode({
  source,
  rules,
  lastResortId,
  received,
  typeOf = typeOfSubject,
  contentScope = (subject) => subject,
  companyOf,
  mend,
  binary,
  rowCompany,
}: DecodeOptions): Decode {
  const company: Find[] =
    companyOf && !rules.company
      ? [({ message }) => companyOf(message.subject)]
      : (rules.company ?? COMPANY_BY_DEFAULT).map((locator) => compile(locator));
  const type = (rules.type ?? []).map((locator) => compile(locator));
  const fixed = (locator: IdLocator) =>
    locator === "random" && received ? { value: received.randomId } : locator;
  const id = (rules.id ?? ID_BY_DEFAULT).map((locator) => compile(fixed(locator), contentScope));
  const lastId = compile(fixed(lastResortId), contentScope);
  const contentId = compile("content", contentScope);
  if (!rules.id) id.unshift(({ message }) => message.messageId);
  const time = (rules.time ?? TIME_BY_DEFAULT).map((locator) => onlyTimes(compile(locator)));

  const clock = createClock();

  const findCompany = (view: View): string | undefined => {
    const stated = header(view, "ce-companyid");
    if (stated !== undefined && !rules.company && !companyOf) return stated;
    const ruled = first(company, view);
    // A message that says two companies belongs to none.
    if (stated === undefined || ruled === undefined || ruled === stated) {
      return ruled ?? (rowCompany !== undefined && isRow(view) ? rowCompany : undefined);
    }
    throw invalid("companyid", quote(stated), `${quote(ruled)}, by the rule of its source`);
  };

  const read = (view: View, dataText: string): EventInput => {
    const subject = header(view, "ce-subject") ?? (view.message.subject || undefined);
    const common = { companyId: findCompany(view), subject, dataText };
    const stated = {
      source: header(view, "ce-source"),
      id: header(view, "ce-id"),
      type: header(view, "ce-type")?.toLowerCase(),
      time: header(view, "ce-time") ?? first(time, view) ?? received?.time ?? clock(),
    };
    // A structured CloudEvent must have them all (CloudEvents 1.0, required attributes).
    if (view.isStructured) return { ...common, ...stated };
    const itsType = stated.type ?? first(type, view)?.toLowerCase() ?? lastResortType(view, typeOf);
    return {
      ...common,
      source: stated.source ?? source,
      id: stated.id ?? first(id, view) ?? (itsType === TELEMETRY_TYPE ? contentId : lastId)(view),
      type: itsType,
      time: stated.time,
    };
  };

  const decodedOf = (view: View, dataText: string): Decoded => {
    const event = parseEvent(read(view, dataText));
    return event.type === TELEMETRY_TYPE ? { event, reading: parseReading(event) } : { event };
  };

  const decodeJson = (message: RawMessage): Decoded => {
    try {
      const viewed = viewMessage(message);
      const view = mend
        ? withDataText(viewed, mend(viewed.dataText, message.subject, received?.time))
        : viewed;
      return decodedOf(view, view.dataText);
    } catch (error) {
      return { undecodable: { reason: describeError(error), message } };
    }
  };
  if (binary !== "preview") return decodeJson;
  return (message) => {
    const decoded = decodeJson(message);
    const view = "undecodable" in decoded ? viewBinary(message) : undefined;
    if (!view || "event" in decoded) return decoded;
    try {
      return decodedOf(view, previewText(message));
    } catch (error) {
      const reason = `${decoded.undecodable.reason}; nor as a preview of bytes: ${describeError(error)}`;
      return { undecodable: { reason, message } };
    }
  };
}

/** Now, as text, made once a millisecond: a broker under load gives dozens of messages in one. */
function createClock(): () => string {
  let madeAtMs = Number.NaN;
  let text = "";
  return () => {
    const nowMs = Date.now();
    if (nowMs !== madeAtMs) text = new Date(nowMs).toISOString();
    madeAtMs = nowMs;
    return text;
  };
}

function onlyTimes(find: Find): Find {
  return (view) => {
    const text = find(view);
    return isTime(text) ? text : undefined;
  };
}

function lastResortType(view: View, typeOf: (subject: string) => string): string {
  const { subject } = view.message;
  if (subject) return typeOf(subject);
  const type = field(view, ["type"])?.toLowerCase();
  if (isEventType(type)) return type;
  return isRow(view) ? TELEMETRY_TYPE : "message";
}

/** Whether it is a row of GPU telemetry as strangers send it: what the exporter names, and no type. */
function isRow(view: View): boolean {
  if (view.isStructured || view.message.subject) return false;
  const data = view.data();
  return (
    isObject(data) && !Object.hasOwn(data, "type") && ROW_MEMBERS.every((name) => Object.hasOwn(data, name))
  );
}

function first(finds: readonly Find[], view: View): string | undefined {
  for (const find of finds) {
    const value = find(view);
    if (value !== undefined) return value;
  }
  return undefined;
}
