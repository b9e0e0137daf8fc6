/** A broker with acks as the suite of queue-faults.ts sees it; one file a broker beside this one. */
import type { Producer } from "./load.ts";

export interface SourceOptions {
  /** Of a proxy before the broker. */
  readonly port?: number;
  /** Messages taken and not acked, at most. */
  readonly prefetch?: number;
  /** The type of every event. */
  readonly type?: string;
  /** Milliseconds after which the broker delivers again, where it goes by time. */
  readonly ackWaitMs?: number;
}

/** A message as it is. */
export interface RawPublish {
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
  /** The broker's own id of it. */
  readonly id?: string;
}

export interface TestQueue {
  /** Its name in bridge.yaml; its company is of the same name. */
  readonly name: string;
  /** An entry of bridge.yaml that reads it. */
  source(options?: SourceOptions): object;
  /** Goes on until the broker has confirmed all: what it has not is sent again, under the same id. */
  producer(): Producer;
  /** Resolves when the broker has them, in this order. */
  publish(messages: readonly RawPublish[]): Promise<void>;
  /** Messages with no bridge, and messages given to one and not acked, as the broker counts them. */
  held(): Promise<{ readonly ready: number; readonly unacked: number }>;
  /** The id of an event, by its number. */
  idOf(n: number): string;
  /** Resolves when the broker would take a message for a new one, whatever its id. */
  forgotten(): Promise<void>;
}

export interface QueueBroker extends AsyncDisposable {
  readonly port: number;
  /** What a bridge needs in its environment. */
  readonly env: Readonly<Record<string, string>>;
  /** A queue for one test. */
  open(name: string): Promise<TestQueue>;
  /** kill -9, and up again with its data. */
  restart(): Promise<void>;
}
