/** Latency from the broker to the client: broker, bridge, Redis, server, 100 clients, each a process of its own. */
import { freePort } from "../../support/process.ts";
import { accepts, missing, startNats, startRedis } from "../../support/servers.ts";
import { waitFor } from "../../support/wait.ts";
import type { Delivered } from "../lib/load-client.ts";
import { startMillrace } from "../lib/millrace.ts";
import type { PublishTarget } from "../lib/outlet.ts";
import { type BenchContext, format, type Section, target } from "../lib/section.ts";
import { median, quantile } from "../lib/statistics.ts";
import { COMPANY, startMillraceServer, streamOf } from "../lib/systems.ts";

const CLIENTS = 100;
const RATE = 1000;

interface BrokerInUse extends AsyncDisposable {
  /** Settings that point the bridge at it. */
  readonly env: Record<string, string>;
  readonly publish: PublishTarget;
}

async function natsBroker(): Promise<BrokerInUse> {
  const nats = await startNats();
  return {
    env: { NATS_URL: nats.url },
    publish: { kind: "nats", url: nats.url, subject: "metrics.calculated" },
    [Symbol.asyncDispose]: () => nats[Symbol.asyncDispose](),
  };
}

async function framedTcpBroker(): Promise<BrokerInUse> {
  const port = await freePort();
  const broker = await startMillrace("broker", {
    TCP_PORT: String(port),
    HTTP_PORT: String(await freePort()),
  });
  await waitFor(`millrace broker: ${broker.output()}`, () => accepts(port));
  return {
    env: { BROKER_ADDR: `127.0.0.1:${port}` },
    publish: { kind: "tcp", port },
    [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
  };
}

async function measure(
  { client, publisher }: BenchContext,
  start: () => Promise<BrokerInUse>,
  rounds: number,
  seconds: number,
): Promise<(Delivered & { expected: number })[]> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const broker = stack.use(await start());
  const server = stack.use(await startMillraceServer(redis.url));
  const bridge = stack.use(await startMillrace("bridge", { REDIS_URL: redis.url, ...broker.env }));
  await publisher.call("open", broker.publish, COMPANY);
  await client.call("open", await streamOf(server.url), CLIENTS);
  // What is sent before the bridge listens is gone: these brokers keep nothing.
  await waitFor(`the first event to come through: ${bridge.output()}`, async () => {
    await publisher.call("publishNow", 1);
    return await client.call("waitEvents", CLIENTS, 100);
  });
  await publisher.call("publish", RATE, 1);
  await client.call("waitQuiet", 5000);
  const results: (Delivered & { expected: number })[] = [];
  for (let round = 0; round < rounds; round++) {
    await client.call("mark");
    const { sent } = await publisher.call("publish", RATE, seconds);
    await client.call("waitEvents", sent * CLIENTS, 10_000);
    await client.call("waitQuiet", 1000);
    results.push({ ...(await client.call("delivered")), expected: sent * CLIENTS });
  }
  await client.call("close");
  await publisher.call("close");
  return results;
}

async function run(context: BenchContext) {
  const rounds = 3;
  const seconds = context.quick ? 2 : 5;
  const results: { name: string; rounds: (Delivered & { expected: number })[] }[] = [];
  for (const [name, start] of [
    ["NATS", natsBroker],
    ["framed TCP", framedTcpBroker],
  ] as const) {
    if (name === "NATS" && missing("nats-server")) continue;
    context.progress(`latency, ${name}`);
    results.push({ name, rounds: await measure(context, start, rounds, seconds) });
  }
  const rows = results.map(({ name, rounds }) => ({
    name,
    p50: median(rounds.map(({ p50Ms }) => p50Ms)),
    p99: median(rounds.map(({ p99Ms }) => p99Ms)),
    worst: quantile(
      rounds.map(({ p99Ms }) => p99Ms),
      1,
    ),
    lost: rounds.reduce((sum, { expected, events }) => sum + expected - events, 0),
  }));
  return {
    tables: [
      {
        title: `milliseconds from the publisher to ${CLIENTS} clients at ${format(RATE)} events/s, through broker, bridge, Redis and server`,
        columns: ["broker", "p50", "p99", "p99 of the worst round", "events lost"],
        rows: rows.map(({ name, p50, p99, worst, lost }) => [
          name,
          format(p50),
          format(p99),
          format(worst),
          lost,
        ]),
      },
    ],
    targets: rows.flatMap(({ name, p99 }) =>
      target(`latency from ${name} to the client, p99`, "under 25 ms", p99, " ms", (ms) => ms < 25),
    ),
    failures: rows
      .filter(({ lost }) => lost !== 0)
      .map(({ name, lost }) => `latency, ${name}: ${lost} events lost`),
    data: results,
  };
}

export const latency: Section = { name: "latency", title: "Latency, broker to client", run };
