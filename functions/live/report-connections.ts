/** Keeps this instance's lease in the registry: who is connected here, for the totals every instance answers with. */
import { describeError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { type InstanceRegistry, LEASE_MS } from "../ports/instance-registry.ts";
import type { Live } from "../ports/live.ts";

/** Milliseconds between two looks at the hub, and so how old the other instances' numbers are at most. */
const LOOK_MS = 1_000;

export interface ReportOptions {
  readonly live: Pick<Live, "stats">;
  readonly registry: InstanceRegistry;
  /** Random id of this process. */
  readonly instance: string;
  readonly logger: Logger;
}

/** Reports when connections changed, and at a third of the lease while there are any: an idle instance costs the store nothing. */
export function startReports({ live, registry, instance, logger }: ReportOptions): { stop(): Promise<void> } {
  let reported = "{}";
  let reportedAtMs = 0;
  let failed = false;
  let current = Promise.resolve();

  const report = async () => {
    const { connectionsByCompany } = live.stats();
    const text = JSON.stringify(connectionsByCompany);
    const isDue = text !== "{}" && Date.now() - reportedAtMs >= LEASE_MS / 3;
    if (text === reported && !isDue) return;
    try {
      await registry.report(instance, { connectionsByCompany });
      reported = text;
      reportedAtMs = Date.now();
      failed = false;
    } catch (error) {
      if (!failed) logger.warn({ error: describeError(error) }, "Cannot tell other instances of connections");
      failed = true;
    }
  };
  let isBusy = false;
  const timer = setInterval(() => {
    if (isBusy) return;
    isBusy = true;
    current = report().finally(() => {
      isBusy = false;
    });
  }, LOOK_MS);

  return {
    async stop() {
      clearInterval(timer);
      await current;
      if (reportedAtMs === 0) return;
      await registry.withdraw(instance).catch((error: unknown) => {
        logger.warn({ error: describeError(error) }, "Cannot take this instance's connections back");
      });
    },
  };
}
