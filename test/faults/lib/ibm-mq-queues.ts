/** Queues of the stand-in queue manager: what producers put to, its stream queue that a bridge reads, and a backout queue. */
import { startMqChild } from "../../../bridge/ibm-mq/child.ts";
import { prepareConnection } from "../../../bridge/ibm-mq/connection.ts";
import type { ProducerCommand, ProducerReport } from "../../../bridge/ibm-mq/protocol.ts";
import { BRIDGE, PRODUCER, type StandIn, startStandIn } from "../../support/mq/stand-in.ts";
import { idOf, type Message, type Producer } from "./load.ts";
import type { QueueBroker, TestQueue } from "./queue-broker.ts";

export interface MqQueue extends TestQueue {
  /** What producers put to. */
  readonly sourceQueue: string;
  readonly streamQueue: string;
  readonly backoutQueue: string;
}

export interface MqQueues extends QueueBroker {
  readonly standIn: StandIn;
  /** @param attributes Of the stream queue, in MQSC, and the quality of service. */
  open(name: string, attributes?: { stream?: string; qos?: "MUSTDUP" | "BESTEF" }): Promise<MqQueue>;
}

/** 24 bytes: the MsgId of the message with this number. */
const msgIdOf = (n: number): Buffer => Buffer.alloc(24, 0).fill(idOf(n), 0, idOf(n).length);

export async function startMqQueues(): Promise<MqQueues> {
  const standIn = await startStandIn();
  // The producers of these tests are processes of this one.
  Object.assign(process.env, standIn.env);

  const open: MqQueues["open"] = async (
    name,
    { stream = "MAXDEPTH(500000) BOTHRESH(5)", qos = "MUSTDUP" } = {},
  ) => {
    const streamQueue = name.toUpperCase().replaceAll("-", ".");
    const [sourceQueue, backoutQueue] = [`${streamQueue}.IN`, `${streamQueue}.BACKOUT`];
    const allow = (queue: string, user: string, rights: string) =>
      `SET AUTHREC PROFILE(${queue}) OBJTYPE(QUEUE) PRINCIPAL('${user}') AUTHADD(${rights})`;
    const results = await standIn.run(
      [
        `DEFINE QLOCAL(${backoutQueue}) DEFPSIST(YES)`,
        `DEFINE QLOCAL(${streamQueue}) DEFPSIST(YES) SHARE MSGDLVSQ(FIFO) BOQNAME(${backoutQueue}) ${stream}`,
        `DEFINE QLOCAL(${sourceQueue}) DEFPSIST(YES) MAXDEPTH(500000) STREAMQ(${streamQueue}) STRMQOS(${qos})`,
        allow(streamQueue, BRIDGE.user, "GET,INQ"),
        allow(backoutQueue, BRIDGE.user, "PUT,SETALL"),
        allow(sourceQueue, PRODUCER.user, "PUT"),
      ].join("\n"),
    );
    const refused = results.find(({ isOk }) => !isOk);
    if (refused) throw new Error(`${refused.command}: ${refused.answer}`);
    return {
      ...{ name, sourceQueue, streamQueue, backoutQueue },
      source: ({ port = standIn.port, prefetch = 200, type } = {}) => ({
        ...{ name, kind: "ibm-mq", queue: streamQueue, host: "127.0.0.1", port },
        ...{ queueManager: standIn.queueManager, channel: BRIDGE.channel, user: BRIDGE.user },
        batchMessages: prefetch,
        ...(type === undefined ? {} : { type: { value: type } }),
      }),
      producer: () => openSyncpoint(standIn, sourceQueue),
      async publish(messages) {
        for (const { body, headers: properties = {} } of messages) {
          await standIn.putWith({ queue: sourceQueue, properties }, body);
        }
      },
      async held() {
        // Not what is hidden on the queue: that may be a producer's, not committed yet.
        const bridges = (await standIn.connections()).filter(
          ({ applName }) => applName === `millrace ${name}`,
        );
        const unacked = bridges.reduce((sum, { gets }) => sum + gets, 0);
        return { ready: await standIn.depth(streamQueue), unacked };
      },
      idOf: (n) => msgIdOf(n).toString("hex"),
      forgotten: async () => {},
    };
  };

  return {
    standIn,
    port: standIn.port,
    env: { ...standIn.env, MQ_PASSWORD: BRIDGE.password },
    open,
    restart: () => standIn.restart(),
    [Symbol.asyncDispose]: () => standIn[Symbol.asyncDispose](),
  };
}

/** Puts in syncpoint through the real package: what was not committed, as far as is known, is put again with its MsgId. */
function openSyncpoint({ host, port, queueManager }: StandIn, queue: string): Producer {
  const connection = {
    ...{ host, port, queueManager, ...PRODUCER, passwordFile: undefined, ccdt: undefined },
    ...{ tlsCipher: undefined, tlsKeyRepository: undefined, tlsKeyPassword: undefined },
  };
  const openLink = async () => {
    let committed = 0;
    let news = Promise.withResolvers<void>();
    const child = startMqChild<ProducerCommand, ProducerReport>(
      new URL("../../../bridge/ibm-mq/producer-process.ts", import.meta.url),
      (report) => {
        if (report.is === "committed") committed += report.messages;
        news.resolve();
      },
    );
    let isOver = false;
    const over = child.ended.then(() => {
      isOver = true;
    });
    child.send({ do: "connect", connection: await prepareConnection(connection, "millrace faults") });
    return {
      /** Resolves with how many of them are known to be committed. */
      async put(messages: readonly Message[]): Promise<number> {
        committed = 0;
        for (const { n, body } of messages) {
          child.send({
            ...{ do: "put", queue, company: undefined, body: Buffer.from(body) },
            messageId: msgIdOf(n),
          });
        }
        while (committed < messages.length && !isOver) {
          news = Promise.withResolvers();
          if (committed < messages.length) await Promise.race([news.promise, over]);
        }
        return committed;
      },
      get isOver() {
        return isOver;
      },
      stop: () => child.stop(),
    };
  };
  let isClosed = false;
  let link: Awaited<ReturnType<typeof openLink>> | undefined;
  return {
    async send(messages) {
      for (let left = messages; left.length > 0 && !isClosed; ) {
        if (!link || link.isOver) link = await openLink();
        left = left.slice(await link.put(left));
        if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await link?.stop();
    },
  };
}
