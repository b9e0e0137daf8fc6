/**
 * Demo of the operator's own services telling how they are, as on Redis channels: a status on `service:all` every now and then, log lines
 * in between. They belong to no tenant, so their messages name none.
 */
import type { GeneratorOptions, Message } from "./message.ts";
import { between, pick } from "./walk.ts";

/** Of services as they are known. `{n}` stands for a number. */
const SERVICES = [
  {
    service: "balance-sync",
    interval: 30,
    lines: ["fetched {n} balances", "{n} balances differ, writing them", "ledger answered in {n} ms"],
    trouble: "ledger did not answer in {n} ms, trying again",
  },
  {
    service: "account-discovery",
    interval: 300,
    lines: ["scanned {n} accounts", "{n} new accounts found", "next page token a{n}"],
    trouble: "registry returned 503, {n} accounts left for the next run",
  },
  {
    service: "account-enrichment",
    interval: 60,
    lines: ["enriched account AC-{n}", "{n} accounts in the queue", "cache hit for merchant {n}"],
    trouble: "no profile for account AC-{n}, skipped",
  },
  {
    service: "sms",
    interval: 10,
    lines: ["batch of {n} messages handed to the gateway", "{n} delivery reports read"],
    trouble: "gateway refused {n} messages, queued again",
  },
] as const;

/** Messages without end, the services taking turns. `companies` has one: whose the services are. */
export function* demoServices({
  companies: [companyId],
  random = Math.random,
  now = Date.now,
  newId = () => crypto.randomUUID(),
}: GeneratorOptions): Generator<Message, never> {
  const states = SERVICES.map((known) => ({ known, queueSize: 20, processed: 0, sent: 0, failed: 0 }));
  type State = (typeof states)[number];

  const status = (state: State, ts: string): Readonly<Record<string, unknown>> => {
    const { service, interval } = state.known;
    const done = between(0, state.queueSize, random);
    state.processed += done;
    state.queueSize += between(0, 25, random) - done;
    const failed = between(0, Math.min(2, done), random);
    state.sent += done;
    state.failed += failed;
    const { queueSize, processed } = state;
    // The sender of text messages has statistics of its own.
    const sms = { sent: state.sent, delivered: state.sent - state.failed, failed: state.failed };
    return {
      service,
      state: queueSize === 0 ? "idle" : "running",
      ...{ queueSize, processed, interval, lastRun: ts, ts },
      ...(service === "sms" ? { sms } : {}),
    };
  };
  const line = ({ known: { service, lines, trouble } }: State, ts: string) => {
    const level = pick(["debug", "info", "info", "info", "info", "warn", "error"], random);
    const text = level === "warn" || level === "error" ? trouble : pick(lines, random);
    return { ts, level, service, message: text.replace("{n}", String(between(1, 999, random))) };
  };

  for (let turn = 0; ; turn++) {
    const state = states[turn % states.length]!;
    const time = new Date(now()).toISOString();
    const common = { id: newId(), source: "/demo/services", time, companyId };
    // Every service in turn says its status, then two lines.
    yield Math.floor(turn / states.length) % 3 === 0
      ? { ...common, subject: "service:all", type: "service_status", body: status(state, time) }
      : { ...common, subject: `logs:${state.known.service}`, type: "log_line", body: line(state, time) };
  }
}
