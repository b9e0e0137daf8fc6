/** Readings for the bench, as an exporter's scrapes give them. */
import { dcgmReadings } from "../../../bridge/producers/dcgm.ts";
import { parseCompanyId } from "../../../functions/core/ids.ts";
import type { Reading } from "../../../functions/core/reading.ts";
import { COMPANY } from "./systems.ts";

const FIRST_MS = Date.parse("2026-01-01T00:00:00Z");
/** Of a GPU in one scrape. */
export const METRICS = 6;

export interface Fleet {
  readonly hosts: number;
  readonly gpusPerHost: number;
  /** Milliseconds between two scrapes. */
  readonly everyMs: number;
}

/** The next so many readings of the fleet. */
export function createReadings({ hosts, gpusPerHost, everyMs }: Fleet): (count: number) => Reading[] {
  const companyId = parseCompanyId(COMPANY);
  let scrapes = 0;
  const rows = dcgmReadings({
    ...{ companies: [COMPANY], hostsPerCompany: hosts, gpusPerHost },
    now: () => FIRST_MS + Math.floor(scrapes++ / hosts) * everyMs,
  });
  return (count) =>
    Array.from({ length: count }, () => {
      const { timestamp, metric_name, uuid, value, ...labels } = rows.next().value.row;
      return { companyId, uuid, metric_name, timeMs: Date.parse(timestamp), value, labels };
    });
}
