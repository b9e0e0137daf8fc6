/** The bridge: every source of the configuration into one log and one telemetry store. */
import type { Logger } from "../functions/core/logger.ts";
import { shared } from "../functions/core/shared.ts";
import type { BrokerSource } from "../functions/ports/broker-source.ts";
import type { DeadLetters } from "../functions/ports/dead-letters.ts";
import type { EventLog } from "../functions/ports/event-log.ts";
import type { TelemetryStore } from "../functions/ports/telemetry-store.ts";
import type { BridgeConfig } from "./config/config.ts";
import { createSource } from "./registry.ts";
import { runSource } from "./run.ts";
import { createSourceMonitor, type SourceStats } from "./source-monitor.ts";

export interface BridgeOptions {
  readonly config: BridgeConfig;
  /** Stays the caller's: close it after the bridge. */
  readonly log: Pick<EventLog, "append">;
  /** Takes the readings; the caller's too. */
  readonly telemetry: Pick<TelemetryStore, "write">;
  readonly deadLetters: Pick<DeadLetters, "put">;
  readonly logger: Logger;
}

/** One source, as of now. */
export interface BridgeSource extends SourceStats, Pick<BrokerSource, "acknowledges"> {
  /** As BrokerSource.lag; asked again while an answer is due, it is the same one. */
  readonly lag?: () => Promise<number | undefined>;
  /** As BrokerSource.oldestHeld, likewise. */
  readonly oldestHeld?: NonNullable<BrokerSource["oldestHeld"]>;
}

export interface Bridge extends AsyncDisposable {
  /** Begins to connect and returns at once: a source that cannot connect is tried again, and shows in `stats`. Once. */
  start(): void;
  /** The sources that are on, in the order of the configuration; before `start` they are `starting`. */
  stats(): BridgeSource[];
  /**
   * Takes nothing more, stores what is in hand (for at most 5 s; what has acks goes back to its broker after that) and disconnects.
   * Any number of times.
   */
  close(): Promise<void>;
}

/** A bridge that has not begun. */
export function createBridge({ config, log, telemetry, deadLetters, logger }: BridgeOptions): Bridge {
  const stop = new AbortController();
  const parts = config.sources
    .filter(({ enabled }) => enabled)
    .map((sourceConfig) => {
      const monitor = createSourceMonitor(sourceConfig.name, sourceConfig.kind, logger);
      const source = createSource(sourceConfig, { events: monitor, logger });
      const { acknowledges } = source;
      // A broker that hangs is not asked again by every scrape.
      return {
        source,
        monitor,
        more: {
          acknowledges,
          ...(source.lag ? { lag: shared(async () => source.lag?.()) } : {}),
          ...(source.oldestHeld ? { oldestHeld: shared(async () => source.oldestHeld?.()) } : {}),
        },
      };
    });
  let running: Promise<void>[] = [];

  const close = async () => {
    stop.abort();
    await Promise.all(running);
  };
  return {
    start() {
      if (parts.length === 0)
        logger.warn({}, "Bridge has no source: no setting names a broker, nor does bridge.yaml");
      running = parts.map(({ source, monitor }) =>
        runSource(source, { log, telemetry, deadLetters, monitor }, stop.signal),
      );
    },
    stats: () => parts.map(({ monitor, more }) => ({ ...monitor.stats, ...more })),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A bridge that has begun. */
export function startBridge(options: BridgeOptions): Bridge {
  const bridge = createBridge(options);
  bridge.start();
  return bridge;
}
