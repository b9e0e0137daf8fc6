/** `millrace doctor`: looks at everything the settings name, as it is now, and says what to do about what is wrong. */
import { accessSync, constants, existsSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Command } from "commander";
import type { SourceConfig, SourceConfigs } from "../../bridge/config/config.ts";
import { probeFramedTcp } from "../../bridge/probes/framed-tcp.ts";
import { probeIbmMq } from "../../bridge/probes/ibm-mq.ts";
import { probeNats } from "../../bridge/probes/nats.ts";
import { probeRabbitMq } from "../../bridge/probes/rabbitmq.ts";
import { probeRedisPubSub } from "../../bridge/probes/redis-pubsub.ts";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { readSettings, type Settings } from "../../functions/core/settings.ts";
import { maskUrls } from "../../functions/runtimes/node/logger.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { describeSource, readBridgeFile } from "../bridge-file.ts";
import { helpSettings, holdsStore, type SettingName, SOURCE_SETTINGS, SOURCE_SWITCHES } from "../context.ts";

/** Milliseconds one probe may take. */
const PROBE_MS = 5_000;
/** What a probe would log is in its finding. */
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

interface DoctorOptions {
  /** Path of bridge.yaml. */
  readonly config?: string;
  /** Origin of a running server, or of the proxy before it. */
  readonly url?: string;
}

interface Probe {
  readonly what: string;
  /** What to do when it does not answer, or fails in a way that says nothing of it. */
  readonly next: string;
  /** Resolves with what was found, rejects with what is wrong. */
  run(signal: AbortSignal): Promise<string> | string;
}

interface Finding {
  readonly isWell: boolean;
  readonly what: string;
  readonly text: string;
}

/**
 * Prints one line a finding, and one for all that fail alike. Resolves with whether all is well.
 * @throws MillraceError `invalid-settings` before anything is probed.
 */
async function runDoctor(
  settings: Settings,
  { config, url }: DoctorOptions,
  print: (line: string) => void,
): Promise<boolean> {
  const { sources } = readBridgeFile(settings, config).config;
  const probes = [
    settings.REDIS_URL === undefined ? dataDir(settings.DATA_DIR) : redis(settings.REDIS_URL),
    ...sources.filter(({ enabled }) => enabled).map(source),
    ...(settings.JWKS_URL === undefined ? [] : [jwks(settings.JWKS_URL)]),
    ...(url === undefined ? [] : [origin(url, "/healthz"), origin(url, "/ready")]),
  ];
  const findings = await Promise.all(probes.map(examine));
  for (const { isWell, what, text } of merged(findings)) {
    print(maskUrls(`${isWell ? "ok    " : "FAIL  "}${what}: ${text}`));
  }
  for (const config of sources.filter(({ enabled }) => !enabled)) {
    print(`note  source ${describeSource(config)}: off`);
  }
  if (sources.length === 0)
    print(`note  no broker: ${SOURCE_SWITCHES.join(", ")} are unset; npm start brings its own`);
  return findings.every(({ isWell }) => isWell);
}

/** What fails alike, at the place of the first: most often one thing is wrong, such as the address that several sources share. */
function merged(findings: readonly Finding[]): Finding[] {
  const groups = Map.groupBy(findings, ({ isWell, what, text }) => (isWell ? what : text));
  return [...groups.values()].map((group) => ({
    ...group[0]!,
    what: group.map(({ what }) => what).join(", "),
  }));
}

async function examine({ what, next, run }: Probe): Promise<Finding> {
  const timeout = Promise.withResolvers<never>();
  const signal = AbortSignal.timeout(PROBE_MS);
  const onLate = () => timeout.reject(new Error(`no answer in ${PROBE_MS / 1000} s`));
  signal.addEventListener("abort", onLate);
  // The timer of AbortSignal.timeout does not keep the process alive; what is probed may not either.
  const alive = setTimeout(() => {}, PROBE_MS + 100);
  try {
    const found = await Promise.race([run(signal), timeout.promise]);
    return { isWell: true, what, text: found };
  } catch (error) {
    const isSaid = error instanceof MillraceError && !error.retryable;
    const text = `${oneLine(reasonOf(error))}${isSaid ? "" : `. Next: ${next}`}`;
    return { isWell: false, what, text };
  } finally {
    clearTimeout(alive);
    signal.removeEventListener("abort", onLate);
  }
}

function redis(url: string): Probe {
  return {
    what: `Redis ${url}`,
    next: "start Redis 7 or newer there, or correct REDIS_URL (without it the log is kept in DATA_DIR)",
    async run() {
      await using connection = await connectRedis(url, silent);
      const info = String(await connection.command(["INFO"]));
      const value = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "?";
      const policy = value("maxmemory_policy");
      if (policy !== "noeviction") {
        throw new Error(`maxmemory-policy is ${policy}, which drops events unasked, expected noeviction`);
      }
      const isDurable = value("aof_enabled") === "1";
      return `answers, version ${value("redis_version")}${isDurable ? "" : "; appendonly is off, so a crash of Redis loses events"}`;
    },
  };
}

function dataDir(folder: string): Probe {
  return {
    what: `DATA_DIR ${folder}`,
    next: "give this user the right to write there, or set DATA_DIR to another folder",
    run() {
      const path = resolve(folder);
      if (!existsSync(path)) {
        let parent = dirname(path);
        while (!existsSync(parent)) parent = dirname(parent);
        accessSync(parent, constants.W_OK);
        return "not there yet, will be made";
      }
      const probe = join(path, `.doctor-${process.pid}`);
      writeFileSync(probe, "");
      rmSync(probe);
      if (!holdsStore(path)) return "writable, no log yet";
      using _database = openSqliteDatabase({ folder, logger: silent });
      return "writable, holds a log";
    },
  };
}

type ProbeOf<Config> = (config: Config, signal: AbortSignal) => Promise<string>;
/** What each kind of source is asked. */
const SOURCES: {
  readonly [Kind in keyof SourceConfigs]: {
    readonly setting: SettingName;
    readonly run: ProbeOf<SourceConfigs[Kind]>;
  };
} = {
  nats: { setting: "NATS_URL", run: probeNats },
  rabbitmq: { setting: "AMQP_URL", run: probeRabbitMq },
  "framed-tcp": { setting: "BROKER_ADDR", run: probeFramedTcp },
  "redis-pubsub": { setting: "REDIS_URL", run: probeRedisPubSub },
  "ibm-mq": { setting: "MQ_HOST", run: probeIbmMq },
};

function source(config: SourceConfig): Probe {
  const { setting, run } = SOURCES[config.kind];
  return {
    what: `source ${describeSource(config)}`,
    next: `start it there, or correct ${setting} or the source in bridge.yaml`,
    // The map's type has tied each kind to its config; the compiler cannot follow that through an index.
    run: (signal) => (run as ProbeOf<SourceConfig>)(config, signal),
  };
}

function jwks(url: string): Probe {
  return {
    what: `JWKS_URL ${url}`,
    next: "correct JWKS_URL: it is the jwks_uri of the issuer's /.well-known/openid-configuration",
    async run(signal) {
      const response = await fetch(url, { signal });
      if (!response.ok) throw new Error(`answers ${response.status}, expected 200`);
      const { keys } = (await response.json()) as { keys?: unknown };
      if (!Array.isArray(keys) || keys.length === 0) throw new Error("no keys, expected a JSON Web Key Set");
      return `answers, ${keys.length} ${keys.length === 1 ? "key" : "keys"}`;
    },
  };
}

function origin(url: string, path: string): Probe {
  return {
    what: `${url}${path}`,
    next:
      path === "/ready"
        ? "repair what it says, or look at the server's log: it may be shutting down"
        : "start it (npm start, or npx millrace serve), or correct the URL or what the proxy passes on",
    async run(signal) {
      const response = await fetch(new URL(path, url), { signal, redirect: "manual" });
      const text = await response.text();
      if (!response.ok) throw new Error(`answers ${response.status}${saidIn(text)}, expected 200`);
      return "answers";
    },
  };
}

/** Why a server says that it is not ready; empty when the text is none of ours. */
function saidIn(text: string): string {
  let answer: { message?: unknown; sources?: { name: string; reason?: string }[] };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    return "";
  }
  if (typeof answer?.message !== "string") return "";
  const reasons = Array.isArray(answer.sources) ? answer.sources.filter(({ reason }) => reason) : [];
  const said = [answer.message, ...reasons.map(({ name, reason }) => `${name}: ${reason}`)];
  return ` (${said.join("; ")})`;
}

/** What lies under an error: fetch and connect wrap what the system said. */
function reasonOf(error: unknown): string {
  if (error instanceof MillraceError || !(error instanceof Error)) return describeError(error);
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0]);
  return error.cause === undefined ? describeError(error) : reasonOf(error.cause);
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}

export function addDoctorCommand(program: Command): void {
  const command = program
    .command("doctor")
    .description("probe what the settings name - store, brokers, keys - and say what is wrong")
    .argument("[url]", "origin of a running server or its proxy, such as http://127.0.0.1:8787")
    .option("--config <file>", "sources (default: bridge.yaml here, if there is one)")
    .action(async (url: string | undefined, options: { config?: string }) => {
      if (url !== undefined && !/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
        throw new MillraceError(
          "invalid-input",
          `Cannot probe "${url}": expected an http:// or https:// URL`,
        );
      }
      const isWell = await runDoctor(
        readSettings(process.env),
        { ...options, ...(url === undefined ? {} : { url }) },
        (line) => console.log(line),
      );
      if (!isWell) process.exitCode = 1;
    });
  helpSettings(command, ["REDIS_URL", "DATA_DIR", "JWKS_URL", ...SOURCE_SETTINGS]);
}
