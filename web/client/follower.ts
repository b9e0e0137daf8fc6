/**
 * A tab that listens to another's stream, with a cursor of its own. What is relayed is taken as long as it follows that cursor; where it does
 * not (the tab has just joined, was frozen, or another tab leads now), the log itself says what is missing.
 */
import { readPage, type UpdatesRequest } from "./history.ts";
import type { Item } from "./item.ts";
import { type Outcome, reconnectDelayMs } from "./keep-open.ts";
import { sleep } from "./sleep.ts";

export interface FollowerOptions {
  readonly request: UpdatesRequest;
  /** Of this tab; empty: it begins where the log ends, wherever the leader is. */
  cursor(): string;
  /** Moves the cursor. */
  deliver(item: Item): void;
  /** The log has been asked, and this tab has all of it. Called once. */
  onReady(): void;
  /** The server does not let this reader in, whatever the other tab is shown. */
  onRefused(outcome: Outcome & { readonly kind: "refused" }): void;
}

export interface Follower {
  /** The leader says where it stands. */
  at(cursor: string): void;
  relay(items: readonly Item[]): void;
  stop(): void;
}

/** Items held while the log is asked. More are dropped: the log has them. */
const MOST_HELD = 1000;
/** Milliseconds between two looks into the log while what was relayed is not in it yet, or it cannot be asked; up to 30 times as long. */
const AGAIN_MS = 1000;

export function createFollower(options: FollowerOptions): Follower {
  const { request, cursor, deliver } = options;
  const stopped = new AbortController();
  const { signal } = stopped;
  /** Relayed, and not known to follow the cursor. */
  let held: Item[] = [];
  let isAsking = false;
  let isReady = false;

  /** Takes what follows; whether nothing is left. */
  function splice(): boolean {
    while (held.length > 0 && !signal.aborted) {
      const here = cursor();
      const seen = held.findLastIndex((item) => item.cursor === here);
      if (seen >= 0) {
        held = held.slice(seen + 1);
        continue;
      }
      const next = held.findIndex(({ prev }) => prev === here);
      const item = held[next];
      if (!item) return false;
      held = held.slice(next + 1);
      deliver(item);
    }
    return true;
  }

  async function askLog(): Promise<void> {
    if (isAsking) return;
    isAsking = true;
    for (let failures = 0; !signal.aborted; ) {
      let waitMs = 0;
      const newest = held.at(-1);
      try {
        const after = cursor();
        const page = await readPage(request, after, { signal, retry: () => {} });
        if (signal.aborted) return;
        if (page.kind === "refused") return options.onRefused(page);
        if (page.kind === "ended") throw page;
        failures = 0;
        // What was relayed meanwhile followed: the page is of before.
        if (cursor() !== after) {
          if (held.length === 0) break;
          continue;
        }
        const end = take(page.items);
        if (end === "met") break;
        if (end === "whole" && !page.more) {
          if (page.next !== cursor()) deliver({ cursor: page.next, prev: cursor() });
          // What had been relayed before the log was asked was in it.
          if (newest) held = held.slice(held.indexOf(newest) + 1);
          if (splice()) break;
          waitMs = AGAIN_MS;
        }
      } catch {
        waitMs = reconnectDelayMs(AGAIN_MS, ++failures, Math.random);
      }
      if (waitMs) await sleep(waitMs, signal);
    }
    isAsking = false;
    if (isReady || signal.aborted) return;
    isReady = true;
    options.onReady();
  }

  /**
   * Takes a page until it meets what was relayed. `moved`: some of that followed, and then something was missing again, so the rest of
   * the page is not what comes next.
   */
  function take(items: readonly Item[]): "met" | "moved" | "whole" {
    for (const item of items) {
      if (signal.aborted) break;
      deliver(item);
      if (held.length === 0) continue;
      if (splice()) return "met";
      if (cursor() !== item.cursor) return "moved";
    }
    return "whole";
  }

  return {
    at(there) {
      if (there) held.push({ cursor: there, prev: there });
      if (!isReady || !splice()) void askLog();
    },
    relay(items) {
      for (const item of items) {
        if (isReady && held.length === 0 && item.prev === cursor()) deliver(item);
        else held.push(item);
      }
      held = held.slice(-MOST_HELD);
      if (!isReady || !splice()) void askLog();
    },
    stop: () => stopped.abort(),
  };
}
