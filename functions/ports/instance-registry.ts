/**
 * InstanceRegistry: what every running instance last said of itself, so that any of them can answer for all: of its connections, and a bridge
 * of its sources. A report is a lease: what is not renewed in time counts no more. Costs one command a report, none a client, none an event.
 *
 * - **Time** is the store's, so that instances need not agree on theirs.
 * - **Errors**: `unavailable` when the store does not answer.
 *
 * Checked by `describeInstanceRegistry` (test/contracts/instance-registry.ts) on every adapter.
 */
import type { CompanyId } from "../core/ids.ts";
import type { BridgeReport, HeldReport } from "../core/pipeline.ts";

/** Milliseconds a report of connections is believed. Instances renew at a third of it. */
export const LEASE_MS = 30_000;

export interface InstanceReport {
  readonly connectionsByCompany: Readonly<Record<CompanyId, number>>;
}

/** Everything there is to know of the others. */
export interface Survey {
  /** As `connectionsByCompany`. */
  readonly connectionsByCompany: Record<CompanyId, number>;
  /** Of them, how many instances hold at least one connection. */
  readonly instances: number;
  /** The last report of every bridge that has not taken it back, at most LOST_MS old. In no order. */
  readonly bridges: readonly HeldReport[];
}

export interface InstanceRegistry {
  /** Replaces this instance's report. @throws MillraceError `unavailable`. */
  report(instance: string, report: InstanceReport): Promise<void>;
  /** Takes this instance's report back. */
  withdraw(instance: string): Promise<void>;
  /** The connections of every company over all instances but `except` (whose own numbers are fresher). */
  connectionsByCompany(except: string): Promise<Record<CompanyId, number>>;
  /** Replaces this bridge's report. */
  reportBridge(bridge: string, report: BridgeReport): Promise<void>;
  /** Takes this bridge's report back: it was closed, and is not lost. */
  withdrawBridge(bridge: string): Promise<void>;
  survey(except: string): Promise<Survey>;
}

/** Adds up what instances reported. A map in between: a company may be called `__proto__`. */
export function addReports(reports: readonly InstanceReport[]): Omit<Survey, "bridges"> {
  const sums = new Map<string, number>();
  let instances = 0;
  for (const { connectionsByCompany } of reports) {
    const counts = Object.entries<number>(connectionsByCompany);
    for (const [company, connections] of counts) sums.set(company, (sums.get(company) ?? 0) + connections);
    if (counts.some(([, connections]) => connections > 0)) instances++;
  }
  return { connectionsByCompany: Object.fromEntries(sums) as Record<CompanyId, number>, instances };
}
