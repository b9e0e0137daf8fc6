/** The roster: the newest status of each service, what changed since when, and who has fallen silent. Knows no clock but the store's. */
import { cursorParts, positionParts } from "../core/cursor.ts";
import { recordData, recordType } from "../core/event.ts";
import type { LogEntry } from "../core/log-entry.ts";
import {
  parseServiceStatus,
  SERVICE_STATUS_TYPE,
  type ServiceStatus,
  type SmsStatistics,
} from "../core/service-status.ts";
import type { BoardMessage } from "../ports/service-board.ts";

/** Services known at once: a service may name itself anew each time. */
const MAX_SERVICES = 1_000;
/** Intervals of silence after which a service is late, and after which it counts as stopped. */
const LATE_INTERVALS = 2;
const SILENT_INTERVALS = 3;
/** Times the log is asked in an interval in which somebody is late. */
const ASKED_AN_INTERVAL = 4;
/** Characters of text-message statistics kept a service, whose providers may have names of any length. */
const MAX_SMS_CHARS = 4_096;
/** Milliseconds a snapshot is good for while nothing changes: it says when it was made. */
const SNAPSHOT_MS = 1_000;

interface Known {
  readonly status: ServiceStatus;
  /** Milliseconds since 1970 by the store's clock. */
  readonly seenMs: number;
  isSilent: boolean;
  /** Number of its last change. */
  version: number;
  /** Made when first asked for. */
  json: string | undefined;
}

export interface Roster {
  /** Number of the last change. */
  readonly version: number;
  /** In log order. */
  take(entries: readonly LogEntry[]): void;
  /**
   * Whether the log, asked at `askedMs`, is to be asked: somebody is silent and not marked, or soon may be. `fromMs`: whoever spoke before it counts
   * as having spoken then.
   */
  isLate(storeMs: number, fromMs: number, askedMs: number): boolean;
  /** Marks those who have fallen silent, but for who speaks in `newer`, entries that are yet to be taken. */
  look(storeMs: number, fromMs: number, newer?: readonly LogEntry[]): void;
  /** Whom the message brings to `version`. */
  snapshot(storeMs: number): BoardMessage;
  /** The newest of each service that changed after that version; undefined: none. The same object while nothing changes. */
  changedSince(version: number): BoardMessage | undefined;
  /** The log is gone, and what was known by it. */
  forget(): void;
}

export function createRoster(): Roster {
  /** Who was heard of last is last. */
  const known = new Map<string, Known>();
  let version = 0;
  let sms: SmsStatistics | undefined;
  let made: { readonly version: number; readonly atMs: number; readonly message: BoardMessage } | undefined;
  let changes: { readonly version: number; readonly since: Map<number, BoardMessage> } | undefined;

  const take = (entry: LogEntry) => {
    const status = statusOf(entry);
    if (status === undefined) return;
    const { name } = status;
    if (!known.delete(name) && known.size >= MAX_SERVICES) known.delete(known.keys().next().value!);
    const [seenMs] = positionParts(cursorParts(entry.cursor).position);
    known.set(name, { status, seenMs, isSilent: false, version: ++version, json: undefined });
    sms = bounded(status.sms) ?? sms;
  };

  /** Intervals a service has been quiet; 0: it is marked, or never counts as silent. */
  const quietIntervals = ({ status, seenMs, isSilent }: Known, storeMs: number, fromMs: number) =>
    isSilent || status.interval === undefined || status.state === "stopped"
      ? 0
      : (storeMs - Math.max(seenMs, fromMs)) / (status.interval * 1_000);

  return {
    get version() {
      return version;
    },
    take(entries) {
      for (const entry of entries) take(entry);
    },
    isLate: (storeMs, fromMs, askedMs) =>
      Array.from(known.values()).some((service) => {
        const quiet = quietIntervals(service, storeMs, fromMs);
        if (quiet <= LATE_INTERVALS || quiet > SILENT_INTERVALS) return quiet > SILENT_INTERVALS;
        // An outage that began meanwhile must not be missed; one of seconds is none to who speaks once an hour.
        return storeMs - askedMs > (service.status.interval! * 1_000) / ASKED_AN_INTERVAL;
      }),
    look(storeMs, fromMs, newer = []) {
      const silent = Array.from(known.values()).filter(
        (service) => quietIntervals(service, storeMs, fromMs) > SILENT_INTERVALS,
      );
      if (silent.length === 0) return;
      const speaking = new Set(newer.map((entry) => statusOf(entry)?.name));
      for (const service of silent) {
        if (speaking.has(service.status.name)) continue;
        Object.assign(service, { isSilent: true, version: ++version, json: undefined });
      }
    },
    snapshot(storeMs) {
      if (made?.version === version && storeMs - made.atMs < SNAPSHOT_MS) return made.message;
      const services = Array.from(known.values()).sort((a, b) => (a.status.name < b.status.name ? -1 : 1));
      const data = `{"services":[${services.map(jsonOf).join(",")}],"sms":${JSON.stringify(sms ?? null)},"timestamp":"${timeOf(storeMs)}"}`;
      made = { version, atMs: storeMs, message: { events: [{ name: "snapshot", data }] } };
      return made.message;
    },
    changedSince(since) {
      if (since >= version) return undefined;
      if (changes?.version !== version) changes = { version, since: new Map() };
      let message = changes.since.get(since);
      if (message === undefined) {
        const changed = Array.from(known.values()).filter((service) => service.version > since);
        changed.sort((a, b) => a.version - b.version);
        message = {
          events: changed.map((service) => ({ name: "service_status", data: jsonOf(service) }) as const),
        };
        changes.since.set(since, message);
      }
      return message.events.length === 0 ? undefined : message;
    },
    forget() {
      known.clear();
      sms = undefined;
      version++;
    },
  };
}

function statusOf({ record }: LogEntry): ServiceStatus | undefined {
  if (recordType(record) !== SERVICE_STATUS_TYPE) return undefined;
  return parseServiceStatus(JSON.parse(recordData(record)));
}

/** What is not said is null, so that every service has the same members; only who sends text messages has `sms`. */
function jsonOf(service: Known): string {
  const { status, seenMs, isSilent } = service;
  const { name, state, queueSize = null, processed = null, progress = null } = status;
  const { interval = null, lastRun = null } = status;
  service.json ??= JSON.stringify({
    ...{ name, state: isSilent ? "stopped" : state, silent: isSilent },
    ...{ queueSize, processed, progress, interval, lastRun, lastSeen: timeOf(seenMs) },
    sms: bounded(status.sms),
  });
  return service.json;
}

function bounded(sms: SmsStatistics | undefined): SmsStatistics | undefined {
  if (sms === undefined || JSON.stringify(sms).length <= MAX_SMS_CHARS) return sms;
  return { ...sms, providers: {} };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
