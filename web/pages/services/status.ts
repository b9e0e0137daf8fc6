/** What the status stream says, as far as the page shows it, and how it says it in words. Pure. */
import type { SmsStatistics } from "../../../functions/core/service-status.ts";

/** One service, as of `/api/services/status/stream`: what it does not say is null. */
export interface ServiceStatus {
  readonly name: string;
  readonly state: string;
  readonly silent: boolean;
  readonly queueSize: number | null;
  readonly processed: number | null;
  readonly progress: { readonly done: number; readonly total: number } | null;
  /** Seconds. */
  readonly interval: number | null;
  /** RFC 3339. */
  readonly lastRun: string | null;
  /** RFC 3339, by the store's clock. */
  readonly lastSeen: string;
  readonly sms?: SmsStatistics;
}

export interface Snapshot {
  readonly services: readonly ServiceStatus[];
  readonly sms: SmsStatistics | null;
  /** RFC 3339, by the store's clock. */
  readonly timestamp: string;
}

/** One status as it came, to be kept for a tab that joins. */
interface Kept {
  readonly type: string;
  readonly data: string;
}

/** For a tab that joins: the newest snapshot, and of each service that has said something since the newest. */
export function keepNewest<M extends Kept>(kept: readonly M[], message: M): readonly M[] {
  if (message.type === "snapshot") return [message];
  if (message.type !== "service_status") return kept;
  const name = nameIn(message);
  return [...kept.filter((one) => one.type === "snapshot" || nameIn(one) !== name), message];
}

/** Read once a message: with each there are up to a thousand to compare it with. */
const names = new WeakMap<Kept, string>();
function nameIn(message: Kept): string {
  let name = names.get(message);
  if (name === undefined) {
    name = (JSON.parse(message.data) as ServiceStatus).name;
    names.set(message, name);
  }
  return name;
}

/** How a badge looks: its colour and its shape. Any word of a service's own is `other`. */
export type Look = "running" | "idle" | "stopped" | "failed" | "silent" | "other";
const LOOKS: ReadonlySet<string> = new Set(["running", "idle", "stopped", "failed"]);
export function lookOf({ state, silent }: ServiceStatus): Look {
  if (silent) return "silent";
  return LOOKS.has(state) ? (state as Look) : "other";
}

/** From what needs somebody to what does not. */
export const LOOK_ORDER: readonly Look[] = ["failed", "silent", "stopped", "other", "running", "idle"];

export interface NextRun {
  /** What the words are about. */
  readonly label: string;
  readonly text: string;
  readonly tone: "plain" | "warn" | "bad";
  /** From the last run (0) to the next (1); undefined where none is awaited. */
  readonly part: number | undefined;
}

/** Intervals after the last run from which the interval cannot be that of runs: the service says how it is that often, and runs when it likes. */
const MOST_INTERVALS = 3;

/** `nowMs`: by the store's clock. */
export function nextRun(status: ServiceStatus, nowMs: number): NextRun {
  const { state, silent, interval, lastRun, lastSeen } = status;
  const label = "Next run";
  if (silent) {
    return { label: "Silent for", text: span(nowMs - Date.parse(lastSeen)), tone: "bad", part: undefined };
  }
  const none = (text: string): NextRun => ({ label, text, tone: "plain", part: undefined });
  if (state === "stopped") return none("none: stopped");
  if (lastRun === null) return none("not said");
  const sinceMs = nowMs - Date.parse(lastRun);
  if (state === "running") {
    return { label: "In this run", text: `for ${span(sinceMs)}`, tone: "plain", part: undefined };
  }
  if (interval === null) return none("not said");
  const leftMs = interval * 1000 - sinceMs;
  if (leftMs > 0)
    return { label, text: `in ${span(leftMs)}`, tone: "plain", part: sinceMs / interval / 1000 };
  if (sinceMs > MOST_INTERVALS * interval * 1000) return none(`none for ${span(sinceMs)}`);
  return { label, text: `overdue by ${span(-leftMs)}`, tone: "warn", part: 1 };
}

/** Milliseconds in whole units that do not jump about: `8 s`, `3 min 05 s`, `2 h 5 min`, `3 d 4 h`. */
export function span(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `2 running, 1 idle, 1 failed`. */
export function summary(services: readonly ServiceStatus[]): string {
  const counts = new Map<string, number>();
  for (const service of services) {
    const look = lookOf(service);
    counts.set(look, (counts.get(look) ?? 0) + 1);
  }
  return LOOK_ORDER.filter((look) => counts.has(look))
    .map((look) => `${counts.get(look)} ${look}`)
    .join(", ");
}
