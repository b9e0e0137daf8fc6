/**
 * How many log lines, or statuses, a service may have stored: a token bucket each, so that one that floods takes nothing from the others. What is over it
 * is left out and counted.
 *
 * A service that is heard for the first time, or for the first time in long, also takes from a bucket that all such share: so names made up
 * for every line are no way around it, and the number of services kept is bounded.
 */
import { UNKNOWN_SERVICE } from "../functions/core/service-name.ts";
import { createTokenBucket, type TokenBucket } from "../functions/core/token-bucket.ts";

/** Services kept, the most recently heard: some 100 KiB. */
const MAX_SERVICES = 1_000;
/** Seconds of its rate a service that was quiet may send at once. */
const BURST_SECONDS = 10;

export interface LineLimitOptions {
  /** Sustained. */
  readonly linesPerSecond: number;
  /** Of all together that are heard for the first time. Default `linesPerSecond`. */
  readonly strangersPerSecond?: number | undefined;
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/** `About`: what is remembered of the first line left out. */
export interface LineLimit<About> {
  /**
   * False: the line is over the limit and counted.
   * @param cost Lines it counts for, from 1.
   */
  admits(service: string, cost: number, about: () => About): boolean;
  /** What was left out since it was last asked, by service; those that share a bucket are `unknown`. */
  leftOut(): readonly LeftOut<About>[];
}

export interface LeftOut<About> {
  readonly service: string;
  readonly lines: number;
  readonly first: About;
}

interface Account<About> {
  readonly bucket: TokenBucket;
  lines: number;
  first: About | undefined;
}

export function createLineLimit<About>(options: LineLimitOptions): LineLimit<About> {
  const { linesPerSecond, strangersPerSecond = linesPerSecond, now } = options;
  const open = (perSecond: number): Account<About> => {
    const bucket = createTokenBucket({ perSecond, burst: perSecond * BURST_SECONDS, now });
    return { bucket, lines: 0, first: undefined };
  };
  /** The least recently heard first. */
  const accounts = new Map<string, Account<About>>();
  const strangers = open(strangersPerSecond);
  /** Those with lines left out, so that asking costs nothing while all is quiet. */
  const over = new Map<Account<About>, string>();

  const leave = (account: Account<About>, service: string, lines: number, about: () => About) => {
    if (account.lines === 0) account.first = about();
    account.lines += lines;
    over.set(account, service);
  };
  const forgetOldest = () => {
    const [service, account] = accounts.entries().next().value!;
    accounts.delete(service);
    if (account.lines === 0) return;
    over.delete(account);
    leave(strangers, UNKNOWN_SERVICE, account.lines, () => account.first!);
  };

  return {
    admits(service, cost, about) {
      const known = accounts.get(service);
      if (!known && !strangers.bucket.take()) {
        leave(strangers, UNKNOWN_SERVICE, 1, about);
        return false;
      }
      const account = known ?? open(linesPerSecond);
      accounts.delete(service);
      accounts.set(service, account);
      if (accounts.size > MAX_SERVICES) forgetOldest();
      if (account.bucket.take(cost)) return true;
      leave(account, service, 1, about);
      return false;
    },
    leftOut() {
      const told = [...over].map(([{ lines, first }, service]) => ({
        service,
        lines,
        first: first!,
      }));
      for (const account of over.keys()) {
        account.lines = 0;
        account.first = undefined;
      }
      over.clear();
      return told;
    },
  };
}
