/** Outage: Redis is killed under load and comes back; the bridge is not restarted. */
import { missing, startRedis } from "../../support/servers.ts";
import { waitFor } from "../../support/wait.ts";
import { openRedisLog } from "../lib/logs.ts";
import { startMillrace } from "../lib/millrace.ts";
import { CORES, pin, residentBytes } from "../lib/processes.ts";
import { JET_STREAM, PREFETCH, type Queue, RABBIT_QUORUM } from "../lib/queues.ts";
import { type BenchContext, format, type Section, type Target } from "../lib/section.ts";
import { COMPANY } from "../lib/systems.ts";

const RATE = 2000;
/** Of flow before the kill, of Redis being away, and of flow after it. */
const SECONDS = { before: 5, away: 10, after: 5 };
const TIMEOUT_MS = 60_000;
const MIB = 1024 * 1024;

interface Measured {
  readonly name: string;
  /** Most messages given to the bridge and not acked, as the broker counts them, while Redis was away. */
  readonly held: number;
  /** Messages the broker had for the bridge when Redis came back. */
  readonly waiting: number;
  /** Resident memory of the bridge when Redis was killed, and the most while it was away. */
  readonly beforeMiB: number;
  readonly awayMiB: number;
  /** From Redis being up to the first new event, and to everything that had been published. */
  readonly resumedSeconds: number;
  readonly caughtUpSeconds: number;
  readonly lost: number;
}

const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

async function measure(queue: Queue, { publisher, progress }: BenchContext): Promise<Measured> {
  progress(`outage, ${queue.name}`);
  await using running = await queue.start();
  await using redis = await startRedis();
  await pin(redis.process().pid, CORES?.rest);
  await using bridge = await startMillrace("bridge", { REDIS_URL: redis.url }, [
    ...["--config", running.bridgeFile],
  ]);
  await pin(bridge.pid, CORES?.server);
  const resident = () => residentBytes(bridge.pid) / MIB;
  await using opened = await openRedisLog(redis.url);
  const stored = async () => (await opened.log.stats().catch(() => undefined))?.totalEvents ?? 0;

  await publisher.call("open", running.target, COMPANY);
  const publishing = publisher.call("publish", RATE, SECONDS.before + SECONDS.away + SECONDS.after);
  publishing.catch(() => {});
  await waitFor("events to flow", async () => (await stored()) > 0, { timeoutMs: TIMEOUT_MS });
  await sleep(SECONDS.before);
  const beforeMiB = resident();
  await redis.kill();
  const killedMs = performance.now();
  let [held, awayMiB] = [0, 0];
  while (performance.now() - killedMs < SECONDS.away * 1000) {
    await sleep(0.25);
    held = Math.max(held, await running.unacked());
    awayMiB = Math.max(awayMiB, resident());
  }
  const waiting = await running.ready();
  await redis.restart();
  const upMs = performance.now();
  await pin(redis.process().pid, CORES?.rest);
  const since = () => (performance.now() - upMs) / 1000;
  const kept = await waitFor("the log", stored, { timeoutMs: TIMEOUT_MS });
  await waitFor("a new event", async () => (await stored()) > kept, { timeoutMs: TIMEOUT_MS });
  const resumedSeconds = since();
  const nothingWaits = async () => (await running.ready()) + (await running.unacked()) <= PREFETCH;
  await waitFor("the backlog to be read", nothingWaits, { timeoutMs: TIMEOUT_MS });
  const caughtUpSeconds = since();
  const { sent } = await publishing;
  await publisher.call("close");
  await waitFor("everything", async () => (await stored()) >= sent, { timeoutMs: TIMEOUT_MS }).catch(
    () => {},
  );
  const lost = sent - (await stored());
  return { name: queue.name, held, waiting, beforeMiB, awayMiB, resumedSeconds, caughtUpSeconds, lost };
}

async function run(context: BenchContext) {
  const results: Measured[] = [];
  for (const queue of [JET_STREAM, RABBIT_QUORUM]) {
    if (queue.missing || missing("redis-server")) continue;
    results.push(await measure(queue, context));
  }
  return {
    tables: [
      {
        title: `Redis killed for ${SECONDS.away} s at ${format(RATE)} messages a second`,
        columns: [
          ...["broker", "most unacked", "left in the broker", "MiB before", "most MiB while away"],
          ...["s to the first event", "s to no backlog", "lost"],
        ],
        rows: results.map((row) => [
          ...[row.name, format(row.held), format(row.waiting), format(row.beforeMiB), format(row.awayMiB)],
          ...[format(row.resumedSeconds), format(row.caughtUpSeconds), row.lost],
        ]),
      },
    ],
    targets: results.map(
      ({ name, held, waiting }): Target => ({
        what: `taken from the broker while Redis is away, ${name}`,
        wanted: `at most ${format(PREFETCH)}, the rest stays`,
        measured: `${format(held)}, ${format(waiting)} stayed`,
        met: held > 0 && held <= PREFETCH && waiting > 0,
      }),
    ),
    failures: results
      .filter(({ lost }) => lost !== 0)
      .map(({ name, lost }) => `outage, ${name}: ${lost} messages lost`),
    data: results,
  };
}

export const outage: Section = { name: "outage", title: "Redis away from the bridge", run };
