/** `millrace up`: the whole pipeline in one process on embedded parts. What `npm start` runs. */
import type { Command } from "commander";
import type { BridgeConfig } from "../../bridge/config/config.ts";
import type { FramedTcpConfig } from "../../bridge/config/framed-tcp.ts";
import { startBridge } from "../../bridge/main.ts";
import { produceTo } from "../../bridge/producers/produce-to.ts";
import { startSourceReports } from "../../bridge/report-sources.ts";
import { backoffMs, sleep } from "../../functions/core/backoff.ts";
import { describeError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { isEmbedded, type Settings } from "../../functions/core/settings.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { authority } from "../../functions/runtimes/node/host.ts";
import { openAuthenticator } from "../../functions/runtimes/node/open-authenticator.ts";
import { openStore, whenUp } from "../../functions/runtimes/node/open-store.ts";
import { startServer } from "../../functions/runtimes/node/server.ts";
import { aborted } from "../../functions/runtimes/node/stop-signal.ts";
import { startTelemetryExpiry } from "../../functions/runtimes/node/telemetry-expiry.ts";
import { buildPages } from "../../web/build.ts";
import {
  authModeOfUp,
  DEMO_COMPANIES,
  EMBEDDED_SOURCE,
  embeddedSource,
  loneReadings,
  readBridgeFile,
} from "../bridge-file.ts";
import {
  BROKER_SETTINGS,
  type Context,
  HTTP_SETTINGS,
  helpSettings,
  openContext,
  SOURCE_SETTINGS,
  STORE_SETTINGS,
  TELEMETRY_SETTINGS,
} from "../context.ts";
import { openBroker } from "./broker.ts";

const COMPANIES = DEMO_COMPANIES;
/** Messages a second, the companies taking turns: enough to see something move, few enough to read. */
const DEMO = [
  { useCase: "metrics", companies: COMPANIES, ratePerSecond: 6 },
  { useCase: "events", companies: COMPANIES, ratePerSecond: 6 },
  { useCase: "audit", companies: COMPANIES, ratePerSecond: 4 },
  { useCase: "ecom", companies: COMPANIES, ratePerSecond: 2 },
  { useCase: "retail", companies: COMPANIES, ratePerSecond: 2 },
  { useCase: "telemetry", companies: COMPANIES, ratePerSecond: 12 },
  // As fast as somebody types.
  { useCase: "tickets", companies: COMPANIES, ratePerSecond: 0.5 },
  // The operator's own.
  { useCase: "services", companies: [], ratePerSecond: 2 },
] as const;
/** Milliseconds over which clients are sent away: whoever pressed Ctrl-C is waiting. */
const DRAIN_MS = 500;

interface UpOptions {
  /** Path of bridge.yaml. */
  readonly config?: string;
}

/** Resolves when the signal has aborted and everything is stored and closed. Prints the ready line alone. */
export async function runUp(
  { settings: given, logger, print, signal }: Context,
  options: UpOptions = {},
): Promise<void> {
  const settings: Settings = {
    ...given,
    AUTH_MODE: authModeOfUp(given),
    DRAIN_MS: Math.min(given.DRAIN_MS, DRAIN_MS),
  };
  openAuthenticator(settings);
  const file = readBridgeFile(settings, options.config);
  const pages = await buildPages();

  // Ends in the opposite order: producers, bridge, server, broker, store.
  await using store = await openStore({ settings, logger });
  if (!(await whenUp(store, signal))) return;
  const { log, telemetry, deadLetters, registry } = store;
  const retentionMs = settings.TELEMETRY_RETENTION_MS;
  using _expiry = startTelemetryExpiry({ telemetry, retentionMs, logger });
  logger.info(
    {},
    `Events are kept in ${isEmbedded(settings) ? settings.DATA_DIR : "Redis"}, readings of GPUs in ${settings.MONGODB_URI === undefined ? settings.DATA_DIR : "MongoDB"}`,
  );
  const lone = loneReadings(settings);
  if (lone !== undefined) logger.warn({}, lone);
  await using broker = await openBroker(settings, logger);
  const address = authority(settings.HOST, broker.tcpPort);
  let stats = () => [] as ReturnType<ReturnType<typeof startBridge>["stats"]>;
  await using server = await startServer({ settings, store, pages, logger, sources: () => stats() });
  const config = withEmbedded(file.config, embeddedSource(address, settings));
  await using reports = new AsyncDisposableStack();
  await using bridge = startBridge({ config, log, telemetry, deadLetters, logger });
  reports.use(startSourceReports({ bridge, registry, logger }));
  stats = bridge.stats;
  // Before the producers begin, so that this run's first event cannot be missed.
  const tips = await Promise.all(COMPANIES.map((company) => log.tip(company)));
  await using _producers = startDemo(address, logger, signal);
  const hasStored = () =>
    bridge.stats().some(({ name, appended }) => name === EMBEDDED_SOURCE && appended > 0);
  await firstEvent(log, tips, hasStored, signal);
  if (signal.aborted) return;

  logger.info({}, `Open ${server.url} in a browser; Ctrl-C stops`);
  if (settings.AUTH_MODE === "jwt")
    logger.info({}, "A token to look around: npx millrace token --company acme");
  print(`millrace ready ${server.url}`);
  await aborted(signal);
  logger.info({}, "Stopping; a second Ctrl-C stops at once");
}

/** The sources there are anyway, and one on the embedded broker. */
function withEmbedded({ sources }: BridgeConfig, own: FramedTcpConfig): BridgeConfig {
  const isEmbedded = (source: BridgeConfig["sources"][number]) =>
    source.kind === "framed-tcp" && source.address.replace(/^localhost:/, "127.0.0.1:") === own.address;
  // Read twice, a message without an id would be stored twice.
  const others = sources.filter((source) => !isEmbedded(source));
  return { sources: [own, ...others] };
}

/** Demo producers over TCP, as a stranger's would be. Disposing waits for them; the signal ends them. */
function startDemo(addr: string, logger: Logger, signal: AbortSignal): AsyncDisposable {
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const options = { settings: { BROKER_ADDR: addr }, signal: ended, logger };
  const running = DEMO.map(async (demo, index) => {
    const pace = demo.useCase === "services" ? undefined : busyByTurns(20_000 + 7_000 * index);
    for (let attempt = 0; !ended.aborted; attempt++) {
      try {
        await produceTo({ ...options, ...demo, pace });
      } catch (error) {
        const { useCase } = demo;
        if (!ended.aborted)
          logger.warn({ useCase, error: describeError(error) }, "Demo producer, trying again");
      }
      await sleep(backoffMs(attempt), ended);
    }
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.all(running);
    },
  };
}

/** Busier and quieter by turns, as people are; on average 1. Services have a rhythm of their own. */
function busyByTurns(periodMs: number): (atMs: number) => number {
  const wave = (atMs: number, shorter: number) => Math.sin((2 * Math.PI * shorter * atMs) / periodMs);
  return (atMs) => 1 + 0.4 * wave(atMs, 1) + 0.2 * wave(atMs, 2.7);
}

/** Resolves when one of the companies' logs has an entry after its tip that went through this process's own bridge, or on abort. */
async function firstEvent(
  log: EventLog,
  tips: Awaited<ReturnType<EventLog["tip"]>>[],
  hasStored: () => boolean,
  signal: AbortSignal,
): Promise<void> {
  const found = new AbortController();
  const until = AbortSignal.any([signal, found.signal]);
  const watch = async (company: (typeof COMPANIES)[number], index: number) => {
    for await (const result of log.tail(company, tips[index]!, until)) {
      // Another process may write to the same store: its events say nothing of this one.
      if (result.kind === "events" && hasStored()) found.abort();
    }
  };
  await Promise.all(COMPANIES.map(watch));
}

export function addUpCommand(program: Command): void {
  const command = program
    .command("up")
    .description("run the whole pipeline in one process with demo producers, until stopped (npm start)")
    .option("--config <file>", "further sources (default: bridge.yaml here, if there is one)")
    .action((options: UpOptions) => runUp(openContext(), options));
  helpSettings(command, [
    ...HTTP_SETTINGS,
    ...BROKER_SETTINGS,
    ...STORE_SETTINGS,
    ...TELEMETRY_SETTINGS,
    ...SOURCE_SETTINGS,
  ]);
}
