/**
 * Readings of a GPU hour by hour. An hour is counted by its index until nobody can be writing to it any more; that count is kept, and good
 * as long as nobody says again that they write there.
 */
import { type CountDocument, countId, type HourDocument } from "./telemetry-documents.ts";
import { type HourCount, isCut } from "./telemetry-page.ts";

export interface HourCounts {
  /** The hours that have to be counted. */
  readonly unknown: readonly Date[];
  /** @param counted Readings of those by their time; those without any need not be in it. */
  complete(counted: ReadonlyMap<number, number>): {
    /** By time. */
    readonly all: readonly HourCount[];
    /** Nothing of a metric without any reading: who asks could make up any number of them. */
    readonly keep: readonly CountDocument[];
  };
}

type Hour = Pick<HourDocument, "hour" | "touched">;

export interface HourCountsOptions {
  readonly gpu: Pick<HourDocument, "companyId" | "uuid">;
  /** By time. */
  readonly hours: readonly Hour[];
  /** Of these hours and this metric, in any order. */
  readonly kept: readonly Pick<CountDocument, "hour" | "n" | "of">[];
  /** Empty: all. */
  readonly metric: string;
  /** Times asked for, both included: an hour they cut is not counted whole. */
  readonly fromMs: number | undefined;
  readonly untilMs: number | undefined;
  /** Who said before this time that they write has done so: before the counting begins. */
  readonly settledMs: number;
}

export function hourCounts({
  gpu,
  hours,
  kept,
  metric,
  fromMs,
  untilMs,
  settledMs,
}: HourCountsOptions): HourCounts {
  const isWhole = ({ hour }: Hour) => !isCut(hour.getTime(), fromMs, untilMs);
  const counts = new Map(kept.map((count) => [count.hour.getTime(), count]));
  const good = new Map<Hour, number>();
  for (const hour of hours) {
    const count = counts.get(hour.hour.getTime());
    if (count?.of.getTime() === hour.touched.getTime() && isWhole(hour)) good.set(hour, count.n);
  }
  const unknown = hours.filter((hour) => !good.has(hour));
  return {
    unknown: unknown.map(({ hour }) => hour),
    complete(counted) {
      const n = (hour: Hour) => good.get(hour) ?? counted.get(hour.hour.getTime()) ?? 0;
      const isThere = metric === "" || hours.some((hour) => n(hour) > 0);
      const settled = unknown.filter(
        (hour) => isThere && hour.touched.getTime() < settledMs && isWhole(hour),
      );
      return {
        all: hours.map((hour) => ({ hourMs: hour.hour.getTime(), n: n(hour) })),
        keep: settled.map((one) => ({
          _id: countId({ ...gpu, hour: one.hour }, metric),
          ...{ ...gpu, metric, hour: one.hour, n: n(one), of: one.touched },
        })),
      };
    },
  };
}
