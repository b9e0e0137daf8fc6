/**
 * How messages get from producers to consumers; one implementation a delivery mode.
 *
 * - **Order**: a consumer gets what it gets in the order it came; one producer's messages keep theirs.
 * - **Isolation**: a consumer that does not read costs the others nothing, and memory only up to its bound.
 * - **Turns**: what comes in within one turn of the event loop goes out in one write a consumer, when the broker calls `turn`.
 */

/** A connection that sends messages. */
export interface Producer {
  /** Reads no more from it, so that TCP holds it back. */
  pause(): unknown;
  resume(): unknown;
}

/** A connection that takes messages. */
export interface Consumer {
  /** For log lines. */
  readonly name: string;
  /** Whether it says which messages it is done with. */
  readonly acks: boolean;
  /** Whether it can be written to; after a no, the broker calls `drained` when it can again. */
  readonly ready: boolean;
  /** Takes frames. Only while it is ready. */
  write(frames: Uint8Array): void;
}

/** Counts since the start, and of now. */
export interface DeliveryStats {
  /** Messages taken from producers. */
  readonly messagesIn: number;
  /** Messages handed to consumers' sockets: in broadcast one message counts once a consumer. */
  readonly messagesOut: number;
  /** Messages a consumer did not get because its buffer was full. */
  readonly dropped: number;
  /** Messages held now, for whoever takes them. */
  readonly buffered: number;
  /** Messages consumers have that they have not acked yet, and that go to another one when their connection ends. */
  readonly unacked: number;
}

export interface Delivery {
  /** Whole messages of one producer, in order. May pause it, and then resumes it later. */
  accept(bodies: readonly Uint8Array[], producer: Producer): void;
  /** The turn is over: hands out what came in. */
  turn(): void;
  join(consumer: Consumer): void;
  /**
   * A consumer that acks is done with so many messages, the oldest that it has.
   * @throws MillraceError `invalid-input` for none, or for more than it has.
   */
  acked(consumer: Consumer, messages: number): void;
  /** The consumer can be written to again. */
  drained(consumer: Consumer): void;
  leave(consumer: Consumer): void;
  stats(): DeliveryStats;
}
