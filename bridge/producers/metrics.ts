/** Demo metrics of companies, as an analytics service would publish them on NATS. */
import type { GeneratorOptions, Message } from "./message.ts";
import { pick as pickOf, round, walk } from "./walk.ts";

type Body = Record<string, unknown>;

/** Metrics of `metrics.calculated`: shares from 0 to 1. */
const METRIC_NAMES = ["integration_score", "language_level", "job_readiness", "attendance_rate"] as const;
const DIMENSIONS = ["confidence", "belonging", "wellbeing"] as const;
const FLAGS = ["at_risk", "milestone_reached", "mentor_needed"] as const;

/** Messages without end, the companies taking turns; values walk, so that a chart of them looks like one. */
export function* demoMetrics({
  companies,
  random = Math.random,
  now = Date.now,
  newId = () => crypto.randomUUID(),
}: GeneratorOptions): Generator<Message, never> {
  const pick = <T>(items: readonly T[]): T => pickOf(items, random);
  const states = companies.map(() => ({
    metrics: new Map<string, number>(METRIC_NAMES.map((name) => [name, 0.4 + random() * 0.5])),
    sroi: 2 + random() * 3,
  }));
  type State = (typeof states)[number];

  const calculated = ({ metrics }: State): [string, Body] => {
    const metricName = pick(METRIC_NAMES);
    const value = walk(metrics.get(metricName)!, 0.03, 0, 1, random);
    metrics.set(metricName, value);
    return ["metrics.calculated", { metricName, value: round(value, 4) }];
  };
  const sroi = (state: State): [string, Body] => {
    state.sroi = walk(state.sroi, 0.1, 0.5, 8, random);
    return ["metrics.sroi", { metricName: "sroi", value: round(state.sroi, 2) }];
  };
  const participant = () => `p-${String(1 + Math.floor(random() * 200)).padStart(4, "0")}`;
  const journey = (): [string, Body] => [
    "journey.flag",
    { participantId: participant(), flag: pick(FLAGS), raised: random() < 0.7 },
  ];
  const q2q = (): [string, Body] => [
    "q2q.scored",
    { participantId: participant(), dimension: pick(DIMENSIONS), score: round(random(), 2) },
  ];
  // As often as they stand here.
  const kinds = [calculated, calculated, calculated, calculated, calculated, sroi, journey, q2q];

  for (let turn = 0; ; turn++) {
    const company = turn % companies.length;
    const [subject, values] = pick(kinds)(states[company]!);
    const companyId = companies[company]!;
    const time = new Date(now()).toISOString();
    const body = { companyId, ...values, ts: time };
    yield { id: newId(), source: "/demo/metrics", subject, time, companyId, body };
  }
}
