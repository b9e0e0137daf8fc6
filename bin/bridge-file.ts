/** Where the bridge's configuration comes from. */
import { existsSync, readFileSync } from "node:fs";
import {
  type BridgeConfig,
  defaultBridgeConfig,
  parseBridgeConfig,
  type SourceConfig,
} from "../bridge/config/config.ts";
import { type FramedTcpConfig, framedTcp } from "../bridge/config/framed-tcp.ts";
import type { BrokerSettings } from "../bridge/config/kind.ts";
import { describeAddress } from "../bridge/ibm-mq/connection.ts";
import { describeError, MillraceError } from "../functions/core/errors.ts";
import { parseCompanyId } from "../functions/core/ids.ts";
import { maskUrls } from "../functions/core/mask-urls.ts";
import { isEmbedded, isLoopback, type Settings } from "../functions/core/settings.ts";

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

/** Where readings go that nobody else will see; undefined: that cannot happen by these settings. */
export function loneReadings(
  settings: Pick<Settings, "REDIS_URL" | "UPSTASH_REDIS_REST_URL" | "MONGODB_URI">,
): string | undefined {
  if (isEmbedded(settings) || settings.MONGODB_URI !== undefined) return undefined;
  return "Readings of GPUs are kept in DATA_DIR of this machine alone, where no other machine sees them: set MONGODB_URI to keep them where all do";
}

/**
 * The companies of the demo. The first is whose rows of telemetry are that name no company, where nobody is asked for a token: in the demo of
 * `millrace up` nobody can write a rule. Where companies are kept apart, no row is given to one unasked.
 */
export const DEMO_COMPANIES = ["acme", "globex"].map(parseCompanyId);
/** What `millrace up` calls the source on its own broker, which no bridge.yaml names. */
export const EMBEDDED_SOURCE = "embedded";

/** Who `millrace up` lets in where the settings do not say: on this machine anybody. */
export function authModeOfUp({
  AUTH_MODE,
  HOST,
}: Pick<Settings, "AUTH_MODE" | "HOST">): NonNullable<Settings["AUTH_MODE"]> {
  return AUTH_MODE ?? (isLoopback(HOST) ? "none" : "jwt");
}

/** The source of `millrace up` on its own broker. In queue mode that keeps what is not acked. @param address `host:port`. */
export function embeddedSource(
  address: string,
  settings: Pick<Settings, "DELIVERY_MODE" | "AUTH_MODE" | "HOST">,
): FramedTcpConfig {
  const given = {
    kind: "framed-tcp",
    name: EMBEDDED_SOURCE,
    address,
    acks: settings.DELIVERY_MODE === "queue",
  };
  const { company, type, id, time, ...rest } = framedTcp.schema.parse(given);
  const config = framedTcp.complete({ ...rest, rules: { company, type, id, time } }, {});
  return authModeOfUp(settings) === "none" ? { ...config, rowCompany: DEMO_COMPANIES[0]! } : config;
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
