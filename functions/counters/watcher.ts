/** A watcher of counters: what it was last given, and of which kind. */
import type { TextMessage } from "../core/text-message.ts";
import type { WatchRequest } from "../ports/counters.ts";
import * as watch from "../watch/watcher.ts";

export interface Watcher extends Omit<watch.Watcher<TextMessage>, "send" | "isFull"> {
  readonly kind: WatchRequest["kind"];
  /** It was given a snapshot. */
  readonly isServed: boolean;
  /** Gives it a snapshot, unless it is full; one of a dashboard only when it is another than the last. */
  give(snapshot: TextMessage, nowMs: number): void;
}

export function createWatcher({ kind, sink }: WatchRequest, limits: watch.WatcherLimits): Watcher {
  const own = watch.createWatcher(sink, limits);
  let last: TextMessage | undefined;
  return {
    kind,
    get isGone() {
      return own.isGone;
    },
    get isServed() {
      return last !== undefined;
    },
    give(snapshot, nowMs) {
      if (kind === "dashboard" && snapshot === last) return;
      if (own.send(snapshot, nowMs)) last = snapshot;
    },
    lookAfter: own.lookAfter,
    notify: own.notify,
    end: own.end,
    leave: own.leave,
  };
}
