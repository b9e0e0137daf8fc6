/**
 * Bridge: messages a second from a broker's backlog into the log, against a consumer of the same broker that only counts and acks: the same
 * client library, as many unacked messages, the same kind of queue.
 */
import { freePort } from "../../support/process.ts";
import { accepts, missing, startRedis } from "../../support/servers.ts";
import { waitFor } from "../../support/wait.ts";
import type { BareConsumerCalls } from "../lib/bare-consumer.ts";
import { openRedisLog } from "../lib/logs.ts";
import { startMillrace } from "../lib/millrace.ts";
import { CORES, pin } from "../lib/processes.ts";
import { JET_STREAM, type Queue, RABBIT_QUORUM } from "../lib/queues.ts";
import { type BenchContext, format, type Section, target } from "../lib/section.ts";
import { median } from "../lib/statistics.ts";
import { COMPANY } from "../lib/systems.ts";
import { startWorker, type Worker } from "../lib/worker.ts";

/** The bridge may be cold, and the machine busy. */
const TIMEOUT_MS = 120_000;
/** Percent of the bare consumer's rate. */
const WANTED = 50;

/** Messages a second. */
interface Round {
  readonly bare: number;
  /** One ack for many messages. */
  readonly joined?: number | undefined;
  readonly bridge: number;
  readonly lost: number;
}

interface Load {
  readonly messages: number;
  /** Messages before the clock starts: neither side is measured cold. */
  readonly warm: number;
  /** Whether the bridge goes before the bare consumer. */
  readonly bridgeFirst: boolean;
}

/** Starts a bridge and times it from event `warm` in the log to the last. */
async function timeBridge(env: Record<string, string>, args: readonly string[], { messages, warm }: Load) {
  await using redis = await startRedis();
  await pin(redis.process().pid, CORES?.rest);
  await using opened = await openRedisLog(redis.url);
  await using bridge = await startMillrace("bridge", { REDIS_URL: redis.url, ...env }, args);
  await pin(bridge.pid, CORES?.server);
  let first: { ms: number; events: number } | undefined;
  let events = 0;
  const look = async () => {
    events = (await opened.log.stats()).totalEvents;
    if (events >= warm) first ??= { ms: performance.now(), events };
    return events >= messages;
  };
  await waitFor(`${messages} events in the log`, look, { timeoutMs: TIMEOUT_MS }).catch((error) => {
    if (!first) throw new Error(`The bridge stored ${events} events: ${bridge.output()}`, { cause: error });
  });
  const rate = ((events - first!.events) * 1000) / (performance.now() - first!.ms);
  return { rate, lost: messages - events };
}

async function queueRound(
  queue: Queue,
  { publisher }: BenchContext,
  worker: Worker<BareConsumerCalls>,
  load: Load,
): Promise<Round> {
  const { messages, warm, bridgeFirst } = load;
  await using running = await queue.start({ bare: true });
  await publisher.call("open", running.target, COMPANY);
  await publisher.call("publishNow", messages);
  await publisher.call("close");
  await waitFor("the messages in the queue", async () => (await running.ready()) === messages);
  const rateOf = (ms: number) => ((messages - warm) * 1000) / ms;
  const parts: { bare?: number; joined?: number; bridge?: { rate: number; lost: number } } = {};
  const steps = [
    async () => {
      parts.bare = rateOf(await running.bare(worker, messages, warm));
      if (running.bareJoined) parts.joined = rateOf(await running.bareJoined(worker, messages, warm));
    },
    async () => {
      parts.bridge = await timeBridge({}, ["--config", running.bridgeFile], load);
    },
  ];
  for (const step of bridgeFirst ? steps.reverse() : steps) await step();
  const { rate, lost } = parts.bridge!;
  return { bare: parts.bare!, joined: parts.joined, bridge: rate, lost };
}

async function framedTcpRound(
  { publisher }: BenchContext,
  worker: Worker<BareConsumerCalls>,
  load: Load,
): Promise<Round> {
  const { messages, warm } = load;
  const port = await freePort();
  await using broker = await startMillrace("broker", {
    TCP_PORT: String(port),
    HTTP_PORT: String(await freePort()),
    DELIVERY_MODE: "queue",
    CONSUMER_CHANNEL_BUFFER_SIZE: String(messages),
  });
  await waitFor(`millrace broker: ${broker.output()}`, () => accepts(port));
  await pin(broker.pid, CORES?.rest);
  const fill = async () => {
    await publisher.call("open", { kind: "tcp", port }, COMPANY);
    await publisher.call("publishNow", messages);
  };
  await fill();
  const bareMs = await worker.call("framedTcp", port, messages, warm);
  await fill();
  const { rate, lost } = await timeBridge({ BROKER_ADDR: `127.0.0.1:${port}` }, [], load);
  await publisher.call("close");
  return { bare: ((messages - warm) * 1000) / bareMs, bridge: rate, lost };
}

async function run(context: BenchContext) {
  const { quick, progress } = context;
  const rounds = quick ? 1 : 5;
  const warm = quick ? 20_000 : 50_000;
  const messages = quick ? 60_000 : 150_000;
  const queue = (kind: Queue, wanted: boolean) => ({
    ...{ name: kind.name, missing: kind.missing, wanted },
    measure: (worker: Worker<BareConsumerCalls>, load: Load) => queueRound(kind, context, worker, load),
  });
  const brokers = [
    queue(JET_STREAM, true),
    queue(RABBIT_QUORUM, true),
    {
      ...{ name: "framed TCP, queue (no acks)", missing: undefined, wanted: false },
      measure: (worker: Worker<BareConsumerCalls>, load: Load) => framedTcpRound(context, worker, load),
    },
  ].filter((broker) => !broker.missing && !missing("redis-server"));
  const results = brokers.map(({ name, wanted }) => ({ name, wanted, rounds: [] as Round[] }));
  await using worker = await startWorker<BareConsumerCalls>(
    new URL("../lib/bare-consumer.ts", import.meta.url),
    CORES?.server,
  );
  for (let round = 0; round < rounds; round++) {
    for (const [index, { name, measure }] of brokers.entries()) {
      progress(`bridge, ${name}, round ${round + 1} of ${rounds}`);
      const load = { messages, warm, bridgeFirst: round % 2 === 1 };
      results[index]!.rounds.push(await measure(worker, load));
    }
  }
  const rows = results.map(({ name, wanted, rounds }) => ({
    ...{ name, wanted },
    bare: median(rounds.map((round) => round.bare)),
    joined: median(rounds.flatMap((round) => round.joined ?? [])),
    bridge: median(rounds.map((round) => round.bridge)),
    lost: rounds.reduce((sum, { lost }) => sum + lost, 0),
  }));
  const percent = (part: number, whole: number) =>
    Number.isFinite(whole) ? `${format((part / whole) * 100)} %` : "-";
  return {
    tables: [
      {
        title: `messages a second out of a backlog of ${format(messages)}, the first ${format(warm)} not counted`,
        columns: ["broker", "bare consumer", "bridge", "of bare", "bare, acks joined", "of it", "lost"],
        rows: rows.map(({ name, bare, joined, bridge, lost }) => [
          ...[name, format(bare), format(bridge), percent(bridge, bare)],
          ...[format(joined), percent(bridge, joined), lost],
        ]),
      },
    ],
    targets: rows
      .filter(({ wanted }) => wanted)
      .flatMap(({ name, bare, bridge }) =>
        target(
          `bridge, ${name}, of a bare consumer`,
          `at least ${WANTED} %`,
          (bridge / bare) * 100,
          " %",
          (measured) => measured >= WANTED,
        ),
      ),
    failures: rows
      .filter(({ lost }) => lost !== 0)
      .map(({ name, lost }) => `bridge, ${name}: ${lost} messages lost`),
    data: results,
  };
}

export const bridge: Section = { name: "bridge", title: "Bridge throughput", run };
