/** What a service passes to `createServiceMonitor` and gets from it. */
import type { Logger } from "../../functions/core/logger.ts";

/** What a client of node-redis (`createClient`) and one of ioredis have in common. */
export interface RedisPublisher {
  publish(channel: string, message: string): unknown;
}

export interface ServiceMonitorOptions {
  /** A connected client, which stays the caller's; or `redis://` or `rediss://` with `user:password@`, for a connection of its own. */
  readonly redis: RedisPublisher | string;
  /** Of the service: 1-64 characters of `A-Z a-z 0-9 . _ -`. */
  readonly name: string;
  /** A status is sent at least that often; silent for three intervals, the service is shown as stopped. 1-86,400 seconds. Default 15. */
  readonly intervalSeconds?: number | undefined;
  /** Log lines sent, sustained; five times as many at once. What is over it is left out, and said. Default 200. */
  readonly maxLinesPerSecond?: number | undefined;
  /** Hears of a Redis that is away. Default: JSON lines on stderr, from level info. */
  readonly logger?: Logger | undefined;
}

/** `running` and `idle` as `run` says them, or any other word of at most 32 characters. */
export type ServiceState = "running" | "idle" | "failed" | "stopped" | (string & {});

/**
 * What is not given stays as it was; what is undefined is no longer said. At most 100 members, of names of at most 64 characters. Others than
 * these are sent as they are; `companyId` is not, as services are no tenant's.
 */
export interface StatusUpdate {
  readonly state?: ServiceState | undefined;
  /** What waits to be done. */
  readonly queueSize?: number | undefined;
  /** What is done, since the service started. */
  readonly processed?: number | undefined;
  /** Of the present run. */
  readonly progress?: { readonly done: number; readonly total: number } | undefined;
  readonly [more: string]: unknown;
}

export type LogFields = Readonly<Record<string, unknown>>;

export interface ServiceLog {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

export interface ServiceMonitorHealth {
  /** `starting`: nothing is published yet. */
  readonly status: "starting" | "up" | "down" | "closed";
  /** Log lines that wait to be published. */
  readonly heldLines: number;
  /** Log lines left out, since the start: over the limit, or too many while Redis was away. */
  readonly leftOutLines: number;
  /** Why the last try failed; undefined while it is up. */
  readonly lastError: string | undefined;
}

/** No call waits for Redis, and none throws but what `run`'s function throws. */
export interface ServiceMonitor extends AsyncDisposable {
  /** Changes the status and sends it; of several within 200 ms the last. */
  status(update: StatusUpdate): void;
  /** How far the present run is. */
  progress(done: number, total: number): void;
  /**
   * Runs `fn`: state `running`, then `idle`, or `failed` with a log line; `lastRun` is when it began, `durationMs` how long it took. Returns
   * what `fn` returns and throws what it throws. Of runs at the same time the last to end says the state.
   */
  run<Result>(fn: () => Result | PromiseLike<Result>): Promise<Result>;
  /** Lines on `logs:all` and `logs:<name>`. Fields are sent in the member `fields`. */
  readonly log: ServiceLog;
  health(): ServiceMonitorHealth;
  /** Says `stopped`, sends what is held for at most `timeoutMs` (default 2,000), and ends. Never rejects. Any number of times. */
  close(options?: { readonly timeoutMs?: number }): Promise<void>;
}
