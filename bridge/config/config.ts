/**
 * bridge.yaml: which sources the bridge reads, and how a message becomes an event (decode.ts). Checked whole before anything starts.
 * infra/bridge.example.yaml shows every key.
 */
import { z } from "zod";
import { MillraceError } from "../../functions/core/errors.ts";
import { crossProblems } from "./cross-checks.ts";
import { type FramedTcpConfig, framedTcp } from "./framed-tcp.ts";
import { type IbmMqConfig, ibmMq } from "./ibm-mq.ts";
import type { BrokerSettings, Problem, RuleKey, SourceKind, Unchecked } from "./kind.ts";
import { type NatsConfig, nats } from "./nats.ts";
import { type RabbitMqConfig, rabbitMq } from "./rabbitmq.ts";
import { type RedisPubSubConfig, redisPubSub } from "./redis-pubsub.ts";
import { oneOf } from "./rules.ts";
import { readYaml } from "./yaml.ts";

/** The config of each kind. */
export interface SourceConfigs {
  readonly nats: NatsConfig;
  readonly rabbitmq: RabbitMqConfig;
  readonly "framed-tcp": FramedTcpConfig;
  readonly "redis-pubsub": RedisPubSubConfig;
  readonly "ibm-mq": IbmMqConfig;
}
export type SourceConfig = SourceConfigs[keyof SourceConfigs];

export interface BridgeConfig {
  readonly sources: readonly SourceConfig[];
}

const KINDS = {
  nats,
  rabbitmq: rabbitMq,
  "framed-tcp": framedTcp,
  "redis-pubsub": redisPubSub,
  "ibm-mq": ibmMq,
};
type Kind = keyof typeof KINDS;

const FILE = z.strictObject(
  {
    sources: z.array(
      z.discriminatedUnion(
        "kind",
        [nats.schema, rabbitMq.schema, framedTcp.schema, redisPubSub.schema, ibmMq.schema],
        {
          error: `expected a source of kind ${oneOf(Object.keys(KINDS))}`,
        },
      ),
      "expected a list of sources",
    ),
  },
  { error: ({ code }) => (code === "invalid_type" ? "expected sources: and a list of them" : undefined) },
);
type Given = z.output<typeof FILE>["sources"][number];

/** Without a bridge.yaml: the sources of each broker that the settings name. */
export function defaultBridgeConfig(settings: BrokerSettings): BridgeConfig {
  return { sources: defaultSources(settings, []).map((given) => complete(given, settings)) };
}

/**
 * What the file says, and the default sources of each broker that the settings name and the file does not mention (a source is on
 * when its address is set or bridge.yaml names it; `enabled: false` turns it off).
 * @param fileName For the message.
 * @throws MillraceError `invalid-settings` naming every problem, each with its line and path, and no value.
 */
export function parseBridgeConfig(
  yamlText: string,
  settings: BrokerSettings,
  fileName = "bridge.yaml",
): BridgeConfig {
  const refuse = (problems: readonly string[]) =>
    new MillraceError("invalid-settings", `Cannot use ${fileName}:\n  ${problems.join("\n  ")}`);
  const file = readYaml(yamlText);
  if (file.syntaxErrors.length > 0) throw refuse(file.syntaxErrors);
  const result = FILE.safeParse(file.value);
  const found = result.success ? [] : result.error.issues.flatMap(problemsOf);
  const problems = [...found, ...crossProblems(file.value, kindProblems, settings)];
  if (!result.success || problems.length > 0) {
    throw refuse(problems.map(({ path, message }) => `${file.locate(path)}: ${message}`));
  }
  const given = result.data.sources;
  return {
    sources: [...given, ...defaultSources(settings, given)].map((source) => complete(source, settings)),
  };
}

function defaultSources(settings: BrokerSettings, given: readonly Given[]): Given[] {
  const kinds = Object.entries(KINDS).filter(([kind]) => !given.some((source) => source.kind === kind));
  return FILE.parse({ sources: kinds.flatMap(([, { defaults }]) => defaults(settings)) }).sources;
}

function complete(given: Given, settings: BrokerSettings): SourceConfig {
  const { company, type, id, time, ...rest } = given;
  return kindOf(given.kind).complete({ ...rest, rules: { company, type, id, time } }, settings);
}

function kindProblems(source: Unchecked, settings: BrokerSettings): readonly Problem[] {
  const { kind } = source;
  return typeof kind === "string" && Object.hasOwn(KINDS, kind)
    ? kindOf(kind as Kind).problems(source, settings)
    : [];
}

/** The schema has tied each kind to what it takes; the compiler cannot follow that through an index. */
function kindOf(kind: Kind) {
  return KINDS[kind] as unknown as SourceKind<Pick<Given, RuleKey>, SourceConfig>;
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
