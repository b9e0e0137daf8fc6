/** Numbers for the generators. */

/** The next value of a walk: within `step` of the last, and within the bounds. */
export function walk(last: number, step: number, min: number, max: number, random: () => number): number {
  return Math.min(max, Math.max(min, last + (random() * 2 - 1) * step));
}

/** Rounds to so many decimals. */
export function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
