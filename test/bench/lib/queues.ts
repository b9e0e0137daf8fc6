/**
 * The brokers with acks as the bench uses them: filled by the publisher, read by the bridge and by a bare consumer, each from the start of
 * a queue of its own. IBM MQ is not among them: its stand-in is no queue manager, and its speed says nothing.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { declareQueue } from "../../../bridge/rabbitmq-topology.ts";
import { startRabbitMq, withChannel } from "../../support/rabbitmq.ts";
import { missing, startNats } from "../../support/servers.ts";
import type { BareConsumerCalls } from "./bare-consumer.ts";
import type { PublishTarget } from "./outlet.ts";
import { CORES, pin } from "./processes.ts";
import type { Worker } from "./worker.ts";

/** Unacked messages of one consumer: the default of both sources, and what the bare consumers have too. */
export const PREFETCH = 1000;

const STREAM = "BENCH";
const SUBJECT = "metrics.calculated";
const EXCHANGE = "events";
const DEAD_LETTER_EXCHANGE = "events.dlx";
/** What the source declares where bridge.yaml says nothing else. */
const QUEUE_TYPE = "quorum";

export interface RunningQueue extends AsyncDisposable {
  readonly target: PublishTarget;
  /** Of the bridge. */
  readonly bridgeFile: string;
  /** Messages in the bridge's queue that no consumer has been given. */
  ready(): Promise<number>;
  /** Messages the bridge was given and has not acked. */
  unacked(): Promise<number>;
  /** Milliseconds of a bare consumer from message `warm` to message `messages`. */
  bare(worker: Worker<BareConsumerCalls>, messages: number, warm: number): Promise<number>;
  /** As `bare`, with one ack for many messages; undefined where the broker has none. */
  bareJoined?(worker: Worker<BareConsumerCalls>, messages: number, warm: number): Promise<number>;
}

export interface Queue {
  readonly name: string;
  /** Undefined when it can be started here; else why not. */
  readonly missing: string | undefined;
  /** @param options.bare Also what the bare consumers read: a copy of every message, where the broker keeps one for each. */
  start(options?: { readonly bare: boolean }): Promise<RunningQueue>;
}

async function startJetStream(): Promise<RunningQueue> {
  await using stack = new AsyncDisposableStack();
  const nats = stack.use(await startNats());
  await pin(nats.process().pid, CORES?.rest);
  const connection = await connectNats({ servers: nats.url });
  stack.defer(() => connection.close());
  const { streams, consumers } = await jetstreamManager(connection);
  await streams.add({ name: STREAM, subjects: ["metrics.*"] });
  for (const durable_name of ["bare", "millrace"]) {
    await consumers.add(STREAM, {
      ...{ durable_name, ack_policy: "explicit", deliver_policy: "all", max_ack_pending: PREFETCH },
    });
  }
  const info = () => consumers.info(STREAM, "millrace");
  const bridgeFile = writeBridgeFile(stack, [
    "kind: nats",
    `url: ${nats.url}`,
    `jetstream: { stream: ${STREAM}, durable: millrace }`,
  ]);
  const owned = stack.move();
  return {
    target: { kind: "nats", url: nats.url, subject: SUBJECT },
    bridgeFile,
    ready: async () => (await info()).num_pending,
    unacked: async () => (await info()).num_ack_pending,
    bare: (worker, messages, warm) => worker.call("jetStream", nats.url, STREAM, "bare", messages, warm),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function startRabbit(bare = false): Promise<RunningQueue> {
  await using stack = new AsyncDisposableStack();
  const rabbit = stack.use(await startRabbitMq());
  const { url } = rabbit;
  await pin(rabbit.process().pid, CORES?.rest);
  // As the source declares its own, so that all three are alike.
  const queues = ["millrace", ...(bare ? ["bare", "joined"] : [])];
  await withChannel(url, async (channel) => {
    await channel.assertExchange(EXCHANGE, "topic");
    for (const queue of queues) {
      const topology = { exchange: EXCHANGE, bindings: [], deadLetterExchange: DEAD_LETTER_EXCHANGE };
      await declareQueue(channel, { queue, queueType: QUEUE_TYPE, declare: true, ...topology });
      await channel.bindQueue(queue, EXCHANGE, "#");
    }
  });
  /** One number about the bridge's queue. */
  const ask = async (column: string) => {
    const lines = (await rabbit.ctl("list_queues", "name", column)).split("\n");
    return Number(lines.find((line) => line.startsWith("millrace\t"))?.split("\t")[1]);
  };
  const bridgeFile = writeBridgeFile(stack, [
    "kind: rabbitmq",
    `url: ${url}`,
    "queue: millrace",
    `queueType: ${QUEUE_TYPE}`,
  ]);
  const owned = stack.move();
  return {
    target: { kind: "rabbitmq", url, exchange: EXCHANGE, routingKey: SUBJECT },
    bridgeFile,
    ready: () => ask("messages_ready"),
    unacked: () => ask("messages_unacknowledged"),
    bare: (worker, messages, warm) => worker.call("rabbitMq", url, "bare", messages, warm, 1),
    bareJoined: (worker, messages, warm) =>
      worker.call("rabbitMq", url, "joined", messages, warm, PREFETCH / 4),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** @param lines Of the one source. */
function writeBridgeFile(stack: AsyncDisposableStack, lines: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "bridge.yaml");
  writeFileSync(file, `sources:\n  - name: bench\n${lines.map((line) => `    ${line}\n`).join("")}`);
  return file;
}

export const JET_STREAM: Queue = {
  name: "NATS JetStream",
  missing: missing("nats-server"),
  start: startJetStream,
};

export const RABBIT_QUORUM: Queue = {
  name: "RabbitMQ, quorum queue",
  missing: missing("rabbitmq-server"),
  start: (options) => startRabbit(options?.bare),
};
