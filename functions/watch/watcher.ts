/** A watcher: one client's sink, whether it can take more, and when it has to go. What it is given is for who holds it to say. */
import { renewalAt } from "../core/backoff.ts";
import type { EndReason, Membership } from "../ports/hub.ts";
import type { MessageSink } from "../ports/message-sink.ts";

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

export interface Watcher<M> {
  readonly isGone: boolean;
  /** Can take nothing now. */
  readonly isFull: boolean;
  /** Sends it. False: it is full, or gone, and was not sent. */
  send(message: M, nowMs: number): boolean;
  /** Keeps it open while it is quiet; why it has to go, if it has to. */
  lookAfter(nowMs: number): EndReason | undefined;
  /** Sends an event of the connection itself. False: it could not be taken now. */
  readonly notify: Membership["notify"];
  /** Sends it away. */
  end(reason: EndReason): void;
  /** Nothing is written any more. */
  leave(): void;
}

/** `onDrain`: it was full, and can take more. */
export function createWatcher<M>(
  sink: MessageSink<M>,
  { heartbeatMs, tickMs, idleTimeoutMs, maxConnectionAgeMs }: WatcherLimits,
  onDrain: () => void = () => {},
): Watcher<M> {
  const startMs = Date.now();
  const oldAtMs = renewalAt(startMs, maxConnectionAgeMs);
  let lastWriteMs = startMs;
  let isFull = false;
  let isGone = false;
  sink.onDrain = () => {
    isFull = false;
    onDrain();
  };
  return {
    get isGone() {
      return isGone;
    },
    get isFull() {
      return isFull;
    },
    send(message, nowMs) {
      if (isGone || isFull) return false;
      lastWriteMs = nowMs;
      isFull = !sink.send(message);
      return true;
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
