/** `kind: nats` in bridge.yaml: core subscriptions, or with `jetstream` a durable pull consumer. */
import { z } from "zod";
import { isObject } from "../message-view.ts";
import type { NatsTlsFiles } from "../nats-files.ts";
import type { BrokerSettings, Problem, SourceKind } from "./kind.ts";
import { type CommonConfig, common, listOf, ruleKeys, text, url, whole } from "./rules.ts";

export interface NatsConfig extends CommonConfig {
  readonly kind: "nats";
  /** With the credentials: never log it. */
  readonly url: string;
  /** Path of a `.creds` file. */
  readonly credentials: string | undefined;
  /** Path of a seed file. */
  readonly nkey: string | undefined;
  readonly tls: NatsTlsFiles | undefined;
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

const SUBJECTS = ["metrics.*", "journey.*", "q2q.*"];
const SUBJECT = /^(>|([^\s.*>]+|\*)(\.([^\s.*>]+|\*))*(\.>)?)$/;

const path = text(/^[^\0]{1,4096}$/, "the path of a file");

const schema = z.strictObject({
  kind: z.literal("nats"),
  ...common,
  url: url("nats", "tls", "ws", "wss").optional(),
  credentials: path.optional(),
  nkey: path.optional(),
  tls: z.strictObject({ ca: path.optional(), cert: path.optional(), key: path.optional() }).optional(),
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
  ...ruleKeys("header", "subjectToken"),
});

export const nats: SourceKind<z.output<typeof schema>, NatsConfig> = {
  schema,
  defaults: ({ NATS_URL }) => (NATS_URL ? [{ kind: "nats", name: "nats" }] : []),
  complete: (given, settings) => ({
    ...given,
    ...serverOf(given, settings),
    subjects: given.subjects ?? (given.jetstream ? [] : SUBJECTS),
    queue: given.queue,
    maxPending: given.maxPending ?? 50_000,
    jetstream: given.jetstream,
  }),
  problems(source, { NATS_URL }) {
    const problems: Problem[] = [];
    const say = (path: PropertyKey[], message: string) => problems.push({ path, message });
    if (source.enabled !== false && source.url === undefined && !NATS_URL) {
      say(["url"], "missing, expected it here or in NATS_URL");
    }
    if (source.credentials !== undefined && source.nkey !== undefined) {
      say(["nkey"], "is given beside credentials, expected one of them");
    }
    const { tls } = source;
    if (isObject(tls) && (tls.cert === undefined) !== (tls.key === undefined)) {
      say(["tls"], "has one of cert and key, expected both or neither");
    }
    if (typeof source.url === "string" && URL.canParse(source.url)) {
      const { protocol, username } = new URL(source.url);
      if (username !== "" && (source.credentials !== undefined || source.nkey !== undefined)) {
        say(["url"], "names a user beside credentials or nkey, expected one way to log in");
      }
      if (tls !== undefined && /^wss?:$/.test(protocol)) {
        say(
          ["tls"],
          "is for nats:// and tls://, expected none (NODE_EXTRA_CA_CERTS adds an authority for wss://)",
        );
      }
    }
    if (source.jetstream !== undefined) {
      for (const key of ["queue", "maxPending"]) {
        if (source[key] !== undefined) say([key], "is for core subscriptions, expected none with jetstream");
      }
    }
    const subjects = Array.isArray(source.subjects) ? (source.subjects as unknown[]).map(String) : [];
    for (const [at, subject] of subjects.entries()) {
      const other = subjects.findIndex((earlier, i) => i < at && overlap(earlier, subject));
      if (other >= 0) {
        say(["subjects", at], `overlaps subjects[${other}], expected each message to match one of them`);
      }
    }
    return problems;
  },
};

/** The files of the settings are for the server of the settings: a source with a url of its own names its own. */
function serverOf(
  given: Pick<z.output<typeof schema>, "url" | "credentials" | "nkey" | "tls">,
  { NATS_URL, NATS_CREDS, NATS_NKEY, NATS_TLS_CA }: BrokerSettings,
): Pick<NatsConfig, "url" | "credentials" | "nkey" | "tls"> {
  const { url, credentials, nkey, tls } = given;
  if (url !== undefined) return { url, credentials, nkey, tls };
  const isNamed = credentials !== undefined || nkey !== undefined;
  return {
    url: NATS_URL ?? "",
    credentials: isNamed ? credentials : NATS_CREDS,
    nkey: isNamed ? nkey : NATS_NKEY,
    tls: tls ?? (NATS_TLS_CA === undefined ? undefined : { ca: NATS_TLS_CA }),
  };
}

/** Whether a message can match both subjects. */
function overlap(a: string, b: string): boolean {
  const [left, right] = [a.split("."), b.split(".")];
  for (let i = 0; i < left.length || i < right.length; i++) {
    const [one, other] = [left[i], right[i]];
    if (one === undefined || other === undefined) return false;
    if (one === ">" || other === ">") return true;
    if (one !== other && one !== "*" && other !== "*") return false;
  }
  return true;
}
