/** `kind: redis-pubsub` in bridge.yaml: Redis channels. */
import { z } from "zod";
import type { Problem, SourceKind } from "./kind.ts";
import { type CommonConfig, common, listOf, ruleKeys, text, url, whole } from "./rules.ts";

export interface RedisPubSubConfig extends CommonConfig {
  readonly kind: "redis-pubsub";
  /** With the credentials: never log it. */
  readonly url: string;
  /** A `*` stands for any text. */
  readonly channels: readonly string[];
  /** Messages held before new ones are dropped. */
  readonly maxPending: number;
  /** Log lines of one service stored, sustained; ten times as many at once. */
  readonly maxLinesPerSecond: number;
}

/** On these every known service publishes. `logs:<service>` carries lines of `logs:all` once more. */
const CHANNELS = ["service:all", "logs:all"];
/** What the event log publishes itself: a source on it would read its own writing for ever. */
const OWN = "millrace:*";

const schema = z.strictObject({
  kind: z.literal("redis-pubsub"),
  ...common,
  url: url("redis", "rediss").optional(),
  channels: listOf(text(/^[!-~]{1,256}$/, "a channel such as logs:all, * standing for any text")),
  maxPending: whole(1, 1_000_000).default(50_000),
  maxLinesPerSecond: whole(1, 1_000_000).default(100),
  // A channel has no headers, and its parts are not tokens between dots.
  ...ruleKeys(),
});

export const redisPubSub: SourceKind<z.output<typeof schema>, RedisPubSubConfig> = {
  schema,
  defaults: ({ REDIS_URL }) => (REDIS_URL ? [{ kind: "redis-pubsub", name: "redis-pubsub" }] : []),
  complete: (given, { REDIS_URL }) => ({
    ...given,
    url: given.url ?? REDIS_URL ?? "",
    channels: given.channels ?? CHANNELS,
  }),
  problems(source, { REDIS_URL }) {
    const problems: Problem[] = [];
    if (source.enabled !== false && source.url === undefined && !REDIS_URL) {
      problems.push({ path: ["url"], message: "missing, expected it here or in REDIS_URL" });
    }
    const channels = Array.isArray(source.channels)
      ? (source.channels as unknown[]).map(String)
      : source.channels === undefined
        ? []
        : [String(source.channels)];
    for (const [at, channel] of channels.entries()) {
      const path = ["channels", at];
      if (overlap(channel, OWN)) {
        problems.push({
          path,
          message: `overlaps ${OWN}, which is the event log's own, expected other channels`,
        });
      }
      const other = channels.findIndex((earlier, i) => i < at && overlap(earlier, channel));
      if (other >= 0) {
        const message = `overlaps channels[${other}], expected each message to match one of them`;
        problems.push({ path, message });
      }
    }
    return problems;
  },
};

/** Whether a channel can match both. */
function overlap(a: string, b: string): boolean {
  // Row by row: whether the first i characters of `a` and the first j of `b` can stand for the same text.
  let above = Array.from({ length: b.length + 1 }, (_, j) => /^\**$/.test(b.slice(0, j)));
  for (let i = 1; i <= a.length; i++) {
    const row = [above[0]! && a[i - 1] === "*"];
    for (let j = 1; j <= b.length; j++) {
      const isStar = a[i - 1] === "*" || b[j - 1] === "*";
      row[j] = isStar ? above[j]! || row[j - 1]! : above[j - 1]! && a[i - 1] === b[j - 1];
    }
    above = row;
  }
  return above[b.length]!;
}
