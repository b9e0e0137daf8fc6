/** Where the bridge's configuration comes from. */
import { existsSync, readFileSync } from "node:fs";
import {
  type BridgeConfig,
  defaultBridgeConfig,
  parseBridgeConfig,
  type SourceConfig,
} from "../bridge/config/config.ts";
import type { BrokerSettings } from "../bridge/config/kind.ts";
import { describeAddress } from "../bridge/ibm-mq/connection.ts";
import { describeError, MillraceError } from "../functions/core/errors.ts";
import { maskUrls } from "../functions/core/mask-urls.ts";

/** Read from the working directory when it is there and no other file is named. */
const DEFAULT_FILE = "bridge.yaml";

export interface BridgeFile {
  /** Undefined: there is none, and the settings alone say which sources there are. */
  readonly path: string | undefined;
  readonly config: BridgeConfig;
}

/** @throws MillraceError `invalid-settings` when the file named cannot be read, or naming everything that is wrong in it. */
export function readBridgeFile(settings: BrokerSettings, named: string | undefined): BridgeFile {
  const path = named ?? (existsSync(DEFAULT_FILE) ? DEFAULT_FILE : undefined);
  if (path === undefined) return { path, config: defaultBridgeConfig(settings) };
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw new MillraceError(
      "invalid-settings",
      `Cannot read bridge configuration "${path}": ${describeError(cause)}, expected a readable file`,
      { cause },
    );
  }
  return { path, config: parseBridgeConfig(text, settings, path) };
}

/** `name (kind where)`, secrets masked. */
export function describeSource(config: SourceConfig): string {
  return `${config.name} (${[config.kind, maskUrls(placeOf(config))].filter(Boolean).join(" ")})`;
}

function placeOf(config: SourceConfig): string {
  if (config.kind === "framed-tcp") return config.address;
  if (config.kind !== "ibm-mq") return config.url;
  return `${config.queue} of ${config.queueManager} at ${describeAddress(config)}`;
}
