/** The highest rate of deliveries held to 1,000 clients with p99 latency under 100 ms. */
import type { Delivered } from "../lib/load-client.ts";
import { cpuMicros } from "../lib/processes.ts";
import { type BenchContext, format, MILLRACE, type Section, target } from "../lib/section.ts";
import { median } from "../lib/statistics.ts";
import { COMPANY, type RunningSystem, type System } from "../lib/systems.ts";

const CLIENTS = 1000;
const P99_LIMIT_MS = 100;
/** Events a second of the first step; doubled until a step does not hold, then halved in between. */
const FIRST_RATE = 20;
const BISECTIONS = 3;
/** Where the search gives up looking for more. */
const MAX_RATE = 50_000;

interface Step extends Delivered {
  readonly rate: number;
  readonly expected: number;
  readonly held: boolean;
  readonly publishMs: number;
  /** CPU of the server: near 100 means that it was the limit. */
  readonly serverCpuPercent: number;
}

async function attempt(
  { client, publisher }: BenchContext,
  serverPid: number,
  rate: number,
  seconds: number,
): Promise<Step & { drained: boolean }> {
  await publisher.call("publish", rate, 0.4);
  await client.call("waitQuiet", 5000);
  await client.call("mark");
  const cpuBefore = cpuMicros(serverPid);
  const { sent, ms } = await publisher.call("publish", rate, seconds);
  const wanted = Math.round(rate * seconds) * CLIENTS;
  const complete = await client.call("waitEvents", wanted, P99_LIMIT_MS * 2);
  const delivered = await client.call("delivered");
  const serverCpuPercent = (cpuMicros(serverPid) - cpuBefore) / (ms * 10);
  const held =
    complete &&
    sent * CLIENTS === wanted &&
    ms < seconds * 1000 * 1.02 + P99_LIMIT_MS &&
    delivered.p99Ms < P99_LIMIT_MS;
  const drained = held || (await client.call("waitEvents", wanted, 5000));
  return { ...delivered, rate, expected: wanted, publishMs: ms, serverCpuPercent, held, drained };
}

/** One search on a fresh server. */
async function search(context: BenchContext, system: System, seconds: number): Promise<Step[]> {
  const { client, publisher, progress } = context;
  const steps: Step[] = [];
  let server: RunningSystem | undefined;
  const open = async () => {
    server = await system.start();
    await publisher.call("open", server.publish, COMPANY);
    await client.call("open", server.stream(), CLIENTS);
  };
  const close = async () => {
    await client.call("close");
    await publisher.call("close");
    await server?.[Symbol.asyncDispose]();
    server = undefined;
  };
  const holds = async (rate: number) => {
    if (!server) await open();
    const { drained, ...step } = await attempt(context, server!.pid, rate, seconds);
    steps.push(step);
    progress(
      `highest rate, ${system.name}: ${format(rate * CLIENTS)}/s ${step.held ? "held" : "not held"}, p99 ${format(step.p99Ms)} ms, server at ${format(step.serverCpuPercent)} %, client at ${format(step.clientCpuPercent)} %`,
    );
    // A server that is still behind would spoil the next step.
    if (!drained) await close();
    return step.held;
  };
  try {
    let low = 0;
    let high = FIRST_RATE;
    while (high <= MAX_RATE && (await holds(high))) {
      low = high;
      high *= 2;
    }
    for (let bisection = 0; bisection < BISECTIONS && low > 0 && high <= MAX_RATE; bisection++) {
      const middle = Math.round(Math.sqrt(low * high));
      if (await holds(middle)) low = middle;
      else high = middle;
    }
  } finally {
    await close();
  }
  return steps;
}

async function run(context: BenchContext) {
  const { quick, systems } = context;
  const rounds = quick ? 1 : 2;
  const seconds = quick ? 1 : 2.5;
  const searches = systems.map(({ name }) => ({ name, rounds: [] as Step[][] }));
  for (let round = 0; round < rounds; round++) {
    for (const [index, system] of systems.entries()) {
      searches[index]!.rounds.push(await search(context, system, seconds));
    }
  }
  const results = searches.map(({ name, rounds }) => {
    const best = rounds.map((steps) =>
      steps.filter(({ held }) => held).reduce((top, step) => (step.rate > top.rate ? step : top), NONE),
    );
    return {
      name,
      deliveries: median(best.map(({ rate }) => rate)) * CLIENTS,
      serverCpuPercent: median(best.map((step) => step.serverCpuPercent)),
      clientCpuPercent: median(best.map((step) => step.clientCpuPercent)),
      p99Ms: median(best.map((step) => step.p99Ms)),
    };
  });
  const of = (name: string) => results.find((one) => one.name === name)?.deliveries ?? Number.NaN;
  return {
    tables: [
      {
        title: `highest deliveries a second held to ${format(CLIENTS)} clients, p99 under ${P99_LIMIT_MS} ms`,
        columns: ["server", "deliveries/s", "p99 ms", "server CPU %", "load client CPU %", "millrace has"],
        rows: results.map(({ name, deliveries, p99Ms, serverCpuPercent, clientCpuPercent }) => [
          name,
          format(deliveries),
          format(p99Ms),
          format(serverCpuPercent),
          format(clientCpuPercent),
          `${format(of(MILLRACE) / deliveries)} x`,
        ]),
      },
    ],
    targets: [
      ...target(
        "highest held rate, of nchan's",
        "at least 30 x",
        of(MILLRACE) / of("nchan"),
        " x",
        (ratio) => ratio >= 30,
      ),
      ...target(
        "highest held rate, of the plain Hono app's",
        "at least 60 x",
        of(MILLRACE) / of("hono-stream-sse"),
        " x",
        (ratio) => ratio >= 60,
      ),
    ],
    failures: [],
    data: searches,
  };
}

const NONE: Step = {
  rate: 0,
  expected: 0,
  held: false,
  publishMs: 0,
  serverCpuPercent: Number.NaN,
  events: 0,
  fewest: 0,
  most: 0,
  p50Ms: Number.NaN,
  p99Ms: Number.NaN,
  samples: 0,
  outOfOrder: 0,
  closed: 0,
  clientCpuPercent: Number.NaN,
};

export const rate: Section = { name: "rate", title: "Highest held rate", run };
