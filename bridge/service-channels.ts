/** The channels on which services tell how they are: whose their messages are, of what type, and in what shape they go to the log. */
import { LOGS_COMPANY, OPERATIONS_COMPANY } from "../functions/core/ids.ts";
import { isObject, LOG_LINE_TYPE, parseLogLine, type Unsaid } from "../functions/core/log-line.ts";
import { serviceOfChannel, toServiceName, UNKNOWN_SERVICE } from "../functions/core/service-name.ts";
import { parseServiceStatus, SERVICE_STATUS_TYPE } from "../functions/core/service-status.ts";
import { typeOfSubject } from "../functions/core/subject.ts";

/** The known families of channels, by what comes before their first colon. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ["service", SERVICE_STATUS_TYPE],
  ["logs", LOG_LINE_TYPE],
]);

function familyType(channel: string): string | undefined {
  return TYPES.get(channel.slice(0, Math.max(channel.indexOf(":"), 0)));
}

/** Whether log lines come on it. */
export function carriesLines(channel: string): boolean {
  return familyType(channel) === LOG_LINE_TYPE;
}

/** Whether statuses come on it. */
export function carriesStatuses(channel: string): boolean {
  return familyType(channel) === SERVICE_STATUS_TYPE;
}

/**
 * The event type of a channel: a type cannot hold its colons. On a channel of no known family dots stand for them and core/subject.ts
 * decides.
 * @throws MillraceError `invalid-input` when the channel cannot be a type.
 */
export function typeOfChannel(channel: string): string {
  return familyType(channel) ?? typeOfSubject(channel.replaceAll(":", "."));
}

/** What of a channel a content id covers: the known families carry a message on several channels, and it is one. */
export function scopeOfChannel(channel: string): string {
  return familyType(channel) ?? channel;
}

/** No tenant's. Log lines are apart from the rest, which they would push out. */
export function companyOfChannel(channel: string): string {
  return carriesLines(channel) ? LOGS_COMPANY : OPERATIONS_COMPANY;
}

/**
 * A log line, or a status, with all that whoever reads it relies on: `{ts, level, service, message}`, or `{service, state, ts}`, and
 * whatever else came. Text that is no JSON is the message of a line. Messages of other channels, and what is well already, are given back
 * byte for byte.
 * @param receivedAt RFC 3339, for a message that does not say when. Default now.
 */
export function mendChannelData(dataText: string, channel: string, receivedAt?: string): string {
  const type = familyType(channel);
  if (type === undefined) return dataText;
  const unsaid: Unsaid = { service: serviceOfChannel(channel), ts: receivedAt };
  if (type === LOG_LINE_TYPE) {
    const value = parseOr(dataText, dataText);
    const line = parseLogLine(value, unsaid);
    return line === value ? dataText : JSON.stringify(line);
  }
  const value = parseOr(dataText, undefined);
  const status = parseServiceStatus(value, unsaid);
  if (!status || !isObject(value)) return dataText;
  const { name: service, state, ts } = status;
  const isWell = value.service === service && value.state === state && value.ts === ts;
  return isWell ? dataText : JSON.stringify({ ...value, service, state, ts });
}

/** Whose line or status it is, without mending it. @param body A message of a channel that carries either. */
export function serviceOfMessage(body: Buffer, channel: string): string {
  const value = parseOr(body.toString(), undefined, JSON.parse);
  const said = isObject(value) && value.specversion === "1.0" ? value.data : value;
  const { service, name } = isObject(said) ? said : {};
  const named = toServiceName(service) ?? (carriesStatuses(channel) ? toServiceName(name) : undefined);
  return named ?? serviceOfChannel(channel) ?? UNKNOWN_SERVICE;
}

function parseOr(text: string, other: unknown, parse: (text: string) => unknown = parseExactly): unknown {
  try {
    return parse(text);
  } catch {
    return other;
  }
}

/** Numbers that JavaScript has not are kept as they are written (functions/core/json-member.ts says why). */
function parseExactly(text: string): unknown {
  return json.parse(text, (_name, value, { source }) =>
    typeof value === "number" && source !== undefined && String(value) !== source
      ? json.rawJSON(source)
      : value,
  );
}

/** Node has them, and TypeScript does not know yet (ECMAScript proposal: JSON.parse source text access). */
const json = JSON as unknown as {
  parse(text: string, revive: (name: string, value: unknown, at: { source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
};
