/**
 * BrokerSource: one broker's messages as batches of events.
 *
 * - **Delivery** is at least once where the broker has acks (`acknowledges` says so): a message not acked is delivered again.
 * - **Order** is the broker's; a batch is acked whole, and only after the batches before it.
 * - **Back-pressure**: while a batch is not acked no more than `prefetch` messages are taken from the broker.
 * - **Errors**: a lost connection ends the iteration by throwing `unavailable`; reconnecting is `run`'s, never the source's.
 *   A message that cannot be decoded is a {@link Undecodable} in its batch and never an error.
 * - **Lifetime**: when the signal aborts, what has been taken is still handed out, then the iteration ends and the connection
 *   closes; unacked messages go back to the broker.
 *
 * Checked by `describeBrokerSource` (test/contracts/broker-source.ts) on every source.
 */
import type { MillraceEvent } from "../core/event.ts";
import type { Reading } from "../core/reading.ts";

/** A message no event could be made of: it goes to the dead letters. */
export interface Undecodable {
  /** Why, for the operator. */
  readonly reason: string;
  /** The message as it came, so that it can be replayed. */
  readonly message: RawMessage;
}

/** What a broker gave us, before decoding. */
export interface RawMessage {
  /** Subject, routing key or queue; empty where the broker has none. */
  readonly subject: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** The broker's own id, stable over redelivery; undefined where it has none. */
  readonly messageId: string | undefined;
}

/** What came of one message. */
export type Decoded =
  | {
      readonly event: MillraceEvent;
      /** Of an event of TELEMETRY_TYPE, and of no other: it goes to the telemetry store too. */
      readonly reading?: Reading;
    }
  | { readonly undecodable: Undecodable };

/** Turns a message into an event by the rules of bridge.yaml. Never throws. */
export type Decode = (message: RawMessage) => Decoded;

export interface Batch {
  readonly deliveries: readonly Decoded[];
  /** The events are in the log, the readings in the telemetry store, the rest in the dead letters: the broker may forget them. */
  ack(): Promise<void>;
  /** They are not: the broker is to deliver them again. */
  nack(error: unknown): Promise<void>;
}

export interface BrokerSource {
  /** As named in bridge.yaml; in logs and metric labels. */
  readonly name: string;
  /** False: the broker has no acks, so what is in flight when the bridge dies is lost (at most once). */
  readonly acknowledges: boolean;
  deliveries(signal: AbortSignal): AsyncIterable<Batch>;
  /**
   * Messages the broker holds for this source and has not given to any bridge yet; undefined while that cannot be told. Never throws.
   * Absent where the broker keeps none. Asked once a scrape.
   */
  lag?(): Promise<number | undefined>;
  /**
   * Of the oldest message the broker holds for this source, milliseconds since 1970: when it was published, and when the broker forgets it
   * for its age (absent: never). Undefined while there is none or that cannot be told. Never throws. Absent where no broker tells cheaply.
   */
  oldestHeld?(): Promise<{ readonly atMs: number; readonly lostAtMs?: number } | undefined>;
}
