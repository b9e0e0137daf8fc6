/**
 * DeadLetters: messages that could not become events, kept for the operator with their reason. `put` resolves when they are as
 * durable as the log's store makes them, so an ack may follow. The oldest beyond MAX_DEAD_LETTERS go first.
 *
 * - **Errors**: `unavailable` when the store does not answer; `invalid-input` for an id that no letter can have.
 *
 * Checked by `describeDeadLetters` (test/contracts/dead-letters.ts) on every adapter.
 */

export interface DeadLetter {
  /** Name of the source that received it. */
  readonly source: string;
  readonly reason: string;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The message body, base64. */
  readonly bodyBase64: string;
  /** The broker's own id of the message; absent where it has none. */
  readonly messageId?: string;
  /** Unique: the event's id where its source gives messages random ones, so that a letter replayed twice is stored once. */
  readonly randomId: string;
  /** When it came, RFC 3339. */
  readonly time: string;
}

export interface StoredDeadLetter extends DeadLetter {
  /** Grows with every letter and is never used again; names it to `list`, `get`, `remove` and the CLI. */
  readonly id: string;
}

export interface DeadLetters {
  put(letters: readonly DeadLetter[]): Promise<void>;
  /** Oldest first, those after the id. It need not be there any more. */
  list(options: { readonly after?: string; readonly limit: number }): Promise<StoredDeadLetter[]>;
  /** Undefined: there is none of that id, or none any more. */
  get(id: string): Promise<StoredDeadLetter | undefined>;
  /** How many are kept; of more than a store can count at once, that many. */
  count(): Promise<number>;
  /** Any that are not there are passed over. */
  remove(ids: readonly string[]): Promise<void>;
}
