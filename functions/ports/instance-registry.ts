/**
 * InstanceRegistry: what every running instance last said of its connections, so that any of them can answer for all.
 * A report is a lease: one not renewed within `LEASE_MS` counts no more. Costs one command an instance a report, none a client.
 */
import type { CompanyId } from "../core/ids.ts";

/** Milliseconds a report is believed. Instances renew at a third of it. */
export const LEASE_MS = 30_000;

export interface InstanceReport {
  readonly connectionsByCompany: Readonly<Record<CompanyId, number>>;
}

export interface InstanceRegistry {
  /** Replaces this instance's report. @throws MillraceError `unavailable`. */
  report(instance: string, report: InstanceReport): Promise<void>;
  /** Takes this instance's report back. */
  withdraw(instance: string): Promise<void>;
  /** The connections of every company over all instances but `except` (whose own numbers are fresher). */
  connectionsByCompany(except: string): Promise<Record<CompanyId, number>>;
}
