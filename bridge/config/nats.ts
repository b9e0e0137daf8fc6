/** `kind: nats` in bridge.yaml: core subscriptions, or with `jetstream` a durable pull consumer. */
import { z } from "zod";
import type { Problem, SourceKind } from "./kind.ts";
import { type CommonConfig, common, listOf, ruleKeys, text, url, whole } from "./rules.ts";

export interface NatsConfig extends CommonConfig {
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

const SUBJECTS = ["metrics.*", "journey.*", "q2q.*"];
const SUBJECT = /^(>|([^\s.*>]+|\*)(\.([^\s.*>]+|\*))*(\.>)?)$/;

const schema = z.strictObject({
  kind: z.literal("nats"),
  ...common,
  url: url("nats", "tls", "ws", "wss").optional(),
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
  complete: (given, { NATS_URL }) => ({
    ...given,
    url: given.url ?? NATS_URL ?? "",
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
