/** Readings for the telemetry checks of the HTTP contract: nothing of the kit brings any. */
import type { CompanyId } from "../../functions/core/ids.ts";
import type { Reading } from "../../functions/core/reading.ts";
import { reading } from "./telemetry-store.ts";

/** Two metrics of three GPUs, one of them of the other company: 40 readings each, from an hour ago. */
export function contractReadings({
  company,
  otherCompany,
}: {
  company: string;
  otherCompany: string;
}): Reading[] {
  const startMs = Math.floor(Date.now() / 1000) * 1000 - 3_600_000;
  const gpus = [
    [company, "GPU-a"],
    [company, "GPU-b"],
    [otherCompany, "GPU-c"],
  ] as const;
  return gpus.flatMap(([companyId, uuid]) =>
    Array.from({ length: 40 }, (_, index) =>
      reading(index, {
        ...{ companyId: companyId as CompanyId, uuid },
        metric_name: index % 2 === 0 ? "DCGM_FI_DEV_GPU_UTIL" : "DCGM_FI_DEV_MEM_COPY_UTIL",
        timeMs: startMs + Math.floor(index / 2) * 1000,
      }),
    ),
  );
}
