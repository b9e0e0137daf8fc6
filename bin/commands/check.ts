/** `millrace check`: every problem of the settings and of bridge.yaml at once. */
import type { Command } from "commander";
import type { BrokerSettings } from "../../bridge/config/kind.ts";
import { createSource } from "../../bridge/registry.ts";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { maskUrls } from "../../functions/core/mask-urls.ts";
import { type Environment, type Settings, settingsTable } from "../../functions/core/settings.ts";
import { requireAuthentication } from "../../functions/runtimes/node/open-authenticator.ts";
import { readSettingsAndFiles, SECRET_SETTINGS } from "../../functions/runtimes/node/secret-files.ts";
import { type BridgeFile, describeSource, loneReadings, readBridgeFile } from "../bridge-file.ts";
import { helpSettings, type SettingName } from "../context.ts";

interface CheckOptions {
  /** Path of bridge.yaml. */
  readonly config?: string;
  /** Show the effective settings. */
  readonly print?: boolean;
}

/** By its name, so that a new one is masked too. */
const isSecret = (name: string) => /(SECRET|PASSWORD|TOKEN)$/.test(name);
/** Columns a value may take before what comes behind it is no longer aligned for its sake. */
const MOST_COLUMNS = 60;
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** The lines to print when all is well. @throws MillraceError `invalid-settings` naming every problem of both. */
function check(env: Environment, options: CheckOptions): string[] {
  const problems: string[] = [];
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof MillraceError && error.code === "invalid-settings")) throw error;
      problems.push(describeError(error));
      return undefined;
    }
  };
  const settings = attempt(() => readSettingsAndFiles(env));
  // A setting that is wrong has been said already: here it only counts that it is there.
  const brokers = settings ?? (env as unknown as BrokerSettings);
  const bridge = attempt(() => readBridgeFile(brokers, options.config));
  if (settings === undefined || bridge === undefined) {
    throw new MillraceError("invalid-settings", problems.join("\n"));
  }
  attempt(() => requireAuthentication(settings));
  const [refusal] = problems;
  const lone = loneReadings(settings);
  return [
    ...(options.print ? effective(settings, env) : []),
    "settings: valid",
    ...describeBridge(bridge),
    ...(lone === undefined ? [] : [`note: ${lone}`]),
    ...(refusal === undefined ? [] : [`note: millrace serve would refuse the settings. ${refusal}`]),
  ];
}

/** A line a setting, as a shell would take it, and behind it where the value comes from. */
function effective(settings: Settings, env: Environment): string[] {
  const values = settings as Readonly<Record<string, unknown>>;
  const lines = settingsTable().map(({ name }) => {
    const value = values[name];
    const shown = value === undefined ? "" : isSecret(name) ? "***" : maskUrls(String(value));
    return [`${name}=${shown}`, originOf(name, value, env)] as const;
  });
  const widths = lines.map(([line]) => line.length).filter((width) => width <= MOST_COLUMNS);
  const width = Math.max(...widths);
  return lines.map(([line, origin]) => `${line.padEnd(width)}  # ${origin}`);
}

function originOf(name: string, value: unknown, env: Environment): string {
  if ((env[name] ?? "") !== "") return "environment";
  const isInFile = SECRET_SETTINGS.includes(name as SettingName) && (env[`${name}_FILE`] ?? "") !== "";
  if (isInFile) return `file, by ${name}_FILE`;
  return value === undefined ? "unset" : "default";
}

function describeBridge({ path, config }: BridgeFile): string[] {
  const { sources } = config;
  const events = { connected() {}, dropped() {} };
  return [
    `${path ?? "bridge, without a bridge.yaml"}: valid, sources: ${sources.length === 0 ? "none" : sources.length}`,
    ...sources.map((source) => {
      const { acknowledges } = createSource(source, { events, logger: silent });
      const delivery = acknowledges ? "at-least-once" : "at-most-once";
      return `source ${describeSource(source)}: ${source.enabled ? delivery : "off"}`;
    }),
  ];
}

export function addCheckCommand(program: Command): void {
  const command = program
    .command("check")
    .description("validate the settings and bridge.yaml, naming every problem at once")
    .option("--config <file>", "sources and rules (default: bridge.yaml here, if there is one)")
    .option("--print", "show the effective settings and where each comes from, secrets masked")
    .action((options: CheckOptions) => {
      for (const line of check(process.env, options)) console.log(line);
    });
  helpSettings(
    command,
    settingsTable().map(({ name }) => name as SettingName),
  );
}
