/** Three little services: they have runs and queues, fail and recover. One finds accounts, another takes them up. */
import type { LogLevel } from "../../functions/core/log-line.ts";
import { between, numbered, pick } from "./walk.ts";

/** What a service says next: how it is, or a line. */
export type Said = (
  | { readonly status: Readonly<Record<string, unknown>> }
  | { readonly level: LogLevel; readonly message: string }
) & {
  /** Milliseconds until it says the next. */
  readonly thenMs: number;
  /** Not earlier than that, whoever asks. */
  readonly isFirm?: boolean;
};

/** What the services share. */
export interface World {
  readonly random: () => number;
  /** RFC 3339. */
  readonly now: () => string;
  /** Accounts found and not enriched yet. */
  found: number;
}

/** Milliseconds between two things a service says while it works; with the four services, two messages a second. */
const STEP_MS = 1_800;
/** Silence of account-discovery after its runs: over three of its intervals, so it is shown as stopped. */
const PAUSE_MS = 45_000;

/** A run every few seconds over all balances; now and then the ledger is away and a run fails. */
export function* balanceSync({ random, now }: World): Generator<Said, never> {
  const interval = 10;
  let processed = 0;
  for (let run = 0; ; run++) {
    const total = between(200, 600, random);
    const lastRun = now();
    const failsAt = run % 4 === 3 ? between(50, total - 50, random) : Number.POSITIVE_INFINITY;
    let done = 0;
    const status = (state: string, thenMs = STEP_MS): Said => {
      const progress = { done, total };
      return { status: { state, queueSize: total - done, processed, progress, interval, lastRun }, thenMs };
    };
    yield status("running");
    while (done < total) {
      const fetched = Math.min(total - done, between(60, 150, random));
      if (done + fetched > failsAt) {
        yield line("error", `ledger did not answer in ${between(3, 9, random)} s, run ${run} given up`);
        yield status("failed", 4 * STEP_MS);
        break;
      }
      done += fetched;
      processed += fetched;
      yield line("debug", `fetched ${fetched} balances in ${between(20, 400, random)} ms`);
      yield status("running");
    }
    if (done < total) {
      yield line("warn", `trying again with ${total - done} balances left`);
      continue;
    }
    yield line("info", `${total} balances synced, ${between(0, 12, random)} differed`);
    yield status("idle", 3 * STEP_MS);
  }
}

/** Scans the registry page by page for new accounts; after three runs it pauses, and says nothing at all. */
export function* accountDiscovery(world: World): Generator<Said, never> {
  const { random, now } = world;
  const interval = 10;
  let processed = 0;
  for (let run = 1; ; run++) {
    const pages = between(3, 6, random);
    const lastRun = now();
    let news = 0;
    for (let page = 0; page < pages; page++) {
      const progress = { done: page, total: pages };
      const status = { state: "running", queueSize: pages - page, processed, progress, interval, lastRun };
      yield { status, thenMs: STEP_MS };
      if (random() < 0.1) {
        yield line("warn", `registry returned 503 for page ${page + 1}, asking again`);
      }
      const found = between(0, 14, random);
      processed += between(180, 250, random);
      news += found;
      world.found += found;
      yield line("debug", `page ${page + 1} of ${pages}: ${found} new accounts`, 2 * STEP_MS);
    }
    const isLast = run % 3 === 0;
    yield line("info", `${news} new accounts found${isLast ? "; nothing to do for a while" : ""}`);
    const progress = { done: pages, total: pages };
    const status = { state: "idle", queueSize: 0, processed, progress, interval, lastRun };
    yield { status, thenMs: isLast ? PAUSE_MS : 4 * STEP_MS, isFirm: true };
  }
}

/** Takes up what was found, some at a time; when its cache is cold it falls behind. */
export function* accountEnrichment(world: World): Generator<Said, never> {
  const { random, now } = world;
  const interval = 15;
  let processed = 0;
  let lastRun = now();
  for (let step = 0; ; step++) {
    const isAway = step % 15 === 14;
    const taken = isAway ? 0 : Math.min(world.found, between(1, 9, random));
    world.found -= taken;
    processed += taken;
    if (taken > 0) lastRun = now();
    if (isAway) yield line("error", "profile service returned 503, waiting");
    const state = isAway ? "failed" : world.found > 0 ? "running" : "idle";
    yield { status: { state, queueSize: world.found, processed, interval, lastRun }, thenMs: 2 * STEP_MS };
    const account = numbered("AC-", 6, random);
    if (isAway) yield line("info", "profile service answers again", 2 * STEP_MS);
    else if (taken === 0) yield line("debug", "queue is empty", 2 * STEP_MS);
    else if (random() < 0.15) yield line("warn", `no profile for account ${account}, skipped`, 2 * STEP_MS);
    else {
      const text = pick([`enriched account ${account}`, `cache hit for account ${account}`], random);
      yield line("info", `${text}, ${taken} in this batch`, 2 * STEP_MS);
    }
  }
}

export function line(level: LogLevel, message: string, thenMs = STEP_MS): Said {
  return { level, message, thenMs };
}
