/**
 * The one error class and its one table. Routes read `status`, reconnect loops read `retryable`; nobody reads
 * a message text. An expected outcome (a gap, a duplicate, a full house) is a value, never one of these.
 */
const TABLE = {
  "invalid-input": { status: 400, retryable: false },
  unauthorized: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  "invalid-settings": { status: 500, retryable: false },
  /** A store or broker did not answer; the same call may succeed later. */
  unavailable: { status: 503, retryable: true },
} as const satisfies Record<string, { status: number; retryable: boolean }>;

export type ErrorCode = keyof typeof TABLE;

/** Message grammar: `Cannot <verb> <thing> "<value>": <what was>, <what is expected>`. Never holds a secret. */
export class MillraceError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "MillraceError";
    this.code = code;
  }

  get status(): (typeof TABLE)[ErrorCode]["status"] {
    return TABLE[this.code].status;
  }

  get retryable(): boolean {
    return TABLE[this.code].retryable;
  }
}

/** A thrown value as text for a log line. Runtimes do throw `undefined` (FACTS.md), so anything is accepted. */
export function describeError(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
