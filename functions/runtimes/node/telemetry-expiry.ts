/** Forgets old readings, in every long-lived process that writes them: whichever is there does it, and that several do harms nothing. */
import { jitter } from "../../core/backoff.ts";
import { describeError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import type { TelemetryStore } from "../../ports/telemetry-store.ts";

/** Milliseconds until the first time, so that a process that never gets old does it too, and between two; jittered. */
const FIRST_MS = 60_000;
const EVERY_MS = 3_600_000;

export interface TelemetryExpiryOptions {
  readonly telemetry: Pick<TelemetryStore, "expire">;
  /** Milliseconds a reading is kept, by its own time or that of its writing, whichever is later. */
  readonly retentionMs: number;
  readonly logger: Logger;
  /** Default 60,000 ms. */
  readonly firstMs?: number;
  /** Default an hour. */
  readonly everyMs?: number;
}

/** Keeps no process alive. A failure is a warning, and the next time tries again. */
export function startTelemetryExpiry(options: TelemetryExpiryOptions): Disposable {
  const { telemetry, retentionMs, logger, firstMs = FIRST_MS, everyMs = EVERY_MS } = options;
  let isStopped = false;
  let timer: NodeJS.Timeout;
  const schedule = (ms: number) => {
    timer = setTimeout(expire, jitter(ms)).unref();
  };
  const expire = async () => {
    try {
      await telemetry.expire(Date.now() - retentionMs);
    } catch (error) {
      // The store may be closed under it.
      if (!isStopped)
        logger.warn({ error: describeError(error) }, "Cannot forget old readings, trying again");
    }
    if (!isStopped) schedule(everyMs);
  };
  schedule(firstMs);
  return {
    [Symbol.dispose]() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
