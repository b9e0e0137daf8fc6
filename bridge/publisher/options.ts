/** What a service passes to `createPublisher` and gets from it. */
import type { Registry } from "prom-client";
import type { Logger } from "../../functions/core/logger.ts";
import type { AmqpTls } from "../rabbitmq-connection.ts";

/**
 * - `best-effort`: `publish` never waits for a broker that is away and never fails because of it. It resolves with true when the message
 *   was handed to the connection, else with false and a log line. What the broker then does not confirm within `retry.timeoutMs`, sent
 *   again where the connection broke, is logged and counted.
 * - `confirm`: `publish` resolves when the broker has the message, and rejects when it refuses it or does not answer in time. A
 *   rejection for want of an answer leaves open whether the broker has it: publish again with the same `messageId`.
 * - `outbox`: `publish` writes a row in the caller's own SQLite transaction and a flusher sends it. Lost is nothing, through crashes of
 *   the caller, the flusher and the broker. After a crash a message may be sent again, with the same `messageId`.
 */
export type Reliability = "best-effort" | "confirm" | "outbox";

export type JsonObject = Readonly<Record<string, unknown>>;
export type MessageHeaders = Readonly<Record<string, string | number | boolean>>;

/** Of one message. */
export interface PublishOptions {
  /** Identifies the message: the same one twice is stored once. 1-255 bytes. Default a random UUID. */
  readonly messageId?: string | undefined;
  /** When it happened: a Date, milliseconds since 1970, or RFC 3339. Default now. */
  readonly timestamp?: Date | number | string | undefined;
  /** At most 16 KiB as JSON. `companyid` names the company where the payload has no `companyId`. */
  readonly headers?: MessageHeaders | undefined;
  /** Milliseconds in a queue after which the broker drops the message. Default: never. */
  readonly expiration?: number | undefined;
  /** Kept on the broker's disk. Default true. */
  readonly persistent?: boolean | undefined;
}

export interface RetryOptions {
  /**
   * Milliseconds a publish may take, reconnects included. Default 10,000. With `best-effort` counted from the hand-over, which the first
   * publish waits for at most a second.
   */
  readonly timeoutMs?: number | undefined;
  /** First delay before connecting again, in milliseconds; it doubles, with full jitter. Default 100. */
  readonly baseMs?: number | undefined;
  /** Largest such delay. Default 10,000. */
  readonly maxMs?: number | undefined;
}

/** What `node:sqlite`'s DatabaseSync and better-sqlite3's Database have in common. */
export interface OutboxDatabase {
  prepare(sql: string): {
    // The libraries type their parameters each in their own way.
    // biome-ignore lint/suspicious/noExplicitAny: a method, so that both fit.
    run(...parameters: any[]): unknown;
    // biome-ignore lint/suspicious/noExplicitAny: as above.
    all(...parameters: any[]): unknown[];
  };
}

export interface OutboxOptions {
  /** The caller's own connection: the row is part of whatever transaction is open on it. Stays open until the publisher is closed. */
  readonly database: OutboxDatabase;
  /** Name of the table, made when it is missing; `<table>_lease` beside it. Default `millrace_outbox`. */
  readonly table?: string | undefined;
  /**
   * Milliseconds after which another process takes over from one that was killed. At least twice `retry.timeoutMs`, which is the
   * default.
   */
  readonly leaseMs?: number | undefined;
  /** Milliseconds between looks for rows of other processes. Default 1,000. */
  readonly pollMs?: number | undefined;
  /** Milliseconds a sent message's id is kept, so that publishing it again sends nothing. Default 86,400,000 (a day). */
  readonly keepSentMs?: number | undefined;
}

export interface PublisherOptions {
  /** `amqp://` or `amqps://`, with `user:password@` and the virtual host as path. */
  readonly amqpUrl: string;
  /** Must exist: the publisher's user needs no permission but to write to it. Default `events`. */
  readonly exchange?: string | undefined;
  /** Names the service: the AMQP property `app_id`, and the connection's name. */
  readonly appId: string;
  /** Default `best-effort`. */
  readonly reliability?: Reliability | undefined;
  /** For messages that do not say themselves; headers are merged. */
  readonly messageDefaults?: Pick<PublishOptions, "headers" | "expiration" | "persistent"> | undefined;
  readonly retry?: RetryOptions | undefined;
  /** The payload, with `ts`, as JSON. Default `JSON.stringify`. */
  readonly serialize?: ((payload: JsonObject) => string | Uint8Array) | undefined;
  /** Throws to refuse a payload, e.g. `(payload) => schema.parse(payload)`. Not asynchronous; what it returns is not looked at. */
  readonly validate?: ((payload: JsonObject, routingKey: string) => unknown) | undefined;
  /**
   * Whether a message that no queue is bound for counts as refused, with `confirm` and `outbox`. The broker acks such a message and drops it.
   * Default true.
   */
  readonly mandatory?: boolean | undefined;
  /** With `outbox`, and only then. */
  readonly outbox?: OutboxOptions | undefined;
  /** Default: JSON lines on stderr, from level info. */
  readonly logger?: Logger | undefined;
  /** Where the counters are registered. Default prom-client's own `register`. */
  readonly registry?: Registry | undefined;
  readonly tls?: AmqpTls | undefined;
}

export interface PublisherHealth {
  /** `idle`: nothing was published yet, so nothing was connected. `blocked`: the broker is out of memory or disk and takes nothing. */
  readonly status: "idle" | "connecting" | "up" | "blocked" | "down" | "closed";
  /** Messages this process holds: not sent, or sent and not confirmed. */
  readonly held: number;
  /** Why the last connection was lost or could not be made; undefined while it is up. */
  readonly lastError: string | undefined;
  /** With `outbox`. */
  readonly outbox?: {
    /** Rows to send. */
    readonly pending: number;
    /** Age of the oldest of them, in milliseconds. */
    readonly oldestMs: number | undefined;
    /** Whether this process holds the lease, so is the one that sends. */
    readonly isFlusher: boolean;
    /** Why the last message was refused or the database could not be used; undefined once all are sent. */
    readonly lastError: string | undefined;
  };
}

export interface Publisher extends AsyncDisposable {
  /**
   * Publishes one message. What it promises is the `reliability`'s: see {@link Reliability}.
   * @param routingKey `<domain>.<entity>.<action>` in lower case, with an optional version: `orders.order.created.v2`.
   * @param payload A JSON object, at most 128 KiB. `ts` is filled in where it is missing.
   * @returns true when the message was taken. With `best-effort` false when it was not.
   * @throws MillraceError `invalid-input`, before anything is sent and not as a rejection, for a message that cannot be: so the
   * caller's synchronous transaction is rolled back. With `outbox` likewise `unavailable` when the row cannot be written.
   * Rejects, with `confirm` alone, with a MillraceError: `unavailable` (no answer in time, nack, too much held), `invalid-settings`
   * (unroutable, no such exchange), `forbidden`.
   */
  publish(routingKey: string, payload: JsonObject, options?: PublishOptions): Promise<boolean>;
  /** Throws, with an outbox alone, what its database throws when it cannot be read. */
  health(): PublisherHealth;
  /**
   * Takes no more, sends what is held for at most `timeoutMs` (default 5,000), and closes. With `outbox` what is not sent stays in its
   * table for the next start. Never rejects.
   */
  close(options?: { readonly timeoutMs?: number }): Promise<void>;
}
