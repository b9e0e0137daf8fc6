/**
 * TelemetryStore: readings of GPUs, to be asked for by GPU and time.
 *
 * - **Write** is idempotent: a reading that is there stays as it is, so that a batch may be written again after any crash. It resolves when the
 *   readings are as durable as the store makes them, so an ack may follow.
 * - **Order**: by time, then by metric name; within one GPU a total order, so that pages neither overlap nor leave anything out.
 * - **Cost** of a page does not grow with its offset, nor that of the total with the number of readings.
 * - **Isolation**: only readings of the companies that are named.
 * - **Errors**: `unavailable` when the store does not answer, or does not let us in (retryable: writing again is safe).
 * - **Lifetime**: `Symbol.asyncDispose` closes what the store opened itself, and leaves nothing running.
 *
 * Checked by `describeTelemetryStore` (test/contracts/telemetry-store.ts) on every adapter.
 */
import type { CompanyId } from "../core/ids.ts";
import type { Reading } from "../core/reading.ts";

/** A GPU as its newest labels name it. */
export interface Gpu {
  readonly companyId: CompanyId;
  readonly uuid: string;
  readonly gpu_id: string;
  readonly device: string;
  readonly modelName: string;
  readonly Hostname: string;
  /** Of its oldest and newest reading, milliseconds since 1970; the newest may lag by some seconds. */
  readonly firstSeenMs: number;
  readonly lastSeenMs: number;
}

interface PageQuery {
  /** Times, both included; undefined: no bound. */
  readonly fromMs: number | undefined;
  readonly untilMs: number | undefined;
  readonly order: "asc" | "desc";
  /** Items to leave out, from 0. */
  readonly offset: number;
  /** Items wanted, from 1. */
  readonly limit: number;
}

/** GPUs by uuid; with times, those whose first reading is not after `untilMs` and whose last not before `fromMs`, though there be none in between. */
export interface GpusQuery extends PageQuery {
  readonly companies: readonly CompanyId[] | "all";
}

/** Readings of one GPU by time. */
export interface ReadingsQuery extends PageQuery {
  readonly companyId: CompanyId;
  readonly uuid: string;
  /** Undefined: all. */
  readonly metric: string | undefined;
}

export interface Page<T> {
  /** Of all that the query matches, on whatever page. */
  readonly total: number;
  readonly items: readonly T[];
}

export interface TelemetryStore extends AsyncDisposable {
  /** Any number of readings of any companies. `stored`: how many were new. */
  write(readings: readonly Reading[]): Promise<{ readonly stored: number }>;
  gpus(query: GpusQuery): Promise<Page<Gpu>>;
  /** The companies, of those named, that have a GPU of this uuid. */
  owners(uuid: string, companies: readonly CompanyId[] | "all"): Promise<readonly CompanyId[]>;
  readings(query: ReadingsQuery): Promise<Page<Reading>>;
  /**
   * Forgets the hours of GPUs that had ended by this time and into which nothing was written since, by the clock of the store: what is old when it
   * is sent in is kept as long as what is new. A reading delivered again counts as written. The times and labels of a GPU are then those of what is
   * kept, the first to the hour; one without readings is forgotten as well. Some of this may wait for a later call, but for the readings. Any number of processes may do it at once.
   */
  expire(beforeMs: number): Promise<void>;
  /** Resolves when the store answers. @throws MillraceError `unavailable`. */
  ping(): Promise<void>;
}
