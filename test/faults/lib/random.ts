/** Chance that can be repeated: a failed run is run again with the seed it printed (FAULT_SEED). */

export interface Chance {
  readonly seed: number;
  /** In [0, 1). */
  next(): number;
  /** A whole number from `from` to `to`. */
  whole(from: number, to: number): number;
  pick<T>(items: readonly T[]): T;
}

/** As the environment variable says it, or any; printed. */
export function readSeed(what: string, variable = "FAULT_SEED"): number {
  const given = Number(process.env[variable]);
  const seed = Number.isInteger(given) && given > 0 ? given : Math.floor(Math.random() * (2 ** 31 - 1)) + 1;
  console.log(`${what}: ${variable}=${seed}`);
  return seed;
}

/** Prints its seed. */
export function createChance(what: string): Chance {
  const seed = readSeed(what);
  // mulberry32.
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (from: number, to: number) => from + Math.floor(next() * (to - from + 1));
  return { seed, next, whole, pick: (items) => items[whole(0, items.length - 1)]! };
}
