/**
 * The queue manager of the IBM MQ tests: the one that MQ_HOST and the other MQ_* settings name, else the stand-in. Either is reached
 * through a proxy in this process, so that a test can cut it off and see whether anybody is connected.
 *
 * A real one must have been set up by infra/mq/configure.sh and be there for tests alone (AUDIT.TXN is emptied), and MQ_USER must be
 * allowed to put to APP.TXN.IN as well as to read AUDIT.TXN. The native client must be where the bridge finds it.
 */
import { once } from "node:events";
import { createServer, type Socket, connect as tcpConnect } from "node:net";
import { startMqChild } from "../../bridge/ibm-mq/child.ts";
import { type MqOptions, prepareConnection } from "../../bridge/ibm-mq/connection.ts";
import { type MqConsumer, openConsumer } from "../../bridge/ibm-mq/consumer.ts";
import type { ProducerCommand, ProducerReport } from "../../bridge/ibm-mq/protocol.ts";
import { readSettings } from "../../functions/core/settings.ts";
import { silent } from "../support/logger.ts";
import { BRIDGE, missingStandIn, type StandIn, startStandIn } from "../support/mq/stand-in.ts";

/** What producers put to, and the queue of its copies. */
const SOURCE_QUEUE = "APP.TXN.IN";
export const STREAM_QUEUE = "AUDIT.TXN";

const isReal = Boolean(process.env.MQ_HOST);

/** Undefined when the tests can run. */
export const missingMq = (): string | undefined => (isReal ? undefined : missingStandIn());

export interface MqPeer extends AsyncDisposable {
  /** What a source needs to connect. */
  readonly options: MqOptions;
  /** Puts to the source queue; resolves when the copies are on the stream queue. */
  put(bodies: readonly string[]): Promise<void>;
  /** Messages on the stream queue. */
  depth(): Promise<number>;
  /** Ends every connection and takes none. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Undefined: it is a real one. */
  readonly standIn: StandIn | undefined;
}

/** Options that name no credentials and no TLS. */
export const PLAIN = {
  ...{ queueManager: "QM1", channel: BRIDGE.channel, user: BRIDGE.user, password: BRIDGE.password },
  ...{ passwordFile: undefined, ccdt: undefined },
  ...{ tlsCipher: undefined, tlsKeyRepository: undefined, tlsKeyPassword: undefined },
};

/** @param commands More MQSC, for the stand-in alone. */
export async function startMqPeer({ commands = "" } = {}): Promise<MqPeer> {
  return isReal ? await reachRealMq() : await startStandInPeer(commands);
}

/** The stand-in, and the environment the processes of sources find its library by. */
export async function startStandInForSources(commands = ""): Promise<StandIn> {
  const standIn = await startStandIn({ commands });
  Object.assign(process.env, standIn.env);
  return standIn;
}

async function startStandInPeer(commands: string): Promise<MqPeer> {
  const standIn = await startStandInForSources(commands);
  const proxy = await startProxy(standIn.host, standIn.port);
  return {
    options: { ...PLAIN, host: "127.0.0.1", port: proxy.port },
    put: (bodies) => standIn.put(SOURCE_QUEUE, ...bodies),
    depth: () => standIn.depth(STREAM_QUEUE),
    async kill() {
      await proxy.close();
      await standIn.kill();
    },
    async restart() {
      await standIn.restart();
      await proxy.listen();
    },
    standIn,
    async [Symbol.asyncDispose]() {
      await proxy.close();
      await standIn[Symbol.asyncDispose]();
    },
  };
}

async function reachRealMq(): Promise<MqPeer> {
  const settings = readSettings(process.env);
  const host = settings.MQ_HOST!;
  const direct: MqOptions = {
    ...{ host, port: settings.MQ_PORT, queueManager: settings.MQ_QMGR, channel: settings.MQ_CHANNEL },
    ...{ user: settings.MQ_USER, password: settings.MQ_PASSWORD, passwordFile: undefined },
    ...{ ccdt: undefined, tlsCipher: settings.MQ_TLS_CIPHER },
    ...{ tlsKeyRepository: settings.MQ_TLS_KEY_REPOSITORY, tlsKeyPassword: settings.MQ_TLS_KEY_PASSWORD },
  };
  const proxy = await startProxy(host, settings.MQ_PORT);
  const consume = async <T>(use: (consumer: MqConsumer) => Promise<T>) => {
    const options = { ...direct, name: "test", queue: STREAM_QUEUE, outlastMs: 0, logger: silent };
    await using consumer = await openConsumer(options, new AbortController().signal);
    return await use(consumer!);
  };
  await consume(async (consumer) => {
    while ((await consumer.depth())! > 0) {
      await consumer.fetch(500);
      consumer.settle("commit");
    }
  });
  return {
    options: { ...direct, host: "127.0.0.1", port: proxy.port },
    put: (bodies) => putThrough(direct, bodies),
    depth: () => consume(async (consumer) => (await consumer.depth())!),
    kill: () => proxy.close(),
    restart: () => proxy.listen(),
    standIn: undefined,
    [Symbol.asyncDispose]: () => proxy.close(),
  };
}

/** Bodies as they are: the publisher sends JSON alone. */
async function putThrough(options: MqOptions, bodies: readonly string[]): Promise<void> {
  const done = Promise.withResolvers<void>();
  let left = bodies.length;
  const child = startMqChild<ProducerCommand, ProducerReport>(
    new URL("../../bridge/ibm-mq/producer-process.ts", import.meta.url),
    (report) => {
      if (report.is === "committed") left -= report.messages;
      if (left === 0) done.resolve();
    },
  );
  const failed = child.ended.then((failure) => Promise.reject(new Error(JSON.stringify(failure))));
  failed.catch(() => {});
  child.send({ do: "connect", connection: await prepareConnection(options, "millrace tests") });
  for (const body of bodies) {
    child.send({
      ...{ do: "put", queue: SOURCE_QUEUE, company: undefined, body: Buffer.from(body) },
      messageId: crypto.getRandomValues(new Uint8Array(24)),
    });
  }
  await Promise.race([done.promise, failed]);
  await child.stop();
}

/** Hands on every byte, until it is closed: then it also takes no connection. */
async function startProxy(host: string, target: number) {
  const sockets = new Set<Socket>();
  let port = 0;
  const server = createServer((client) => {
    const upstream = tcpConnect(target, host);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  const listen = async () => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    port = (server.address() as { port: number }).port;
  };
  await listen();
  return {
    get port() {
      return port;
    },
    listen,
    async close() {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
