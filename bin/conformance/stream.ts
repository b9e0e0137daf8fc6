/** What is open and brings events, whatever the transport. */
import type { SseEvent } from "./sse-parser.ts";

export interface Stream {
  readonly parsed: {
    readonly events: readonly SseEvent[];
    /** What a reconnect sends: moved by frames without data too. */
    readonly lastEventId: string;
    /** Breaches of the transport's rules, in words. */
    readonly problems: readonly string[];
  };
  /** Headers of the answer, names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The server has ended it, or the connection is lost. */
  readonly ended: boolean;
  /** True as soon as `met` is; false when `timeoutMs` pass, or the stream ends, without it. Looks again at every chunk. */
  until(met: () => boolean, timeoutMs: number): Promise<boolean>;
  /** Stops taking bytes off the socket: a client that has hung. `resume` takes them again. */
  pause(): void;
  resume(): void;
  /** Closes the connection, as a tab does; `reset` cuts it, by a TCP reset where it can. */
  close(): void;
  reset(): void;
}
