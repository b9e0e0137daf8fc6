/** `millrace bridge`: sources to log only. */
import type { Command } from "commander";
import { startBridge } from "../../bridge/main.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { openStore, whenUp } from "../../functions/runtimes/node/open-store.ts";
import { aborted } from "../../functions/runtimes/node/stop-signal.ts";
import { readBridgeFile } from "../bridge-file.ts";
import { type Context, helpSettings, openContext, STORE_SETTINGS } from "../context.ts";

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
      "Cannot start the bridge: it has no source, expected NATS_URL, BROKER_ADDR or a source in bridge.yaml",
    );
  }
  await using store = await openStore({ settings, logger });
  if (!(await whenUp(store, signal))) return;
  const { log, deadLetters } = store;
  await using _bridge = startBridge({ config, log, deadLetters, logger });
  logger.info({ sources: names, ...(path === undefined ? {} : { config: path }) }, "Bridge is running");
  await aborted(signal);
  logger.info({}, "Bridge is stopping: it stores what is in hand");
}

export function addBridgeCommand(program: Command): void {
  const command = program
    .command("bridge")
    .description("read the message brokers into the event log, until stopped")
    .option("--config <file>", "sources and rules (default: bridge.yaml here, if there is one)")
    .action((options: BridgeOptions) => runBridge(openContext(), options));
  helpSettings(command, [...STORE_SETTINGS, "NATS_URL", "BROKER_ADDR"]);
}
