/** Numbers and choices for the generators. */

/** One of the items, each as likely. */
export function pick<T>(items: readonly T[], random: () => number): T {
  return items[Math.floor(random() * items.length)]!;
}

/** A whole number from `min` to `max`. */
export function between(min: number, max: number, random: () => number): number {
  return min + Math.floor(random() * (max - min + 1));
}

/** An account or the like: the prefix and so many digits. */
export function numbered(prefix: string, digits: number, random: () => number): string {
  return prefix + String(between(1, 10 ** digits - 1, random)).padStart(digits, "0");
}

/** The next value of a walk: within `step` of the last, and within the bounds. */
export function walk(last: number, step: number, min: number, max: number, random: () => number): number {
  return Math.min(max, Math.max(min, last + (random() * 2 - 1) * step));
}

/** Rounds to so many decimals. */
export function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
