/** The edge: log to client through the REST gateway and a Durable Object on workerd, at several rates, and what an event costs. */

import { startRedisRestProcess } from "../../support/redis-rest.ts";
import { missing, startRedis } from "../../support/servers.ts";
import { startWorkerd } from "../../support/workerd.ts";
import { CORES, cpuMicros, pin } from "../lib/processes.ts";
import { type BenchContext, format, type Section, target } from "../lib/section.ts";
import { median } from "../lib/statistics.ts";
import { COMPANY, streamOf } from "../lib/systems.ts";
import { JWT_SECRET } from "../lib/token.ts";

/** Clients and events a second; the first is the target's. */
const LOADS = [
  [100, 1_000],
  [100, 100],
  [100, 4_000],
  [1_000, 100],
] as const;

interface Measured {
  readonly clients: number;
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly lost: number;
  /** Of one core, workerd alone. */
  readonly cpuPercent: number;
  readonly cpuMicrosPerDelivery: number;
}

async function measure({ client, publisher }: BenchContext, rounds: number, seconds: number) {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const rest = stack.use(await startRedisRestProcess(redis.url));
  const workerd = stack.use(
    await startWorkerd({
      vars: {
        UPSTASH_REDIS_REST_URL: rest.url,
        UPSTASH_REDIS_REST_TOKEN: rest.token,
        JWT_SECRET,
        LOG_LEVEL: "warn",
      },
    }),
  );
  await pin(redis.process().pid, CORES?.rest);
  await pin(rest.process().pid, CORES?.rest);
  const { pid } = workerd.process();
  await pin(pid, CORES?.server);
  const stream = await streamOf(workerd.url);
  const results: Measured[] = [];
  for (const [clients, rate] of LOADS) {
    await publisher.call("open", { kind: "log", redisUrl: redis.url, company: COMPANY }, COMPANY);
    await client.call("open", stream, clients);
    await publisher.call("publish", rate, 1);
    await client.call("waitQuiet", 5000);
    const taken = [];
    for (let round = 0; round < rounds; round++) {
      await client.call("mark");
      const before = cpuMicros(pid);
      const { sent, ms } = await publisher.call("publish", rate, seconds);
      await client.call("waitEvents", sent * clients, 10_000);
      const cpu = cpuMicros(pid) - before;
      taken.push({
        ...(await client.call("delivered")),
        expected: sent * clients,
        cpuPercent: cpu / ms / 10,
        cpuMicrosPerDelivery: cpu / (sent * clients),
      });
    }
    await client.call("close");
    await publisher.call("close");
    results.push({
      ...{ clients, rate },
      p50Ms: median(taken.map(({ p50Ms }) => p50Ms)),
      p99Ms: median(taken.map(({ p99Ms }) => p99Ms)),
      lost: taken.reduce((sum, { expected, events }) => sum + expected - events, 0),
      cpuPercent: median(taken.map(({ cpuPercent }) => cpuPercent)),
      cpuMicrosPerDelivery: median(taken.map(({ cpuMicrosPerDelivery }) => cpuMicrosPerDelivery)),
    });
  }
  return results;
}

async function run(context: BenchContext) {
  if (missing("redis-server")) return { tables: [], targets: [], failures: [], data: [] };
  const results = await measure(context, 3, context.quick ? 2 : 5);
  const [wanted] = results;
  return {
    tables: [
      {
        title: "milliseconds from the log to the clients, through the REST gateway and one Durable Object",
        columns: ["clients", "events/s", "p50", "p99", "CPU of workerd", "CPU a delivery", "events lost"],
        rows: results.map(({ clients, rate, p50Ms, p99Ms, cpuPercent, cpuMicrosPerDelivery, lost }) => [
          ...[format(clients), format(rate), format(p50Ms), format(p99Ms)],
          ...[`${format(cpuPercent)} %`, `${format(cpuMicrosPerDelivery)} us`, lost],
        ]),
      },
    ],
    targets: wanted
      ? target(
          "edge: 100 clients at 1,000 events/s on workerd, p99",
          "under 60 ms",
          wanted.p99Ms,
          " ms",
          (ms) => ms < 60,
        )
      : [],
    failures: results
      .filter(({ lost }) => lost !== 0)
      .map(({ clients, rate, lost }) => `workerd, ${clients} clients at ${rate}/s: ${lost} events lost`),
    data: results,
  };
}

export const workerd: Section = { name: "workerd", title: "The edge: workerd over REST", run };
