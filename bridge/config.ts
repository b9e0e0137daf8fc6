/**
 * bridge.yaml: which sources the bridge reads, and how a message becomes an event (decode.ts). Checked whole before anything starts.
 * infra/bridge.example.yaml shows every key.
 */
import { z } from "zod";
import { MillraceError } from "../functions/core/errors.ts";
import { isCompanyId, isEventType } from "../functions/core/ids.ts";
import type { Settings } from "../functions/core/settings.ts";
import { crossProblems, type Problem } from "./config-checks.ts";
import { readYaml } from "./config-yaml.ts";
import type { DecodeRules } from "./decode.ts";
import type { Locator } from "./locator.ts";

/** The settings that name a broker. */
export type BrokerSettings = Pick<Settings, "NATS_URL" | "BROKER_ADDR">;

interface CommonConfig {
  /** Unique; in the events' `source`, in logs and in metric labels. */
  readonly name: string;
  readonly enabled: boolean;
  readonly rules: DecodeRules;
}

/** Core subscriptions, or with `jetstream` a durable pull consumer. */
interface NatsConfig extends CommonConfig {
  readonly kind: "nats";
  /** With the credentials: never log it. */
  readonly url: string;
  /** Of a consumer: its filter, empty for the whole stream. */
  readonly subjects: readonly string[];
  /** Queue group of core subscriptions. */
  readonly queue: string | undefined;
  /** Messages a core subscription holds before it drops. */
  readonly maxPending: number;
  readonly jetstream: JetStreamConfig | undefined;
}

interface JetStreamConfig {
  readonly stream: string;
  readonly durable: string;
  readonly deliver: "all" | "new";
  readonly ackWaitMs: number;
  readonly maxAckPending: number;
  /** Messages taken and not acked. Times the largest message, this is the source's memory. */
  readonly prefetch: number;
}

interface FramedTcpConfig extends CommonConfig {
  readonly kind: "framed-tcp";
  /** `host:port`. */
  readonly address: string;
  /** Messages taken and not stored. */
  readonly prefetch: number;
}

/** The config of each kind. */
export interface SourceConfigs {
  readonly nats: NatsConfig;
  readonly "framed-tcp": FramedTcpConfig;
}
export type SourceConfig = SourceConfigs[keyof SourceConfigs];

export interface BridgeConfig {
  readonly sources: readonly SourceConfig[];
}

const SUBJECTS = ["metrics.*", "journey.*", "q2q.*"];
const SUBJECT = /^(>|([^\s.*>]+|\*)(\.([^\s.*>]+|\*))*(\.>)?)$/;

const text = (pattern: RegExp, expected: string) =>
  z.string(`expected ${expected}`).regex(pattern, `expected ${expected}`);
const whole = (min: number, max: number) => {
  const message = `expected a whole number from ${min} to ${max}`;
  return z.int(message).min(min, message).max(max, message);
};
/** One or several. */
const listOf = <Item extends z.ZodType>(item: Item) =>
  z.preprocess(
    (input) => (input === undefined || Array.isArray(input) ? input : [input]),
    z.array(item).min(1, "expected at least one").optional(),
  );
/** A locator of exactly one of the given keys. */
const locator = (shape: z.ZodRawShape) => {
  const message = `expected exactly one of ${Object.keys(shape).join(", ")}`;
  return z
    .strictObject(shape, { error: ({ code }) => (code === "invalid_type" ? message : undefined) })
    .refine((given) => Object.keys(given).length === 1, message)
    .transform((given) => given as unknown as Locator);
};

const field = { field: text(/^[^.]+(\.[^.]+)*$/, "names joined by dots").optional() };
const header = { header: text(/^[!-9;-~]{1,128}$/, "the name of a header").optional() };
const subjectToken = { subjectToken: whole(1, 64).optional() };
const company = {
  value: z.custom<string>(isCompanyId, "expected 1-64 characters of A-Z a-z 0-9 . _ -").optional(),
};
const type = {
  value: z.custom<string>(isEventType, "expected 1-64 characters of a-z 0-9 . _ -").optional(),
};
const idRule = (shape: z.ZodRawShape) => {
  const keys = Object.keys(shape).join(", ");
  return listOf(
    z.union([z.enum(["content", "random"]), locator(shape)], {
      error: `expected content, random, or exactly one of ${keys}`,
    }),
  );
};

const common = {
  name: text(/^[A-Za-z0-9._-]{1,64}$/, "1-64 characters of A-Z a-z 0-9 . _ -"),
  enabled: z.boolean("expected true or false").default(true),
};

const NATS = z.strictObject({
  kind: z.literal("nats"),
  ...common,
  url: z
    .string("expected a URL")
    .refine(
      (url) => URL.canParse(url) && ["nats:", "tls:", "ws:", "wss:"].includes(new URL(url).protocol),
      "expected a URL of nats://, tls://, ws:// or wss://",
    )
    .optional(),
  subjects: listOf(text(SUBJECT, "a NATS subject such as metrics.*")),
  queue: text(/^[^\s.*>]{1,128}$/, "the name of a queue group").optional(),
  maxPending: whole(1, 1_000_000).optional(),
  jetstream: z
    .strictObject({
      stream: text(/^[^\s.*>/\\]{1,255}$/, "the name of a stream"),
      durable: text(/^[^\s.*>/\\]{1,255}$/, "the name of a consumer"),
      deliver: z.enum(["all", "new"], "expected all or new").default("all"),
      ackWaitMs: whole(1000, 3_600_000).default(10_000),
      maxAckPending: whole(1, 1_000_000).default(1000),
      prefetch: whole(1, 10_000).default(1000),
    })
    .optional(),
  company: listOf(locator({ ...header, ...field, ...subjectToken, ...company })),
  type: listOf(locator({ ...header, ...field, ...subjectToken, ...type })),
  id: idRule({ ...header, ...field, ...subjectToken }),
  time: listOf(locator({ ...header, ...field })),
});

const FRAMED_TCP = z.strictObject({
  kind: z.literal("framed-tcp"),
  ...common,
  address: text(/^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):\d{1,5}$/, "host:port").optional(),
  prefetch: whole(1, 10_000).default(1000),
  // The protocol has neither headers nor subjects.
  company: listOf(locator({ ...field, ...company })),
  type: listOf(locator({ ...field, ...type })),
  id: idRule(field),
  time: listOf(locator(field)),
});

const FILE = z.strictObject({
  sources: z.array(
    z.discriminatedUnion("kind", [NATS, FRAMED_TCP], {
      error: "expected a source of kind nats or framed-tcp",
    }),
    "expected a list of sources",
  ),
});

type Given = z.output<typeof FILE>["sources"][number];

/** Without a bridge.yaml: a source for each broker that the settings name. */
export function defaultBridgeConfig(settings: BrokerSettings): BridgeConfig {
  return { sources: defaultSources(settings, []).map((given) => complete(given, settings)) };
}

/**
 * What the file says, and the default source of each broker that the settings name and the file does not mention (a source is on
 * when its address is set or bridge.yaml names it; `enabled: false` turns it off).
 * @throws MillraceError `invalid-settings` naming every problem, each with its line and path, and no value.
 */
export function parseBridgeConfig(yamlText: string, settings: BrokerSettings): BridgeConfig {
  const file = readYaml(yamlText);
  if (file.syntaxErrors.length > 0) throw refuse(file.syntaxErrors);
  const result = FILE.safeParse(file.value);
  const found = result.success ? [] : result.error.issues.flatMap(problemsOf);
  const problems = [...found, ...crossProblems(file.value, settings)];
  if (!result.success || problems.length > 0) {
    throw refuse(problems.map(({ path, message }) => `${file.locate(path)}: ${message}`));
  }
  const given = result.data.sources;
  return {
    sources: [...given, ...defaultSources(settings, given)].map((source) => complete(source, settings)),
  };
}

function defaultSources(settings: BrokerSettings, given: readonly Given[]): Given[] {
  const addresses = { nats: settings.NATS_URL, "framed-tcp": settings.BROKER_ADDR };
  return FILE.parse({
    sources: (["nats", "framed-tcp"] as const)
      .filter((kind) => addresses[kind] && !given.some((source) => source.kind === kind))
      .map((kind) => ({ kind, name: kind })),
  }).sources;
}

function complete(given: Given, settings: BrokerSettings): SourceConfig {
  const { company, type, id, time, ...rest } = given;
  const rules = { company, type, id, time };
  if (rest.kind === "framed-tcp") {
    return { ...rest, rules, address: rest.address ?? settings.BROKER_ADDR ?? "" };
  }
  return {
    ...rest,
    rules,
    url: rest.url ?? settings.NATS_URL ?? "",
    subjects: rest.subjects ?? (rest.jetstream ? [] : SUBJECTS),
    queue: rest.queue,
    maxPending: rest.maxPending ?? 50_000,
    jetstream: rest.jetstream,
  };
}

function problemsOf(issue: z.core.$ZodIssue): Problem[] {
  if (issue.code !== "unrecognized_keys") {
    return [{ path: issue.path, message: issue.message.replace(/^Invalid input: /, "") }];
  }
  return issue.keys.map((key) => ({
    path: [...issue.path, key],
    message: "unknown, expected a key of this place",
  }));
}

function refuse(problems: readonly string[]): MillraceError {
  return new MillraceError("invalid-settings", `Cannot use bridge.yaml:\n  ${problems.join("\n  ")}`);
}
