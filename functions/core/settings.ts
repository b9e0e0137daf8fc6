/**
 * Settings: a pure function of the environment that reports every problem at once. This table is the one place that knows a
 * variable's name, default and meaning; the README's table and `millrace check` are made from it. Entries alone touch the real
 * environment.
 */
import * as z from "zod";
import { MillraceError } from "./errors.ts";

const integer = (min: number, max: number, fallback: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `expected a whole number from ${min} to ${max}`)
    .default(fallback);

const flag = (fallback: boolean) =>
  z
    .enum(["true", "false"], "expected true or false")
    .transform((text) => text === "true")
    .default(fallback);

const url = (...protocols: string[]) =>
  z
    .string()
    .refine(
      (text) => URL.canParse(text) && protocols.includes(new URL(text).protocol),
      `expected a URL of ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
    )
    .optional();

const address = z
  .string()
  .regex(/^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, "expected host:port")
  .optional();

const list = z
  .string()
  .transform((text) =>
    text
      .split(",")
      .map((item) => item.trim())
      .filter(Boolean),
  )
  .default([]);

const origins = list.refine(
  (items) =>
    items.every((item) => !item.includes("*") && URL.canParse(item) && new URL(item).origin === item),
  "expected exact origins such as https://app.example.com, separated by commas (never *)",
);

const timezone = z
  .string()
  .refine((zone) => {
    try {
      return new Intl.DateTimeFormat("en", { timeZone: zone }) !== undefined;
    } catch {
      return false;
    }
  }, "expected an IANA time zone such as Asia/Karachi")
  .default("Asia/Karachi");

const TABLE = z.object({
  PORT: integer(0, 65_535, 8787).describe("HTTP port; 0 takes a free one"),
  HOST: z
    .string()
    .min(1)
    .default("127.0.0.1")
    .describe("address listened on: HTTP, and the broker of up and broker"),
  BRIDGE_PORT: integer(0, 65_535, 8788).describe(
    "HTTP port of bridge: probes and metrics; 0 takes a free one",
  ),
  STREAMING_ENABLED: flag(true).describe("false: stream routes refuse, health says so"),
  REDIS_URL: url("redis:", "rediss:").describe(
    "Redis of the event log and of the services' channels; unset: embedded log in DATA_DIR",
  ),
  UPSTASH_REDIS_REST_URL: url("http:", "https:").describe(
    "Redis of the event log over REST, for edge runtimes; REDIS_URL wins where it can be used",
  ),
  UPSTASH_REDIS_REST_TOKEN: z
    .string()
    .min(1)
    .optional()
    .describe(
      "token of UPSTASH_REDIS_REST_URL; redis-rest: who has it may read and write, at least 32 characters",
    ),
  UPSTASH_REDIS_REST_READONLY_TOKEN: z
    .string()
    .min(1)
    .optional()
    .describe("redis-rest: who has it may read, at least 32 characters"),
  REDIS_REST_PORT: integer(0, 65_535, 8079).describe("HTTP port of redis-rest; 0 takes a free one"),
  DATA_DIR: z
    .string()
    .min(1)
    .default(".millrace")
    .describe("folder of the embedded log, and of the readings where MONGODB_URI is unset"),
  NATS_URL: url("nats:", "tls:", "ws:", "wss:").describe("NATS server; turns the nats source on"),
  NATS_CREDS: z.string().min(1).optional().describe("NATS: path of a .creds file, for NATS_URL"),
  NATS_NKEY: z.string().min(1).optional().describe("NATS: path of a user's nkey seed, for NATS_URL"),
  NATS_TLS_CA: z
    .string()
    .min(1)
    .optional()
    .describe("NATS: path of the authority's certificate, for NATS_URL"),
  AMQP_URL: url("amqp:", "amqps:").describe("RabbitMQ server; turns the rabbitmq source on"),
  BROKER_ADDR: address.describe("framed-TCP broker, host:port; turns the framed-tcp source on"),
  MQ_HOST: z.string().min(1).optional().describe("IBM MQ server; turns the ibm-mq sources on"),
  MQ_PORT: integer(1, 65_535, 1414).describe("IBM MQ: port of the listener"),
  MQ_QMGR: z
    .string()
    .regex(/^[A-Za-z0-9._/%]{1,48}$/, "expected 1-48 characters of A-Z a-z 0-9 . _ / %")
    .default("QM1")
    .describe("IBM MQ: queue manager"),
  MQ_CHANNEL: z
    .string()
    .regex(/^[A-Za-z0-9._/%]{1,20}$/, "expected 1-20 characters of A-Z a-z 0-9 . _ / %")
    .default("DEV.APP.SVRCONN")
    .describe("IBM MQ: server-connection channel"),
  MQ_USER: z.string().min(1).default("app").describe("IBM MQ: user"),
  MQ_PASSWORD: z.string().min(1).optional().describe("IBM MQ: password of the user"),
  MQ_CCDT: z
    .string()
    .min(1)
    .optional()
    .describe("IBM MQ: client channel definition table, a path or URL; instead of MQ_HOST and MQ_CHANNEL"),
  MQ_TLS_CIPHER: z
    .string()
    .min(1)
    .optional()
    .describe("IBM MQ: cipher of the channel, such as ANY_TLS12_OR_HIGHER"),
  MQ_TLS_KEY_REPOSITORY: z.string().min(1).optional().describe("IBM MQ: path of the key repository"),
  MQ_TLS_KEY_PASSWORD: z.string().min(1).optional().describe("IBM MQ: password of the key repository"),
  DELIVERY_MODE: z
    .enum(["broadcast", "queue"], "expected broadcast or queue")
    .default("broadcast")
    .describe("broker: every consumer gets every message, or each message goes to one"),
  TCP_PORT: integer(0, 65_535, 9080).describe("broker: framed-TCP port"),
  HTTP_PORT: integer(0, 65_535, 8080).describe("broker: HTTP health port"),
  MAX_CONSUMERS: integer(1, 10_000, 10).describe("broker: consumers connected at once"),
  CONSUMER_CHANNEL_BUFFER_SIZE: integer(1, 1_000_000, 10_000).describe(
    "broker: messages buffered a consumer (queue mode: in all)",
  ),
  MONGODB_URI: z
    .string()
    .regex(/^mongodb(\+srv)?:\/\/\S+$/, "expected a URL of mongodb:// or mongodb+srv://")
    .optional()
    .describe("MongoDB of the telemetry store; unset: embedded in DATA_DIR"),
  MONGODB_DATABASE: z
    .string()
    .regex(/^[^/\\. "$*<>:|?\0]{1,63}$/, 'expected 1-63 characters without / \\ . " $ * < > : | ? and blanks')
    .default("message_streaming")
    .describe("MongoDB: database"),
  MONGO_COLLECTION: z
    .string()
    .regex(/^(?!system\.)[A-Za-z_][A-Za-z0-9._-]{0,99}$/, "expected 1-100 characters of A-Z a-z 0-9 . _ -")
    .default("metrics")
    .describe("MongoDB: collection of the readings; further ones begin with its name"),
  TELEMETRY_RETENTION_MS: integer(3_600_000, 31_536_000_000, 2_592_000_000).describe(
    "how long readings are kept, by their own time or when they were last written, whichever is later",
  ),
  AUTH_TOKEN: z
    .string()
    .min(1)
    .optional()
    .describe("bearer token of the metrics API, for every company's GPUs; unset: the API asks nobody"),
  DEFAULT_PAGE_SIZE: integer(1, 1_000, 100).describe("metrics API: items of a page, unless limit says so"),
  CSV_PATH: z.string().min(1).optional().describe("CSV file of the csv producer"),
  AUTH_MODE: z
    .enum(["jwt", "none"], "expected jwt or none")
    .optional()
    .describe("jwt; none only under npm start on a loopback host, where it is the default"),
  JWT_SECRET: z
    .string()
    .min(32, "expected at least 32 characters (RFC 7518 section 3.2)")
    .optional()
    .describe("HS256 key, at least 32 characters"),
  JWKS_URL: url("http:", "https:").describe("public keys for RS256, ES256, EdDSA"),
  JWT_ISSUER: z.string().min(1).optional().describe("expected iss"),
  JWT_AUDIENCE: z.string().min(1).optional().describe("expected aud"),
  HEARTBEAT_MS: integer(100, 600_000, 15_000).describe("longest silence of a stream before a comment frame"),
  MAX_CONNECTION_AGE_MS: integer(0, 86_400_000, 0).describe("then a jittered retry: and close; 0: never"),
  IDLE_TIMEOUT_MS: integer(100, 86_400_000, 900_000).describe(
    "a client to which no byte could be written for this long is closed",
  ),
  DRAIN_MS: integer(0, 600_000, 5_000).describe("on shutdown, streams are closed over this period"),
  REPLAY_RETENTION_MS: integer(1_000, 31_536_000_000, 86_400_000).describe("how long events stay in the log"),
  CONNECTION_BUFFER_EVENTS: integer(1, 100_000, 100).describe("events that may be in flight to one client"),
  STREAM_COMPRESSION: z
    .enum(["gzip", "off"], "expected gzip or off")
    .default("gzip")
    .describe("gzip: streams to clients that accept it are compressed, each batch once for all of them"),
  MAX_CONNECTIONS_PER_COMPANY: integer(1, 10_000_000, 10_000).describe("over it: busy"),
  CORS_ORIGINS: origins.describe("exact origins, separated by commas"),
  TODAY_TIMEZONE: timezone.describe("the day boundary of the counters"),
  LOG_LEVEL: z
    .enum(["debug", "info", "warn", "error"], "expected debug, info, warn or error")
    .default("info")
    .describe("least level logged"),
});

/** The effective settings, by the names of the environment variables. */
export type Settings = Readonly<z.output<typeof TABLE>>;
/** An environment: what `process.env`, `Deno.env.toObject()` and a Worker's bindings have in common. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param found what is wrong with the environment already: it is named with the rest.
 * @throws MillraceError `invalid-settings` naming every variable that is wrong and what is expected; no value, as it may be a secret.
 */
export function readSettings(env: Environment, found: readonly string[] = []): Settings {
  const set = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ""),
  );
  const result = TABLE.safeParse(set);
  const problems = [...found];
  if (!result.success) {
    problems.push(...result.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`));
  } else if (found.length === 0) {
    // What could not be read would be missed here once more.
    problems.push(
      ...[...authProblems(result.data), ...natsProblems(result.data), ...restProblems(result.data)],
    );
  }
  if (!result.success || problems.length > 0) {
    throw new MillraceError("invalid-settings", `Cannot use the settings:\n  ${problems.join("\n  ")}`);
  }
  return result.data;
}

function authProblems(settings: Settings): string[] {
  const problems: string[] = [];
  if (settings.AUTH_MODE === "none" && !isLoopback(settings.HOST)) {
    problems.push(
      `AUTH_MODE: none on the public host ${settings.HOST} would show every company's events to anyone, expected jwt`,
    );
  }
  if (settings.JWT_SECRET && settings.JWKS_URL)
    problems.push("JWT_SECRET, JWKS_URL: expected one of them, not both");
  return problems;
}

function natsProblems({ NATS_URL, NATS_CREDS, NATS_NKEY, NATS_TLS_CA }: Settings): string[] {
  const ways = [
    ...(NATS_URL !== undefined && new URL(NATS_URL).username !== "" ? ["NATS_URL (its user)"] : []),
    ...(NATS_CREDS === undefined ? [] : ["NATS_CREDS"]),
    ...(NATS_NKEY === undefined ? [] : ["NATS_NKEY"]),
  ];
  return [
    ...(ways.length > 1 ? [`${ways.join(", ")}: expected one of them`] : []),
    ...(NATS_TLS_CA !== undefined && /^wss?:/.test(NATS_URL ?? "")
      ? ["NATS_TLS_CA: is for nats:// and tls://, expected NODE_EXTRA_CA_CERTS instead for wss://"]
      : []),
  ];
}

function restProblems(settings: Settings): string[] {
  const { REDIS_URL, UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token } = settings;
  if (url !== undefined) {
    const { username, password, search, hash } = new URL(url);
    if (username + password + search + hash !== "")
      return [
        "UPSTASH_REDIS_REST_URL: expected no user, query or fragment: the token has a variable of its own",
      ];
    return token === undefined
      ? ["UPSTASH_REDIS_REST_TOKEN: expected the token of UPSTASH_REDIS_REST_URL"]
      : [];
  }
  // With REDIS_URL it is the token that redis-rest asks for.
  return token === undefined || REDIS_URL !== undefined
    ? []
    : ["UPSTASH_REDIS_REST_TOKEN: expected UPSTASH_REDIS_REST_URL with it, or REDIS_URL for redis-rest"];
}

/** Whether these settings keep the store in DATA_DIR: no Redis is named, over RESP or REST. */
export function isEmbedded({
  REDIS_URL,
  UPSTASH_REDIS_REST_URL,
}: Pick<Settings, "REDIS_URL" | "UPSTASH_REDIS_REST_URL">): boolean {
  return REDIS_URL === undefined && UPSTASH_REDIS_REST_URL === undefined;
}

/** Whether only this machine can reach the host. */
export function isLoopback(host: string): boolean {
  return (
    host === "localhost" ||
    host === "::1" ||
    host === "[::1]" ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
  );
}

/** One row a variable: name, default, meaning. For the README and `--help`. */
export function settingsTable(): { name: string; fallback: string; meaning: string }[] {
  const defaults = TABLE.parse({}) as Record<string, unknown>;
  return Object.entries(TABLE.shape).map(([name, schema]) => {
    const fallback = defaults[name];
    const shown =
      fallback === undefined || (Array.isArray(fallback) && fallback.length === 0) ? "-" : String(fallback);
    return { name, fallback: shown, meaning: schema.description ?? "" };
  });
}
