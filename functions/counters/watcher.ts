/** A watcher: one client's sink, what it was last given, and when it has to go. */
import { renewalAt } from "../core/backoff.ts";
import type { TextMessage } from "../core/text-message.ts";
import type { WatchRequest } from "../ports/counters.ts";
import type { EndReason } from "../ports/hub.ts";

export interface WatcherLimits {
  /** Milliseconds: the longest silence of a connection. */
  readonly heartbeatMs: number;
  /** Milliseconds between two looks. */
  readonly tickMs: number;
  /** Milliseconds after which a client that takes nothing is closed. */
  readonly idleTimeoutMs: number;
  /** Milliseconds after which a client is told to come back, spread by a tenth; 0: never. */
  readonly maxConnectionAgeMs: number;
}

export interface Watcher {
  readonly kind: WatchRequest["kind"];
  readonly isGone: boolean;
  /** It was given a snapshot. */
  readonly isServed: boolean;
  /** Gives it a snapshot, unless it is full; one of a dashboard only when it is another than the last. */
  give(snapshot: TextMessage, nowMs: number): void;
  /** Keeps it open while it is quiet; why it has to go, if it has to. */
  lookAfter(nowMs: number): EndReason | undefined;
  /** Sends an event of the connection itself. False: it could not be taken now. */
  notify(name: string, data: Readonly<Record<string, unknown>>): boolean;
  /** Sends it away. */
  end(reason: EndReason): void;
  /** Nothing is written any more. */
  leave(): void;
}

export function createWatcher(
  { kind, sink }: WatchRequest,
  { heartbeatMs, tickMs, idleTimeoutMs, maxConnectionAgeMs }: WatcherLimits,
): Watcher {
  const startMs = Date.now();
  const oldAtMs = renewalAt(startMs, maxConnectionAgeMs);
  let lastWriteMs = startMs;
  let last: TextMessage | undefined;
  let isFull = false;
  let isGone = false;
  sink.onDrain = () => {
    isFull = false;
  };
  return {
    kind,
    get isGone() {
      return isGone;
    },
    get isServed() {
      return last !== undefined;
    },
    give(snapshot, nowMs) {
      if (isGone || isFull || (kind === "dashboard" && snapshot === last)) return;
      last = snapshot;
      lastWriteMs = nowMs;
      isFull = !sink.send(snapshot);
    },
    lookAfter(nowMs) {
      if (nowMs >= oldAtMs) return "aged";
      if (isFull) return nowMs - lastWriteMs >= idleTimeoutMs ? "idle" : undefined;
      if (nowMs - lastWriteMs > heartbeatMs - 1.5 * tickMs) {
        lastWriteMs = nowMs;
        isFull = !sink.heartbeat();
      }
      return undefined;
    },
    notify(name, data) {
      if (isGone || isFull) return false;
      isFull = !sink.notify(name, data);
      return true;
    },
    end: (reason) => sink.end(reason),
    leave() {
      isGone = true;
      sink.onDrain = () => {};
    },
  };
}
