/** `millrace broker`: the framed-TCP message queue only. */
import type { Command } from "commander";
import { type Broker, startBroker } from "../../bridge/broker/broker.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import type { Settings } from "../../functions/core/settings.ts";
import { authority, listenHost } from "../../functions/runtimes/node/host.ts";
import { aborted } from "../../functions/runtimes/node/stop-signal.ts";
import { BROKER_SETTINGS, type Context, helpSettings, openContext } from "../context.ts";

/** The broker of the settings. @throws MillraceError `unavailable` naming the setting when a port cannot be listened on. */
export async function openBroker(settings: Settings, logger: Logger): Promise<Broker> {
  try {
    return await startBroker({
      host: listenHost(settings.HOST),
      tcpPort: settings.TCP_PORT,
      httpPort: settings.HTTP_PORT,
      deliveryMode: settings.DELIVERY_MODE,
      maxConsumers: settings.MAX_CONSUMERS,
      bufferMessages: settings.CONSUMER_CHANNEL_BUFFER_SIZE,
      logger,
    });
  } catch (error) {
    const cause = error instanceof MillraceError ? error.cause : undefined;
    if (!(error instanceof MillraceError && cause instanceof Error && "port" in cause)) throw error;
    const name = cause.port === settings.TCP_PORT ? "TCP_PORT" : "HTTP_PORT";
    const message = `${error.message}; set ${name} to another one, or to 0 for any`;
    throw new MillraceError(error.code, message, { cause });
  }
}

/** Resolves when the signal has aborted and consumers took what was held for them. */
async function runBroker({ settings, logger, print, signal }: Context): Promise<void> {
  await using broker = await openBroker(settings, logger);
  print(`millrace ready tcp://${authority(settings.HOST, broker.tcpPort)}`);
  await aborted(signal);
}

export function addBrokerCommand(program: Command): void {
  const command = program
    .command("broker")
    .description("run the framed-TCP message queue, until stopped")
    .action(() => runBroker(openContext()));
  helpSettings(command, BROKER_SETTINGS);
}
