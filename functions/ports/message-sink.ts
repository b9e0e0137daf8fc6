/** Where messages for one client go whose newest says all: nothing is kept for one that is full. */
import type { EndReason } from "./hub.ts";

export interface MessageSink<M> {
  /** Sends it (it is shared by all watchers). False: full, send nothing until `onDrain` is called. */
  send(message: M): boolean;
  /** Sends what keeps a quiet connection open; the answer is `send`'s. */
  heartbeat(): boolean;
  /** Set by who sends; the sink calls it when it can take more after a `false`. */
  onDrain: () => void;
  /** Sends an event of the connection itself; the answer is `send`'s. */
  notify(name: string, data: Readonly<Record<string, unknown>>): boolean;
  end(reason: EndReason): void;
}
