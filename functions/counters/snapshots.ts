/** Snapshots as the JSON clients get. */
import type { DataText } from "../core/event.ts";
import type { EventType } from "../core/ids.ts";
import type { Scope } from "../ports/counters.ts";
import type { Numbers } from "./numbers.ts";

/** The use cases of the feed: its member, and the event type counted. */
export const FEED_TYPES = {
  AUDIT_TXN: "audit.txn" as EventType,
  PROMO_FEED: "promo.feed" as EventType,
  CENTRAL_SYNC: "central.sync" as EventType,
} as const;

/** Payloads of each type in a feed. */
export const RECENT_PAYLOADS = 10;

/** `{"AUDIT_TXN":{"total","rate","recent"},…}`: events a second over the last ten whole seconds; payloads as stored, oldest first. */
export function feedJson(
  numbers: ReadonlyMap<EventType, Numbers>,
  recent: (type: EventType) => readonly DataText[],
): string {
  const members = Object.entries(FEED_TYPES).map(([name, type]) => {
    const { total = 0, lastTenSeconds = 0 } = numbers.get(type) ?? {};
    // Payloads go in as they are: parsing and printing would change large numbers.
    return `"${name}":{"total":${total},"rate":${lastTenSeconds / 10},"recent":[${recent(type).join(",")}]}`;
  });
  return `{${members.join(",")}}`;
}

/** What a dashboard shows but the time: `"counters":{"<type>":{"total","today","minutes":[60 numbers]}}`, types in order of their names. */
export function countersJson(numbers: ReadonlyMap<EventType, Numbers>): string {
  const sorted = [...numbers].sort(([a], [b]) => (a < b ? -1 : 1));
  const counters = sorted.map(
    ([type, { total, today, minutes }]) =>
      `${JSON.stringify(type)}:{"total":${total},"today":${today},"minutes":[${minutes.join(",")}]}`,
  );
  return `"counters":{${counters.join(",")}}`;
}

/** `{"companyId","timeZone","time","counters"}`: `companyId` is null over all companies, `time` the store's clock, RFC 3339. */
export function dashboardJson(
  { scope, timeZone, nowMs }: { scope: Scope; timeZone: string; nowMs: number },
  counters: string,
): string {
  const head = { companyId: scope ?? null, timeZone, time: new Date(nowMs).toISOString() };
  return `${JSON.stringify(head).slice(0, -1)},${counters}}`;
}
