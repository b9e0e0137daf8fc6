/** What the settings name: the store, the brokers, the keys. */
import { accessSync, constants, existsSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { SourceConfig, SourceConfigs } from "../../bridge/config/config.ts";
import { probeFramedTcp } from "../../bridge/probes/framed-tcp.ts";
import { probeIbmMq } from "../../bridge/probes/ibm-mq.ts";
import { probeNats } from "../../bridge/probes/nats.ts";
import { probeRabbitMq } from "../../bridge/probes/rabbitmq.ts";
import { probeRedisPubSub } from "../../bridge/probes/redis-pubsub.ts";
import { connectRedisRest } from "../../functions/adapters/redis-connection-rest.ts";
import type { Logger } from "../../functions/core/logger.ts";
import type { Settings } from "../../functions/core/settings.ts";
import { connectRedis } from "../../functions/runtimes/node/redis-resp.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { describeSource } from "../bridge-file.ts";
import { holdsStore, type SettingName } from "../context.ts";
import type { Probe } from "./examine.ts";

/** What a probe would log is in its finding. */
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export function settingsProbes(settings: Settings, sources: readonly SourceConfig[]): Probe[] {
  return [
    store(settings),
    ...(settings.MONGODB_URI === undefined ? [] : [mongoDb(settings, settings.MONGODB_URI)]),
    ...sources.filter(({ enabled }) => enabled).map(source),
    ...(settings.JWKS_URL === undefined ? [] : [jwks(settings.JWKS_URL)]),
  ];
}

function store(settings: Settings): Probe {
  const { REDIS_URL, UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token } = settings;
  if (REDIS_URL !== undefined) return redis(REDIS_URL);
  return url !== undefined && token !== undefined ? redisRest(url, token) : dataDir(settings.DATA_DIR);
}

/** Milliseconds: the driver itself gives up after 5 s, and then says why. */
const MONGODB_MS = 8_000;

function mongoDb(settings: Settings, uri: string): Probe {
  return {
    // Without who comes and how: a password that was not encoded may hold any character.
    what: `MongoDB ${uri.replace(/:\/\/.*@/, "://***@").replace(/\?.*/, "")}`,
    next: "start it there, or correct MONGODB_URI (without it readings are kept in DATA_DIR)",
    limitMs: MONGODB_MS,
    async run() {
      // The driver takes its time to load, and most have no MongoDB.
      const { askMongoDb } = await import("./mongodb.ts");
      return askMongoDb(uri, settings);
    },
  };
}

function redisRest(url: string, token: string): Probe {
  return {
    what: `Redis over REST ${url}`,
    next: "start millrace redis-rest there, or correct UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN",
    async run() {
      await using connection = connectRedisRest({ url, token, logger: silent });
      // What every read and append is: a token that may only read is let in, and may run none.
      await connection.script("return 1", [], []);
      return "answers, and runs scripts";
    },
  };
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
