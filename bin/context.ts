/** What the commands share: settings, a logger, where results go, and how a failure becomes an exit code. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { CommanderError } from "commander";
import { describeError, MillraceError } from "../functions/core/errors.ts";
import type { Logger } from "../functions/core/logger.ts";
import { type Settings, settingsTable } from "../functions/core/settings.ts";
import { createLogger } from "../functions/runtimes/node/logger.ts";
import { readSettingsAndFiles, SECRET_SETTINGS } from "../functions/runtimes/node/secret-files.ts";
import { stopSignal } from "../functions/runtimes/node/stop-signal.ts";

export interface Context {
  readonly settings: Settings;
  readonly logger: Logger;
  /** A line of result on stdout; what happens on the way is the logger's. */
  readonly print: (line: string) => void;
  /** Aborts when the process is to end. */
  readonly signal: AbortSignal;
}

/** The context of a command that runs until it is told to stop. @throws MillraceError `invalid-settings`. */
export function openContext(): Context {
  const settings = readSettingsAndFiles(process.env);
  const logger = createLogger({ level: settings.LOG_LEVEL });
  return { settings, logger, print: (line) => console.log(line), signal: stopSignal() };
}

/** The settings of the event log and its store. */
export const STORE_SETTINGS = [
  "REDIS_URL",
  "UPSTASH_REDIS_REST_URL",
  "UPSTASH_REDIS_REST_TOKEN",
  "DATA_DIR",
  "REPLAY_RETENTION_MS",
  "TODAY_TIMEZONE",
] as const satisfies SettingName[];
/** The settings of the telemetry store, besides DATA_DIR. */
export const TELEMETRY_SETTINGS = [
  ...["MONGODB_URI", "MONGODB_DATABASE", "MONGO_COLLECTION", "TELEMETRY_RETENTION_MS"],
] as SettingName[];
/** The settings of HTTP. */
export const HTTP_SETTINGS = [
  ...["PORT", "HOST", "STREAMING_ENABLED", "AUTH_MODE", "JWT_SECRET", "JWKS_URL", "JWT_ISSUER"],
  ...["JWT_AUDIENCE", "HEARTBEAT_MS", "MAX_CONNECTION_AGE_MS", "IDLE_TIMEOUT_MS", "DRAIN_MS"],
  ...["CONNECTION_BUFFER_EVENTS", "STREAM_COMPRESSION", "MAX_CONNECTIONS_PER_COMPANY", "CORS_ORIGINS"],
  ...["AUTH_TOKEN", "DEFAULT_PAGE_SIZE"],
] as SettingName[];
/** The settings of the framed-TCP broker. */
export const BROKER_SETTINGS = [
  ...["HOST", "TCP_PORT", "HTTP_PORT", "DELIVERY_MODE", "MAX_CONSUMERS", "CONSUMER_CHANNEL_BUFFER_SIZE"],
] as SettingName[];

/** The settings that turn a source on. */
export const SOURCE_SWITCHES = [
  ...["NATS_URL", "AMQP_URL", "BROKER_ADDR", "MQ_HOST", "MQ_CCDT", "REDIS_URL"],
] as SettingName[];
/** The settings of the sources. */
export const SOURCE_SETTINGS = settingsTable()
  .map(({ name }) => name as SettingName)
  .filter((name) => SOURCE_SWITCHES.includes(name) || /^(NATS|AMQP|MQ)_/.test(name));

export type SettingName = keyof Settings;

/** Whether there is an embedded store in the folder. */
export function holdsStore(folder: string): boolean {
  return existsSync(join(folder, "millrace.db"));
}

/** Ends a command's help with the settings it reads, in the order of the table. */
export function helpSettings(command: Command, names: readonly SettingName[]): Command {
  const read = new Set<string>([...names, "LOG_LEVEL"]);
  const rows = settingsTable().filter(({ name }) => read.has(name));
  const width = Math.max(...rows.map(({ name }) => name.length));
  const lines = rows.map(({ name, fallback, meaning }) => {
    const shown = fallback === "-" ? "" : ` (default: ${fallback})`;
    return `  ${name.padEnd(width)}  ${meaning}${shown}`;
  });
  if (rows.some(({ name }) => SECRET_SETTINGS.includes(name as SettingName))) {
    lines.push("A secret, or a URL with one, may be in a file: NAME_FILE names it.");
  }
  return command.addHelpText("after", `\nSettings (environment variables):\n${lines.join("\n")}`);
}

/** Reports what ended a command: 2 for bad usage or settings, 1 for a failure. */
export function exitCodeOf(error: unknown): number {
  // Commander has printed it, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  const isUsage =
    error instanceof MillraceError && (error.code === "invalid-settings" || error.code === "invalid-input");
  if (isUsage) {
    console.error(describeError(error));
    return 2;
  }
  const logger = createLogger({ level: "error" });
  const isOurs = error instanceof MillraceError;
  logger.error(isOurs ? { code: error.code } : { err: error }, describeError(error));
  return 1;
}
