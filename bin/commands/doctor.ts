/** `millrace doctor`: looks at everything the settings name, as it is now, and says what to do about what is wrong. */
import { accessSync, constants, existsSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import type { Command } from "commander";
import { connectProducer } from "../../bridge/broker/client.ts";
import type { SourceConfig } from "../../bridge/config/config.ts";
import { closeNats, connectNats } from "../../bridge/nats-connection.ts";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { readSettings, type Settings } from "../../functions/core/settings.ts";
import { maskUrls } from "../../functions/runtimes/node/logger.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { readBridgeFile } from "../bridge-file.ts";
import { helpSettings } from "../context.ts";

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
  /** What to do when it fails. */
  readonly next: string;
  /** Resolves with what was found, rejects with what is wrong. */
  run(signal: AbortSignal): Promise<string> | string;
}

/**
 * Prints one line a finding. Resolves with whether all is well.
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
  for (const { line } of findings) print(line);
  if (sources.length === 0)
    print("note  no broker: NATS_URL and BROKER_ADDR are unset; npm start brings its own");
  return findings.every(({ isWell }) => isWell);
}

async function examine({ what, next, run }: Probe): Promise<{ isWell: boolean; line: string }> {
  const timeout = Promise.withResolvers<never>();
  const signal = AbortSignal.timeout(PROBE_MS);
  const onLate = () => timeout.reject(new Error(`no answer in ${PROBE_MS / 1000} s`));
  signal.addEventListener("abort", onLate);
  // The timer of AbortSignal.timeout does not keep the process alive; what is probed may not either.
  const alive = setTimeout(() => {}, PROBE_MS + 100);
  try {
    const found = await Promise.race([run(signal), timeout.promise]);
    return { isWell: true, line: `ok    ${maskUrls(`${what}: ${found}`)}` };
  } catch (error) {
    return {
      isWell: false,
      line: `FAIL  ${maskUrls(`${what}: ${oneLine(reasonOf(error))}`)}. Next: ${next}`,
    };
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
      if (!existsSync(join(path, "millrace.db"))) return "writable, no log yet";
      using _database = openSqliteDatabase({ folder, logger: silent });
      return "writable, holds a log";
    },
  };
}

function source(config: SourceConfig): Probe {
  if (config.kind === "framed-tcp") {
    return {
      what: `source ${config.name}, framed-TCP broker ${config.address}`,
      next: "start it (npx millrace broker), or correct BROKER_ADDR or the source's address",
      async run() {
        const colon = config.address.lastIndexOf(":");
        const host = config.address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
        // As a producer, which takes nothing from anyone.
        const client = await connectProducer({ host, port: Number(config.address.slice(colon + 1)) });
        await client.close();
        return "answers";
      },
    };
  }
  return {
    what: `source ${config.name}, NATS ${config.url}`,
    next: "start nats-server there, or correct NATS_URL or the source's url",
    async run(signal) {
      const connection = await connectNats(config.url, "millrace doctor", signal);
      if (connection === undefined) throw new Error("no answer");
      try {
        const { version, jetstream } = connection.info ?? {};
        if (config.jetstream === undefined) return `answers, version ${version}`;
        if (jetstream !== true) throw new Error("JetStream is off, expected it on (nats-server -js)");
        const { stream } = config.jetstream;
        const { streams } = await jetstreamManager(connection, { checkAPI: false });
        const { state } = await streams.info(stream).catch((error: unknown) => {
          throw new Error(`stream "${stream}": ${describeError(error)}, expected it to be there`);
        });
        return `answers, version ${version}; stream "${stream}" holds ${state.messages} messages`;
      } finally {
        await closeNats(connection);
      }
    },
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
        ? "look at the server's log: its event log does not answer, or it is shutting down"
        : "start it (npm start, or npx millrace serve), or correct the URL or what the proxy passes on",
    async run(signal) {
      const response = await fetch(new URL(path, url), { signal, redirect: "manual" });
      await response.body?.cancel();
      if (!response.ok) throw new Error(`answers ${response.status}, expected 200`);
      return "answers";
    },
  };
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
  helpSettings(command, ["REDIS_URL", "DATA_DIR", "NATS_URL", "BROKER_ADDR", "JWKS_URL"]);
}
