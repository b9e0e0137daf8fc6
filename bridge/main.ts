/** The bridge: every source of the configuration into one log. */
import type { Logger } from "../functions/core/logger.ts";
import type { DeadLetters } from "../functions/ports/dead-letters.ts";
import type { EventLog } from "../functions/ports/event-log.ts";
import type { BridgeConfig } from "./config/config.ts";
import { createSource } from "./registry.ts";
import { runSource } from "./run.ts";
import { createSourceMonitor, type SourceStats } from "./source-monitor.ts";

export interface BridgeOptions {
  readonly config: BridgeConfig;
  /** Stays the caller's: close it after the bridge. */
  readonly log: Pick<EventLog, "append">;
  readonly deadLetters: Pick<DeadLetters, "put">;
  readonly logger: Logger;
}

export interface Bridge extends AsyncDisposable {
  /** As of now, in the order of the configuration. */
  stats(): (SourceStats & { readonly acknowledges: boolean })[];
  /**
   * Takes nothing more, stores what is in hand (for at most 5 s; what has acks goes back to its broker after that) and disconnects.
   * Any number of times.
   */
  close(): Promise<void>;
}

/** Begins to connect and returns at once: a source that cannot connect is tried again, and shows in `stats`. */
export function startBridge({ config, log, deadLetters, logger }: BridgeOptions): Bridge {
  const stop = new AbortController();
  const running = config.sources
    .filter(({ enabled }) => enabled)
    .map((sourceConfig) => {
      const monitor = createSourceMonitor(sourceConfig.name, sourceConfig.kind, logger);
      const source = createSource(sourceConfig, { events: monitor, logger });
      return { source, monitor, done: runSource(source, { log, deadLetters, monitor }, stop.signal) };
    });
  if (running.length === 0) logger.warn({}, "Bridge has no source: set NATS_URL or BROKER_ADDR, or name one");

  const close = async () => {
    stop.abort();
    await Promise.all(running.map(({ done }) => done));
  };
  return {
    stats: () =>
      running.map(({ source, monitor }) => ({ ...monitor.stats, acknowledges: source.acknowledges })),
    close,
    [Symbol.asyncDispose]: close,
  };
}
