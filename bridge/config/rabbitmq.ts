/** `kind: rabbitmq` in bridge.yaml: a queue, bound to a topic exchange. */
import { z } from "zod";
import type { AmqpTls } from "../rabbitmq-connection.ts";
import type { TopologyOptions } from "../rabbitmq-topology.ts";
import type { Problem, SourceKind } from "./kind.ts";
import { type CommonConfig, common, listOf, ruleKeys, text, url, whole } from "./rules.ts";

export interface RabbitMqConfig extends CommonConfig, TopologyOptions {
  readonly kind: "rabbitmq";
  /** With the credentials: never log it. */
  readonly url: string;
  readonly tls: AmqpTls | undefined;
  readonly heartbeatSeconds: number;
  /** Messages taken and not acked. Times the largest message, this is the source's memory. */
  readonly prefetch: number;
}

/** What only a queue that is declared here has. */
const DECLARED = {
  exchange: "events",
  bindings: ["#"],
  queueType: "quorum",
  deadLetterExchange: "events.dlx",
} as const;
/** AMQP 0-9-1 has 255 bytes for a name; `.dead` goes behind that of a queue. */
const NAME = /^[ -~]{1,250}$/;
const PATTERN = /^(?=.{1,255}$)([^\s.*#]+|[*#])(\.([^\s.*#]+|[*#]))*$/;

const name = text(NAME, "1-250 printable ASCII characters");
const path = text(/./, "the path of a PEM file").optional();

const schema = z.strictObject({
  kind: z.literal("rabbitmq"),
  ...common,
  url: url("amqp", "amqps").optional(),
  tls: z.strictObject({ ca: path, cert: path, key: path }).optional(),
  heartbeatSeconds: whole(1, 600).default(15),
  exchange: name.optional(),
  queue: name.default("events.metrics"),
  bindings: listOf(text(PATTERN, "a topic pattern such as orders.*.created or #")),
  queueType: z.enum(["quorum", "classic"], "expected quorum or classic").optional(),
  deadLetterExchange: name.optional(),
  declare: z.boolean("expected true or false").default(true),
  prefetch: whole(1, 65_535).default(1000),
  ...ruleKeys("header", "subjectToken"),
});

export const rabbitMq: SourceKind<z.output<typeof schema>, RabbitMqConfig> = {
  schema,
  defaults: ({ AMQP_URL }) => (AMQP_URL ? [{ kind: "rabbitmq", name: "rabbitmq" }] : []),
  complete: (given, { AMQP_URL }) => ({
    ...given,
    url: given.url ?? AMQP_URL ?? "",
    tls: given.tls,
    exchange: given.exchange ?? DECLARED.exchange,
    bindings: given.bindings ?? DECLARED.bindings,
    queueType: given.queueType ?? DECLARED.queueType,
    deadLetterExchange: given.deadLetterExchange ?? DECLARED.deadLetterExchange,
  }),
  problems(source, { AMQP_URL }) {
    const problems: Problem[] = [];
    const say = (path: PropertyKey[], message: string) => problems.push({ path, message });
    const { enabled, url: given = AMQP_URL, tls, declare } = source;
    if (enabled !== false && !given) say(["url"], "missing, expected it here or in AMQP_URL");
    if (declare === false) {
      for (const key of Object.keys(DECLARED)) {
        if (source[key] !== undefined) {
          say([key], "is for a queue that is declared, expected none with declare: false");
        }
      }
    }
    if (typeof tls === "object" && tls !== null) {
      if (typeof given === "string" && given.startsWith("amqp:")) {
        say(["tls"], "is not used, expected a URL of amqps:// with it");
      }
      if ("cert" in tls !== "key" in tls) {
        say(["tls"], "has one of cert and key, expected both or none");
      }
    }
    return problems;
  },
};
