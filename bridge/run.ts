/** Keeps one source running: reconnects with jittered back-off until the signal aborts. */
import { type BackoffOptions, backoffMs, jitter, sleep } from "../functions/core/backoff.ts";
import { MillraceError } from "../functions/core/errors.ts";
import type { BrokerSource } from "../functions/ports/broker-source.ts";
import { type PumpDeps, pump } from "./pump.ts";

/** Milliseconds between tries, jittered, when waiting alone repairs nothing: refused credentials, a missing stream. */
const SLOW_RETRY_MS = 30_000;
/** Milliseconds a connection must last to count as a success, unless it brought messages. */
const STEADY_MS = 10_000;

export interface RunDeps extends PumpDeps {
  /** Default 30,000. */
  readonly slowRetryMs?: number;
}

/** Never throws. Resolves after the abort, when the source has ended. */
export async function runSource(source: BrokerSource, deps: RunDeps, signal: AbortSignal): Promise<void> {
  const { monitor, backoff, slowRetryMs = SLOW_RETRY_MS } = deps;
  let attempt = 0;
  while (!signal.aborted) {
    const startedAt = Date.now();
    const receivedBefore = monitor.stats.received;
    const error = await pump(source, deps, signal).then(
      () =>
        new MillraceError("unavailable", `Cannot read from "${source.name}": it ended, expected it to go on`),
      (thrown: unknown) => thrown,
    );
    if (signal.aborted) break;
    // A broker that takes us and sends us away at once (a house that is full) must not be asked ten times a second.
    const wasSteady = monitor.stats.received > receivedBefore || Date.now() - startedAt >= STEADY_MS;
    if (wasSteady) attempt = 0;
    monitor.disconnected(error);
    await sleep(retryDelayMs(error, attempt, slowRetryMs, backoff), signal);
    attempt++;
  }
  monitor.stopped();
}

function retryDelayMs(
  error: unknown,
  attempt: number,
  slowRetryMs: number,
  backoff: BackoffOptions | undefined,
): number {
  const isLasting = error instanceof MillraceError && !error.retryable;
  return isLasting ? jitter(slowRetryMs) : backoffMs(attempt, backoff);
}
