/** Fan-out: CPU per delivered event and latency at three fixed loads. */
import type { Delivered } from "../lib/load-client.ts";
import { cpuMicros } from "../lib/processes.ts";
import { type BenchContext, format, MILLRACE, type Section, type Target, target } from "../lib/section.ts";
import { median } from "../lib/statistics.ts";
import { COMPANY, type RunningSystem } from "../lib/systems.ts";

const LOADS = [
  { clients: 200, rate: 200 },
  { clients: 1000, rate: 50 },
  { clients: 2000, rate: 10 },
] as const;

interface Measured extends Delivered {
  readonly expected: number;
  /** Server CPU for each delivery, what the event cost to take in included where that counts. */
  readonly cpuMicrosPerDelivery: number;
}

async function measure(
  { client, publisher }: BenchContext,
  system: RunningSystem,
  load: (typeof LOADS)[number],
  seconds: number,
  intakeMicros: number,
): Promise<Measured> {
  const { clients, rate } = load;
  await publisher.call("open", system.publish, COMPANY);
  await client.call("open", system.stream(), clients);
  // The code is warm and the sockets' buffers have their size before anything counts.
  const warm = await publisher.call("publish", rate, 1);
  await client.call("waitEvents", warm.sent * clients, 10_000);
  await client.call("mark");
  const before = cpuMicros(system.pid);
  const { sent } = await publisher.call("publish", rate, seconds);
  await client.call("waitEvents", sent * clients, 10_000);
  const used = cpuMicros(system.pid) - before - intakeMicros * sent;
  const delivered = await client.call("delivered");
  await client.call("close");
  return { ...delivered, expected: sent * clients, cpuMicrosPerDelivery: used / delivered.events };
}

/** CPU the server spends on taking one event in when nobody listens. */
async function intakeCost(
  { publisher }: BenchContext,
  system: RunningSystem,
  seconds: number,
): Promise<number> {
  await publisher.call("open", system.publish, `${COMPANY}-nobody`);
  await publisher.call("publish", 500, 0.5);
  const before = cpuMicros(system.pid);
  const { sent } = await publisher.call("publish", 500, seconds);
  return (cpuMicros(system.pid) - before) / sent;
}

async function run(context: BenchContext) {
  const { quick, systems, progress } = context;
  const rounds = quick ? 1 : 5;
  const seconds = quick ? 2 : 3;
  await using running = new AsyncDisposableStack();
  const servers: { name: string; server: RunningSystem; intakeMicros: number; results: Measured[][] }[] = [];
  for (const system of systems) {
    const server = running.use(await system.start());
    const intakeMicros = server.intakeCounts ? 0 : await intakeCost(context, server, seconds / 2);
    servers.push({ name: system.name, server, intakeMicros, results: LOADS.map(() => []) });
  }
  for (const { name, server, intakeMicros } of servers) {
    progress(`fan-out, ${name}, warming up`);
    await measure(context, server, LOADS[0], seconds, intakeMicros);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [index, load] of LOADS.entries()) {
      for (const { name, server, intakeMicros, results } of servers) {
        progress(`fan-out ${load.clients} x ${load.rate}/s, ${name}, round ${round + 1} of ${rounds}`);
        results[index]!.push(await measure(context, server, load, seconds, intakeMicros));
      }
    }
  }
  await context.publisher.call("close");
  const middle = servers.map(({ name, results }) => ({
    name,
    loads: results.map((rounds) => ({
      cpuMicros: median(rounds.map((one) => one.cpuMicrosPerDelivery)),
      p50Ms: median(rounds.map((one) => one.p50Ms)),
      p99Ms: median(rounds.map((one) => one.p99Ms)),
      lost: rounds.reduce((sum, one) => sum + one.expected - one.events, 0),
    })),
  }));
  const of = (name: string, index: number) =>
    middle.find((one) => one.name === name)?.loads[index]?.cpuMicros ?? Number.NaN;
  const targets: Target[] = LOADS.flatMap(({ clients, rate }, index) =>
    target(
      `CPU per delivery at ${clients} x ${rate}/s, of nchan's`,
      "at most 1.00 x",
      of(MILLRACE, index) / of("nchan", index),
      " x",
      (ratio) => ratio <= 1,
    ),
  );
  return {
    tables: [
      {
        title: "CPU microseconds per delivered event; p50 / p99 latency in ms; events lost",
        columns: ["server", ...LOADS.map(({ clients, rate }) => `${clients} x ${rate}/s`), "lost"],
        rows: middle.map(({ name, loads }) => [
          name,
          ...loads.map((one) => `${format(one.cpuMicros)}   ${format(one.p50Ms)} / ${format(one.p99Ms)}`),
          loads.reduce((sum, one) => sum + one.lost, 0),
        ]),
      },
    ],
    targets,
    failures: lossesOf(middle),
    data: servers.map(({ name, intakeMicros, results }) => ({
      name,
      intakeMicros,
      loads: LOADS.map((load, index) => ({ ...load, rounds: results[index] })),
    })),
  };
}

/** Millrace promises to lose nothing; a peer's loss is only shown. */
function lossesOf(middle: { name: string; loads: { lost: number }[] }[]): string[] {
  return middle
    .filter(({ name, loads }) => name === MILLRACE && loads.some(({ lost }) => lost !== 0))
    .map(({ loads }) => `fan-out: millrace lost ${loads.map(({ lost }) => lost).join(", ")} events`);
}

export const fanout: Section = { name: "fanout", title: "Fan-out", run };
