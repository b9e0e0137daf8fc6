/** What senders of text messages count, added up and over time. Pure. */
import type { SmsCounts, SmsStatistics } from "../../../functions/core/service-status.ts";

/** Statistics as they came. */
export interface Point {
  readonly atMs: number;
  readonly counts: SmsCounts;
}

/** Of several senders together, providers by name. */
export function sumOf(senders: readonly SmsStatistics[]): SmsStatistics {
  const [only] = senders;
  if (only && senders.length === 1) return only;
  const providers = new Map<string, SmsCounts>();
  const add = (a: SmsCounts | undefined, b: SmsCounts): SmsCounts => ({
    sent: (a?.sent ?? 0) + b.sent,
    delivered: (a?.delivered ?? 0) + b.delivered,
    failed: (a?.failed ?? 0) + b.failed,
  });
  let sum: SmsCounts | undefined;
  for (const sender of senders) {
    sum = add(sum, sender);
    for (const [name, of] of Object.entries(sender.providers))
      providers.set(name, add(providers.get(name), of));
  }
  return { sent: 0, delivered: 0, failed: 0, ...sum, providers: Object.fromEntries(providers) };
}

/** Delivered of what has an outcome, `98.4%`: what is still under way is neither. */
export function deliveryRate({ delivered, failed }: SmsCounts): string {
  const known = delivered + failed;
  if (known === 0) return "-";
  // Not rounded up to all while one failed.
  const percent = Math.floor((delivered / known) * 1000) / 10;
  return `${percent.toFixed(percent === 100 ? 0 : 1)}%`;
}

/**
 * What came between one point and the one before; a sender that began anew counts from zero. At least `slots` of them: what was not seen
 * yet is null, as far apart as the newest two.
 */
export function seriesOf(points: readonly Point[], slots = 0) {
  const [last, before] = [points.at(-1), points.at(-2)];
  const stepMs = last && before ? last.atMs - before.atMs : 30_000;
  const missing = Math.max(0, slots - points.length);
  const firstMs = points[0]?.atMs ?? 0;
  const early = Array.from({ length: missing }, (_, at) => firstMs - (missing - at) * stepMs);
  const growth = (name: "delivered" | "failed") => [
    ...early.map(() => null),
    ...points.map(({ counts }, at) => {
      const base = points[at - 1]?.counts[name];
      if (base === undefined) return null;
      return counts[name] >= base ? counts[name] - base : counts[name];
    }),
  ];
  return {
    times: [...early, ...points.map(({ atMs }) => atMs)].map((ms) => ms / 1000),
    delivered: growth("delivered"),
    failed: growth("failed"),
  };
}
