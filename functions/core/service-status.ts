/** How the operator's services say they are on `service:all`: events of type `service_status`, `{service, state, queueSize, processed, …}`. */
import type { EventType } from "./ids.ts";
import { isObject, readTime, toTime, type Unsaid } from "./log-line.ts";
import { toServiceName, UNKNOWN_SERVICE } from "./service-name.ts";

export const SERVICE_STATUS_TYPE = "service_status" as EventType;

/** What a service does not say is undefined. */
export interface ServiceStatus {
  /** The member `service`, or `name`. As `toServiceName` has it. */
  readonly name: string;
  /** `running`, `idle`, `stopped`, `failed`, or what else it calls it: lower case, at most 32 characters. `unknown` where it says none. */
  readonly state: string;
  /** What waits to be done. */
  readonly queueSize: number | undefined;
  /** What is done, since the service started. */
  readonly processed: number | undefined;
  /** Of the run it is in. */
  readonly progress: ServiceProgress | undefined;
  /** Seconds, above 0: it says how it is at least that often. Silent for three of them, it counts as stopped. */
  readonly interval: number | undefined;
  /** When the last run began, RFC 3339. */
  readonly lastRun: string | undefined;
  /** RFC 3339. */
  readonly ts: string;
  /** What a sender of text messages counts. */
  readonly sms: SmsStatistics | undefined;
}

export interface ServiceProgress {
  readonly done: number;
  readonly total: number;
}

/** Since the service started. */
export interface SmsCounts {
  readonly sent: number;
  readonly delivered: number;
  readonly failed: number;
}

export interface SmsStatistics extends SmsCounts {
  /** The same by provider; empty where it is not said. */
  readonly providers: Readonly<Record<string, SmsCounts>>;
}

const MAX_STATE_CHARS = 32;
/** Providers read: more are left out. */
const MAX_PROVIDERS = 32;

/** Undefined where it is no object, which says nothing. Never throws. @param value JSON, parsed. */
export function parseServiceStatus(value: unknown, unsaid: Unsaid = {}): ServiceStatus | undefined {
  if (!isObject(value)) return undefined;
  const { service, name, state, queueSize, processed, progress, interval, lastRun, sms } = value;
  return {
    name: toServiceName(service) ?? toServiceName(name) ?? unsaid.service ?? UNKNOWN_SERVICE,
    state: readState(state),
    queueSize: readCount(queueSize),
    processed: readCount(processed),
    progress: readProgress(progress),
    interval: readCount(interval) || undefined,
    lastRun: toTime(lastRun),
    ts: readTime(value, unsaid.ts),
    sms: readSms(sms),
  };
}

function readState(state: unknown): string {
  const text = typeof state === "string" ? state.slice(0, MAX_STATE_CHARS).trim().toLowerCase() : "";
  return text || "unknown";
}

function readCount(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && Number.isFinite(value) ? value : undefined;
}

/** `{done, total}`; a number up to 1 is a fraction, a larger one a percentage. */
function readProgress(value: unknown): ServiceProgress | undefined {
  if (isObject(value)) {
    const done = readCount(value.done);
    const total = readCount(value.total);
    return done === undefined || total === undefined ? undefined : { done, total };
  }
  const done = readCount(value);
  return done === undefined ? undefined : { done, total: done <= 1 ? 1 : 100 };
}

function readSms(value: unknown): SmsStatistics | undefined {
  const counts = readSmsCounts(value);
  if (!counts || !isObject(value)) return undefined;
  const named = isObject(value.providers) ? Object.entries(value.providers) : [];
  const providers = named.slice(0, MAX_PROVIDERS).flatMap(([name, of]) => {
    const own = readSmsCounts(of);
    return own ? [[name, own] as const] : [];
  });
  return { ...counts, providers: Object.fromEntries(providers) };
}

function readSmsCounts(value: unknown): SmsCounts | undefined {
  if (!isObject(value)) return undefined;
  const [sent, delivered, failed] = [value.sent, value.delivered, value.failed].map(readCount);
  return sent === undefined || delivered === undefined || failed === undefined
    ? undefined
    : { sent, delivered, failed };
}
