/** The points of one chart: a metric of a GPU over the last hours, from the API's pages, continued live. Pure. */

export interface Point {
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  readonly value: number;
}

export interface Points {
  /** Oldest first. */
  readonly all: readonly Point[];
  /** In whatever order; one of a time that is there already is the same one. Forgets what is older than the span, and the oldest of too many. */
  add(points: readonly Point[], nowMs: number): void;
  /** For the chart: seconds since 1970 and values, a null where nothing came for long; up to now, and five minutes back where there is less. */
  columns(nowMs: number): { readonly times: number[]; readonly values: (number | null)[] };
}

/** Live ones are added to what the API gave. */
const MAX_POINTS = 12_000;
/** So many of the usual steps without a reading are a gap. */
const GAP_STEPS = 4;
/** Milliseconds that a chart shows at least. */
const LEAST_SPAN_MS = 300_000;
/** Milliseconds; a shorter silence is none. */
const LEAST_GAP_MS = 30_000;

export function createPoints(spanMs: number): Points {
  let all: Point[] = [];
  return {
    get all() {
      return all;
    },
    add(points, nowMs) {
      const fromMs = nowMs - spanMs;
      const [first] = points;
      // As a stream brings them.
      if (points.length === 1 && first && first.timeMs > (all.at(-1)?.timeMs ?? fromMs)) {
        const kept = all.findIndex(({ timeMs }) => timeMs >= fromMs);
        all = [...(kept < 0 ? [] : all.slice(kept)), first].slice(-MAX_POINTS);
        return;
      }
      const byTime = new Map(all.map((point) => [point.timeMs, point]));
      for (const point of points) byTime.set(point.timeMs, point);
      all = [...byTime.values()]
        .filter(({ timeMs }) => timeMs >= fromMs)
        .sort((a, b) => a.timeMs - b.timeMs)
        .slice(-MAX_POINTS);
    },
    columns(nowMs) {
      const gapMs = Math.max(LEAST_GAP_MS, GAP_STEPS * usualStepMs(all));
      const first = all[0]?.timeMs ?? nowMs;
      const startMs = Math.min(first - 1, nowMs - LEAST_SPAN_MS);
      const times = [startMs / 1000];
      const values: (number | null)[] = [null];
      let lastMs = Number.POSITIVE_INFINITY;
      if (all.length === 0) return { times: [...times, nowMs / 1000], values: [null, null] };
      for (const { timeMs, value } of all) {
        if (timeMs - lastMs > gapMs) {
          times.push((lastMs + 1) / 1000);
          values.push(null);
        }
        times.push(timeMs / 1000);
        values.push(value);
        lastMs = timeMs;
      }
      // Up to now: what has stopped shall not look as if it went on.
      if (nowMs > lastMs) {
        times.push(nowMs / 1000);
        values.push(null);
      }
      return { times, values };
    },
  };
}

/** The median. */
function usualStepMs(points: readonly Point[]): number {
  const steps = points.slice(1).map(({ timeMs }, index) => timeMs - (points[index]?.timeMs ?? timeMs));
  return steps.sort((a, b) => a - b)[steps.length >> 1] ?? 0;
}
