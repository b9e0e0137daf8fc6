/** So many a second over time, more at once after a pause: a token bucket. */

export interface TokenBucketOptions {
  /** Tokens it gains. */
  readonly perSecond: number;
  /** Tokens it holds at most, and at first. */
  readonly burst: number;
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

export interface TokenBucket {
  /** False: there is not one token left. A cost above what is left is paid off later. @param cost Tokens, default 1. */
  take(cost?: number): boolean;
}

export function createTokenBucket({
  perSecond,
  burst,
  now = () => performance.now(),
}: TokenBucketOptions): TokenBucket {
  let tokens = burst;
  let filledAtMs = now();
  return {
    take(cost = 1) {
      const nowMs = now();
      tokens = Math.min(burst, tokens + ((nowMs - filledAtMs) / 1000) * perSecond);
      filledAtMs = nowMs;
      if (tokens < 1) return false;
      tokens -= cost;
      return true;
    },
  };
}
