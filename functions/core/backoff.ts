/** Delays between tries, jittered so that many clients or bridges do not come back at the same moment. */

/** Bounds in milliseconds. */
export interface BackoffOptions {
  /** First delay. Default 100. */
  readonly baseMs?: number;
  /** Largest delay. Default 10,000. */
  readonly maxMs?: number;
  /** Source of randomness in [0, 1); a test passes its own. */
  readonly random?: () => number;
}

/** "Full jitter" (AWS Architecture Blog, Exponential Backoff And Jitter): uniform in (0, base x 2^attempt], attempt from 0. */
export function backoffMs(
  attempt: number,
  { baseMs = 100, maxMs = 10_000, random = Math.random }: BackoffOptions = {},
): number {
  return Math.ceil(Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30)) * (1 - random()));
}

/** `ms` spread by half either way: what a `retry:` tells many clients at once. */
export function jitter(ms: number, random: () => number = Math.random): number {
  return Math.round(ms * (0.5 + random()));
}

/** When a connection that began at `startMs` gets too old: at `maxAgeMs`, up to a tenth earlier so that not all do at once; 0: never. */
export function renewalAt(startMs: number, maxAgeMs: number): number {
  return maxAgeMs === 0 ? Number.POSITIVE_INFINITY : startMs + maxAgeMs * (0.9 + 0.1 * Math.random());
}

/** Resolves after `ms`, or at once when the signal aborts. Never rejects: the caller looks at the signal. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener("abort", done, { once: true });
  });
}

/** Milliseconds between two steps of {@link spread}. */
const SPREAD_STEP_MS = 20;

/** Runs `body` on every item, in random order and evenly over the period; with 0 ms all at once. */
export async function spread<T>(
  items: readonly T[],
  periodMs: number,
  body: (item: T) => void,
): Promise<void> {
  const inOrder = items.map((item) => ({ item, at: Math.random() })).sort((a, b) => a.at - b.at);
  const startMs = performance.now();
  for (let done = 0; done < inOrder.length; ) {
    const part = periodMs === 0 ? 1 : Math.min(1, (performance.now() - startMs) / periodMs);
    for (const due = Math.ceil(part * inOrder.length); done < due; done++) body(inOrder[done]!.item);
    if (done < inOrder.length) await sleep(SPREAD_STEP_MS);
  }
}
