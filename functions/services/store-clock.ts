/** The store's clock as far as it is known here: what it said, and the time that has passed since, whatever this machine's clock says. */

export interface StoreClock {
  /** Milliseconds since 1970. */
  now(): number;
  /** The store has said that it is at least so late: this machine may have slept. */
  isAtLeast(ms: number): void;
}

export function createStoreClock(): StoreClock {
  let saidMs = Date.now();
  let atMs = performance.now();
  let isKnown = false;
  const now = () => saidMs + performance.now() - atMs;
  return {
    now,
    isAtLeast(ms) {
      // The first word is the store's alone: this machine's clock may be ahead of it.
      if (isKnown && ms <= now()) return;
      isKnown = true;
      saidMs = ms;
      atMs = performance.now();
    },
  };
}
