/** The last minutes of a number, one value a step, for a chart. Pure. */

export interface Trail {
  /** `value` as of `nowMs`, milliseconds since 1970. */
  record(nowMs: number, value: number): void;
  /** What {@link Chart.update} takes: every step of the axis up to `nowMs`; null where nothing was known. */
  at(nowMs: number): { readonly times: readonly number[]; readonly values: readonly (number | null)[] };
}

/** Steps without a value over which the last one is taken to have held: a timer is never exact. */
const BRIDGED_STEPS = 2;

/** Keeps `steps` values, `stepMs` apart. With `least` fewer the axis begins so short, and grows to its length with what there is. */
export function createTrail(steps: number, stepMs: number, least = steps): Trail {
  const values: (number | null)[] = [];
  /** The step of the newest value. */
  let newest = 0;
  const stepOf = (ms: number): number => Math.floor(ms / stepMs);

  return {
    record(nowMs, value) {
      const step = stepOf(nowMs);
      const last = values.at(-1);
      const missed = last === undefined ? 0 : step - newest - 1;
      if (last !== undefined && step <= newest) values[values.length - 1] = value;
      else {
        const between = missed <= BRIDGED_STEPS ? (last ?? null) : null;
        for (let n = 0; n < Math.min(missed, steps); n++) values.push(between);
        values.push(value);
        newest = step;
      }
      if (values.length > steps) values.splice(0, values.length - steps);
    },
    at(nowMs) {
      const step = Math.max(stepOf(nowMs), newest);
      const first = newest - values.length + 1;
      const length = Math.min(steps, Math.max(least, step - first + 1));
      const from = step - length + 1;
      return {
        times: Array.from({ length }, (_, index) => ((from + index) * stepMs) / 1000),
        values: Array.from({ length }, (_, index) => values[from + index - first] ?? null),
      };
    },
  };
}
