/** Flat: resident memory of a bridge through a million messages, published while it reads. */
import { parseCompanyId } from "../../../functions/core/ids.ts";
import { freePort } from "../../support/process.ts";
import { missing, startRedis } from "../../support/servers.ts";
import { waitFor } from "../../support/wait.ts";
import { inspectable, openGarbageCollector } from "../lib/garbage.ts";
import { openRedisLog } from "../lib/logs.ts";
import { startMillrace } from "../lib/millrace.ts";
import { CORES, pin, residentBytes } from "../lib/processes.ts";
import { JET_STREAM, type Queue, RABBIT_QUORUM } from "../lib/queues.ts";
import { type BenchContext, format, type Section, target } from "../lib/section.ts";
import { COMPANY } from "../lib/systems.ts";

/** Messages before the count begins: what a heap grows to once is not what one message more costs. */
const WARM = 100_000;
/** Messages published at once. */
const CHUNK = 10_000;
/** Messages the broker may hold: the bridge has always something to read, and the broker little to keep. */
const BACKLOG = 50_000;
const TIMEOUT_MS = 600_000;
const MIB = 1024 * 1024;
/** What is in use and what V8 keeps beside it is not the same at two moments; less than this says nothing. */
const WANTED_MIB = 10;

/** MiB resident; without garbage where nothing else is said. */
interface Measured {
  readonly name: string;
  /** When a fifth of the messages is through, and when all are. */
  readonly fifthMiB: number;
  readonly endMiB: number;
  /** The most there was at any time, with garbage. */
  readonly mostMiB: number;
  readonly lost: number;
}

async function measure(
  queue: Queue,
  { publisher, progress }: BenchContext,
  messages: number,
): Promise<Measured> {
  const debugPort = await freePort();
  await using running = await queue.start();
  await using redis = await startRedis();
  await pin(redis.process().pid, CORES?.rest);
  await using opened = await openRedisLog(redis.url);
  const env = { REDIS_URL: redis.url, ...inspectable(debugPort) };
  await using bridge = await startMillrace("bridge", env, ["--config", running.bridgeFile]);
  await pin(bridge.pid, CORES?.server);
  const company = parseCompanyId(COMPANY);
  const all = WARM + messages;
  let [published, stored, mostMiB] = [0, 0, 0];
  const look = async () => {
    // What was counted and not what is kept: the log keeps no more than a million.
    const { total } = await opened.log.tallies(company);
    stored = Object.values(total).reduce((sum, count) => sum + count, 0);
    mostMiB = Math.max(mostMiB, residentBytes(bridge.pid) / MIB);
    progress(`flat, ${queue.name}, ${format(stored)} of ${format(all)}`);
  };
  /** At most so many messages are in the broker. */
  const isDownTo = (backlog: number) =>
    waitFor(
      `the bridge to store ${published - backlog} events`,
      async () => {
        await look();
        return published - stored <= backlog;
      },
      { timeoutMs: TIMEOUT_MS, everyMs: 100 },
    );
  const publish = async (upTo: number) => {
    while (published < upTo) {
      await isDownTo(BACKLOG);
      await publisher.call("publishNow", CHUNK);
      published += CHUNK;
    }
  };
  /** A debugger slows what it watches, so it comes and goes. */
  const collected = async () => {
    using garbage = await openGarbageCollector(bridge.pid, debugPort);
    for (let times = 0; times < 3; times++) {
      await garbage.collect();
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    return residentBytes(bridge.pid) / MIB;
  };
  await publisher.call("open", running.target, COMPANY);
  await publish(WARM + messages / 5);
  await isDownTo(0);
  const fifthMiB = await collected();
  await publish(all);
  await isDownTo(0).catch(() => {});
  const endMiB = await collected();
  await publisher.call("close");
  return { name: queue.name, fifthMiB, endMiB, mostMiB, lost: published - stored };
}

async function run(context: BenchContext) {
  const messages = context.quick ? 100_000 : 1_000_000;
  const results: Measured[] = [];
  for (const queue of [JET_STREAM, RABBIT_QUORUM]) {
    if (queue.missing || missing("redis-server")) continue;
    results.push(await measure(queue, context, messages));
  }
  const rows = results.map((result) => ({ ...result, growth: result.endMiB - result.fifthMiB }));
  return {
    tables: [
      {
        title: `resident MiB of the bridge through ${format(messages)} messages, after ${format(WARM)} others`,
        columns: ["broker", "after a fifth", "after all", "growth", "most, with garbage", "lost"],
        rows: rows.map(({ name, fifthMiB, endMiB, growth, mostMiB, lost }) => [
          ...[name, format(fifthMiB), format(endMiB), format(growth), format(mostMiB), lost],
        ]),
      },
    ],
    targets: rows.flatMap(({ name, growth }) =>
      target(
        `memory of the bridge from 20 % to the end, ${name}`,
        `at most ${WANTED_MIB} MiB`,
        growth,
        " MiB",
        (mib) => mib <= WANTED_MIB,
      ),
    ),
    failures: rows
      .filter(({ lost }) => lost !== 0)
      .map(({ name, lost }) => `flat, ${name}: ${lost} messages lost`),
    data: results,
  };
}

export const flat: Section = { name: "flat", title: "Memory of the bridge", run };
