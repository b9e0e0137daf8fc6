/**
 * `npm run bench`: Millrace and other people's servers side by side in one run. It reports and judges nothing by itself: the exit
 * code is 1 only when a section could not run, or when Millrace lost events.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname } from "node:path";
import { Command } from "commander";
import type { LoadClientCalls } from "./lib/load-client.ts";
import { CORES } from "./lib/processes.ts";
import type { PublisherCalls } from "./lib/publisher.ts";
import { renderSection, renderTargets } from "./lib/report.ts";
import type { BenchContext, Section, SectionResult, Target } from "./lib/section.ts";
import { SYSTEMS } from "./lib/systems.ts";
import { startWorker } from "./lib/worker.ts";
import { append } from "./sections/append.ts";
import { bridge } from "./sections/bridge.ts";
import { commands } from "./sections/commands.ts";
import { compression } from "./sections/compression.ts";
import { fanout } from "./sections/fanout.ts";
import { flat } from "./sections/flat.ts";
import { latency } from "./sections/latency.ts";
import { memory } from "./sections/memory.ts";
import { outage } from "./sections/outage.ts";
import { rate } from "./sections/rate.ts";
import { rest } from "./sections/rest.ts";
import { runtimes } from "./sections/runtimes.ts";
import { storm } from "./sections/storm.ts";
import { telemetry } from "./sections/telemetry.ts";
import { workerd } from "./sections/workerd.ts";

const SECTIONS: readonly Section[] = [
  fanout,
  rate,
  storm,
  memory,
  latency,
  bridge,
  flat,
  outage,
  append,
  telemetry,
  commands,
  compression,
  rest,
  runtimes,
  workerd,
];

const names = (text: string) => text.split(",").filter(Boolean);
const options = new Command("bench")
  .description("Measures Millrace and other people's servers side by side (Linux: it reads /proc).")
  .option("--quick", "fewer and shorter measurements: about 6 minutes instead of 25", false)
  .option("--only <sections>", `some of ${SECTIONS.map(({ name }) => name).join(",")}`, names)
  .option("--systems <names>", `some of ${SYSTEMS.map(({ name }) => name).join(",")}`, names)
  .option("--json <file>", "where the numbers go", ".bench/results.json")
  .parse()
  .opts<{ quick: boolean; only?: string[]; systems?: string[]; json: string }>();

const sections = chosen("section", SECTIONS, options.only);
const systems = chosen("system", SYSTEMS, options.systems).filter(({ name, missing }) => {
  if (missing) console.log(`without ${name}: ${missing}`);
  return !missing;
});

function chosen<T extends { name: string }>(what: string, all: readonly T[], wanted?: string[]): T[] {
  const unknown = wanted?.find((name) => !all.some((one) => one.name === name));
  if (unknown) {
    console.error(
      `Cannot run ${what} "${unknown}": expected some of ${all.map(({ name }) => name).join(", ")}`,
    );
    process.exit(2);
  }
  return all.filter(({ name }) => !wanted || wanted.includes(name));
}

if (process.platform !== "linux") {
  console.error("Cannot run the bench: it reads what processes cost from /proc, expected Linux");
  process.exit(1);
}

const placement = CORES
  ? `server on core ${CORES.server}, load client on core ${CORES.client}, publisher and Redis on core ${CORES.rest}`
  : "processes are not pinned to cores (needs two cores and taskset): expect noise";
console.log(`${cpus()[0]?.model ?? "?"} x ${cpus().length}, Node ${process.version}; ${placement}`);

const progress = (text: string) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
  else if (process.env.BENCH_PROGRESS) process.stderr.write(`${text}\n`);
};

const results: Record<string, SectionResult & { seconds: number }> = {};
const targets: Target[] = [];
let failed = false;

// Without its workers a section ends at its next step, and closes what it started on the way out.
const workers = new Set<AsyncDisposable>();
let interrupted = false;
const interrupt = () => {
  if (interrupted) process.exit(130);
  interrupted = true;
  for (const worker of workers) void worker[Symbol.asyncDispose]();
};
process.on("SIGINT", interrupt);
process.on("SIGTERM", interrupt);

for (const section of sections) {
  const startedAt = performance.now();
  try {
    await using client = await startWorker<LoadClientCalls>(
      new URL("lib/load-client.ts", import.meta.url),
      CORES?.client,
    );
    await using publisher = await startWorker<PublisherCalls>(
      new URL("lib/publisher.ts", import.meta.url),
      CORES?.rest,
    );
    workers.clear();
    workers.add(client).add(publisher);
    const context: BenchContext = { client, publisher, systems, quick: options.quick, progress };
    const result = await section.run(context);
    progress("");
    results[section.name] = { ...result, seconds: (performance.now() - startedAt) / 1000 };
    targets.push(...result.targets);
    failed ||= result.failures.length > 0;
    console.log(renderSection(section.title, result));
  } catch (error) {
    progress("");
    if (interrupted) break;
    failed = true;
    console.error(
      `\n## ${section.title}\n\n  FAILED: could not run: ${error instanceof Error ? error.stack : error}\n`,
    );
  }
}
if (interrupted) process.exit(130);

if (sections.length > 1 && targets.length > 0) console.log(`\n## All targets\n\n${renderTargets(targets)}`);
mkdirSync(dirname(options.json), { recursive: true });
const file = {
  at: new Date().toISOString(),
  quick: options.quick,
  machine: { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, placement },
  sections: results,
};
writeFileSync(options.json, `${JSON.stringify(file, null, 2)}\n`);
console.log(`numbers: ${options.json}`);
process.exit(failed ? 1 : 0);
