/** `millrace bridge`: sources to log, with the probes and metrics of it. */
import type { Command } from "commander";
import { createBridge } from "../../bridge/main.ts";
import { startSourceReports } from "../../bridge/report-sources.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { openStore, whenUp } from "../../functions/runtimes/node/open-store.ts";
import { startProbeServer } from "../../functions/runtimes/node/probe-server.ts";
import { aborted } from "../../functions/runtimes/node/stop-signal.ts";
import { startTelemetryExpiry } from "../../functions/runtimes/node/telemetry-expiry.ts";
import { loneReadings, readBridgeFile } from "../bridge-file.ts";
import {
  type Context,
  helpSettings,
  openContext,
  SOURCE_SETTINGS,
  SOURCE_SWITCHES,
  STORE_SETTINGS,
  TELEMETRY_SETTINGS,
} from "../context.ts";

interface BridgeOptions {
  /** Path of bridge.yaml. */
  readonly config?: string;
}

/** Resolves when the signal has aborted and what was in hand is stored. */
async function runBridge(
  { settings, logger, signal }: Omit<Context, "print">,
  options: BridgeOptions,
): Promise<void> {
  const { path, config } = readBridgeFile(settings, options.config);
  const names = config.sources.filter(({ enabled }) => enabled).map(({ name }) => name);
  if (names.length === 0) {
    throw new MillraceError(
      "invalid-settings",
      `Cannot start the bridge: it has no source, expected ${SOURCE_SWITCHES.join(", ")} or a source in bridge.yaml`,
    );
  }
  const warning = loneReadings(settings);
  if (warning !== undefined) logger.warn({}, warning);
  await using store = await openStore({ settings, logger });
  const { log, telemetry, deadLetters, registry } = store;
  const retentionMs = settings.TELEMETRY_RETENTION_MS;
  using _expiry = startTelemetryExpiry({ telemetry, retentionMs, logger });
  const bridge = createBridge({ config, log, telemetry, deadLetters, logger });
  await using _probes = await startProbeServer({
    ...{ host: settings.HOST, port: settings.BRIDGE_PORT, portSetting: "BRIDGE_PORT" },
    ...{
      log,
      deadLetters,
      calls: store.calls,
      logger,
      sources: bridge.stats,
      isStopping: () => signal.aborted,
    },
  });
  await using reports = new AsyncDisposableStack();
  // Ends before them: while it stores what is in hand they still answer.
  await using _bridge = bridge;
  if (!(await whenUp(store, signal))) return;
  reports.use(startSourceReports({ bridge, registry, logger }));
  bridge.start();
  logger.info({ sources: names, ...(path === undefined ? {} : { config: path }) }, "Bridge is running");
  await aborted(signal);
  logger.info({}, "Bridge is stopping: it stores what is in hand");
}

export function addBridgeCommand(program: Command): void {
  const command = program
    .command("bridge")
    .description("read the message brokers into the event log and the telemetry store, until stopped")
    .option("--config <file>", "sources and rules (default: bridge.yaml here, if there is one)")
    .action((options: BridgeOptions) => runBridge(openContext(), options));
  helpSettings(command, [
    ...STORE_SETTINGS,
    ...TELEMETRY_SETTINGS,
    "HOST",
    "BRIDGE_PORT",
    ...SOURCE_SETTINGS,
  ]);
}
