/** When turns run: at once for those who wait, in a measured pace for what is new. */

/**
 * New events wait until nine times what the last full turn took has passed, so that writing them one by one takes no more than a
 * tenth of a core; what gathers meanwhile goes out in the same write. At most this many milliseconds: with few clients it is nothing,
 * and the first event after a pause never waits (`npm run bench`, fanout and latency).
 */
const MAX_PACE_MS = 20;
const PACE = 9;

export interface Turns {
  /** Runs a turn after what is going on now. */
  now(): void;
  /** Runs a turn when the pace allows. */
  paced(): void;
  /** Runs no more. */
  stop(): void;
}

/** `run` answers whether the turn was a full one, of everybody. `scheduleTurn` runs a function once, after what is going on now. */
export function createTurns(scheduleTurn: (run: () => void) => void, run: () => boolean): Turns {
  let isScheduled = false;
  let isStopped = false;
  let pace: ReturnType<typeof setTimeout> | undefined;
  /** By `performance.now()`. */
  let nextPacedMs = 0;

  const turn = () => {
    isScheduled = false;
    if (isStopped) return;
    const startMs = performance.now();
    if (!run()) return;
    const endMs = performance.now();
    nextPacedMs = endMs + Math.min(MAX_PACE_MS, PACE * (endMs - startMs));
  };
  const now = () => {
    clearTimeout(pace);
    pace = undefined;
    if (isScheduled || isStopped) return;
    isScheduled = true;
    scheduleTurn(turn);
  };

  return {
    now,
    paced() {
      if (isScheduled || pace !== undefined) return;
      const waitMs = nextPacedMs - performance.now();
      if (waitMs < 1) now();
      else pace = setTimeout(now, waitMs);
    },
    stop() {
      isStopped = true;
      clearTimeout(pace);
    },
  };
}
