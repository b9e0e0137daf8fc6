/** Bridge: messages a second from a broker's backlog into the log, against a consumer of the same broker that only counts. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { freePort } from "../../support/process.ts";
import { accepts, missing, startNats, startRedis } from "../../support/servers.ts";
import { waitFor } from "../../support/wait.ts";
import type { BareConsumerCalls } from "../lib/bare-consumer.ts";
import { openRedisLog } from "../lib/logs.ts";
import { startMillrace } from "../lib/millrace.ts";
import { CORES, pin } from "../lib/processes.ts";
import { type BenchContext, format, type Section } from "../lib/section.ts";
import { median } from "../lib/statistics.ts";
import { COMPANY } from "../lib/systems.ts";
import { startWorker, type Worker } from "../lib/worker.ts";

const STREAM = "BENCH";
const TIMEOUT_MS = 60_000;

interface Round {
  /** Messages a second. */
  readonly bare: number;
  readonly bridge: number;
  readonly lost: number;
}

/** Starts a bridge and times it from the first event in the log to the last. */
async function timeBridge(env: Record<string, string>, args: readonly string[], messages: number) {
  await using redis = await startRedis();
  await pin(redis.process().pid, CORES?.rest);
  await using opened = await openRedisLog(redis.url);
  await using bridge = await startMillrace("bridge", { REDIS_URL: redis.url, ...env }, args);
  await pin(bridge.pid, CORES?.server);
  let first: { ms: number; events: number } | undefined;
  let events = 0;
  const look = async () => {
    events = (await opened.log.stats()).totalEvents;
    if (events > 0) first ??= { ms: performance.now(), events };
    return events >= messages;
  };
  await waitFor(`${messages} events in the log`, look, { timeoutMs: TIMEOUT_MS }).catch((error) => {
    if (events === 0) throw new Error(`The bridge stored nothing: ${bridge.output()}`, { cause: error });
  });
  const rate = ((events - first!.events) * 1000) / (performance.now() - first!.ms);
  return { rate, lost: messages - events };
}

async function jetStreamRound(
  { publisher }: BenchContext,
  bare: Worker<BareConsumerCalls>,
  messages: number,
): Promise<Round> {
  await using nats = await startNats();
  await pin(nats.process().pid, CORES?.rest);
  const connection = await connect({ servers: nats.url });
  try {
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: STREAM, subjects: ["metrics.*"] });
    const consumer = { ack_policy: "explicit", deliver_policy: "all", max_ack_pending: 1000 } as const;
    await manager.consumers.add(STREAM, { ...consumer, durable_name: "bare" });
    await publisher.call("open", { kind: "nats", url: nats.url, subject: "metrics.calculated" }, COMPANY);
    await publisher.call("publishNow", messages);
    await waitFor("the messages in the stream", async () => {
      const { state } = await manager.streams.info(STREAM);
      return state.messages === messages;
    });
    const bareMs = await bare.call("jetStream", nats.url, STREAM, "bare", messages);
    const yaml = join(nats.folder, "bridge.yaml");
    writeFileSync(
      yaml,
      `sources:\n  - name: bench\n    kind: nats\n    url: ${nats.url}\n    jetstream: { stream: ${STREAM}, durable: millrace }\n`,
    );
    const { rate, lost } = await timeBridge({}, ["--config", yaml], messages);
    return { bare: (messages * 1000) / bareMs, bridge: rate, lost };
  } finally {
    await publisher.call("close");
    await connection.close();
  }
}

async function framedTcpRound(
  { publisher }: BenchContext,
  bare: Worker<BareConsumerCalls>,
  messages: number,
): Promise<Round> {
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
  const bareMs = await bare.call("framedTcp", port, messages);
  await fill();
  const { rate, lost } = await timeBridge({ BROKER_ADDR: `127.0.0.1:${port}` }, [], messages);
  await publisher.call("close");
  return { bare: (messages * 1000) / bareMs, bridge: rate, lost };
}

async function run(context: BenchContext) {
  const { quick, progress } = context;
  const rounds = quick ? 1 : 3;
  const messages = quick ? 30_000 : 100_000;
  const brokers = [
    { name: "NATS JetStream, explicit acks", measure: jetStreamRound, missing: missing("nats-server") },
    { name: "framed TCP, queue", measure: framedTcpRound, missing: undefined },
  ].filter((broker) => !broker.missing);
  const results = brokers.map(({ name }) => ({ name, rounds: [] as Round[] }));
  await using bare = await startWorker<BareConsumerCalls>(
    new URL("../lib/bare-consumer.ts", import.meta.url),
    CORES?.server,
  );
  for (let round = 0; round < rounds; round++) {
    for (const [index, { name, measure }] of brokers.entries()) {
      progress(`bridge, ${name}, round ${round + 1} of ${rounds}`);
      results[index]!.rounds.push(await measure(context, bare, messages));
    }
  }
  const rows = results.map(({ name, rounds }) => ({
    name,
    bare: median(rounds.map((round) => round.bare)),
    bridge: median(rounds.map((round) => round.bridge)),
    lost: rounds.reduce((sum, { lost }) => sum + lost, 0),
  }));
  return {
    tables: [
      {
        title: `messages a second out of a backlog of ${format(messages)}`,
        columns: ["broker", "bare consumer", "bridge, into the log", "of bare", "lost"],
        rows: rows.map(({ name, bare, bridge, lost }) => [
          name,
          format(bare),
          format(bridge),
          `${format((bridge / bare) * 100)} %`,
          lost,
        ]),
      },
    ],
    targets: [],
    failures: rows
      .filter(({ lost }) => lost !== 0)
      .map(({ name, lost }) => `bridge, ${name}: ${lost} messages lost`),
    data: results,
  };
}

export const bridge: Section = { name: "bridge", title: "Bridge throughput", run };
