/** Open streams over all running instances. */
import type { CompanyId } from "../core/ids.ts";
import type { InstanceRegistry } from "../ports/instance-registry.ts";
import type { Live } from "../ports/live.ts";

/** What counting needs. */
export interface ConnectionsDeps {
  readonly live: Pick<Live, "stats">;
  readonly registry: Pick<InstanceRegistry, "connectionsByCompany">;
  /** The id this process reports under: its own numbers are taken from where they are fresh. */
  readonly instance: string;
}

/** By company, those with at least one. A map: a company may be called `constructor`. */
export type Counts = ReadonlyMap<CompanyId, number>;

/** `others`: what the other instances reported. */
export function addConnections(
  live: ConnectionsDeps["live"],
  others: Readonly<Record<CompanyId, number>>,
): Counts {
  const counts = new Map<CompanyId, number>();
  for (const byCompany of [others, live.stats().connectionsByCompany]) {
    for (const [company, connections] of Object.entries(byCompany) as [CompanyId, number][]) {
      if (connections > 0) counts.set(company, (counts.get(company) ?? 0) + connections);
    }
  }
  return counts;
}

export function sum(counts: Counts): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}
