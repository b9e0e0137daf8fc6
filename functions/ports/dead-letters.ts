/**
 * DeadLetters: messages that could not become events, kept for the operator with their reason. `put` resolves when they are as
 * durable as the log's store makes them, so an ack may follow. The oldest beyond MAX_DEAD_LETTERS go first.
 */

export interface DeadLetter {
  /** Name of the source that received it. */
  readonly source: string;
  readonly reason: string;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The message body, base64. */
  readonly bodyBase64: string;
  /** RFC 3339. */
  readonly time: string;
}

export interface StoredDeadLetter extends DeadLetter {
  /** Grows with every letter; names it to `list` and the CLI. */
  readonly id: string;
}

export interface DeadLetters {
  /** @throws MillraceError `unavailable`. */
  put(letters: readonly DeadLetter[]): Promise<void>;
  /** Oldest first, those after the id. */
  list(options: { readonly after?: string; readonly limit: number }): Promise<StoredDeadLetter[]>;
}
