/** Producers of numbered messages, and a steady load of them. */
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { connectProducer } from "../../../bridge/broker/client.ts";

const SUBJECT = "metrics.calculated";

/** The id the message with this number is sent under. */
export const idOf = (n: number) => `m${n}`;

export interface Message {
  readonly n: number;
  readonly id: string;
  /** JSON. */
  readonly body: string;
}

/** `pad`: characters the payload is made larger by. */
export function message(company: string, n: number, pad = 0): Message {
  const more = pad === 0 ? "" : `,"pad":"${"x".repeat(pad)}"`;
  const id = idOf(n);
  return { n, id, body: `{"companyId":"${company}","n":${n},"messageId":"${id}","at":${Date.now()}${more}}` };
}

export interface Producer extends AsyncDisposable {
  /** Sends them in this order. Resolves when the broker has them, as far as the protocol tells. */
  send(messages: readonly Message[]): Promise<void>;
}

/**
 * JetStream, each message with its `Nats-Msg-Id`. It goes on until the server has acknowledged all: what is sent again
 * is known to the stream by its id. One connection is used until it is lost, and none reconnects by itself: a message it had held back would
 * come behind those that were sent again.
 */
export function openJetStream(url: string, subject = SUBJECT): Producer {
  let connection: Promise<NatsConnection> | undefined;
  let isClosed = false;
  return {
    async send(messages) {
      for (let left = messages; left.length > 0 && !isClosed; ) {
        try {
          connection ??= connect({ servers: url, reconnect: false });
          const js = jetstream(await connection, { timeout: 5000 });
          const results = await Promise.allSettled(
            left.map(({ id, body }) => js.publish(subject, body, { msgID: id })),
          );
          const failed = results.findIndex(({ status }) => status === "rejected");
          left = failed < 0 ? [] : left.slice(failed);
          if (failed >= 0) throw (results[failed] as PromiseRejectedResult).reason;
        } catch {
          await connection?.then((lost) => lost.close()).catch(() => {});
          connection = undefined;
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      await (await connection?.catch(() => undefined))?.close();
    },
  };
}

/** Makes the stream that the JetStream source reads. */
export async function addStream(url: string): Promise<void> {
  const connection = await connect({ servers: url });
  const { streams } = await jetstreamManager(connection);
  await streams.add({ name: "METRICS", subjects: ["metrics.*"] });
  await connection.close();
}

export async function openCoreNats(url: string): Promise<Producer> {
  const connection = await connect({ servers: url });
  return {
    async send(messages) {
      for (const { body } of messages) connection.publish(SUBJECT, body);
      await connection.flush();
    },
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

export async function openFramedTcp(port: number): Promise<Producer> {
  const client = await connectProducer({ host: "127.0.0.1", port });
  return {
    async send(messages) {
      for (const { body } of messages) await client.send(new TextEncoder().encode(body));
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
}

export interface Load extends AsyncDisposable {
  /** Numbers from 1 to this have been handed to the producer, and the broker has them. */
  readonly sent: number;
  /** Sends no more. Resolves with the last number that was sent. */
  stop(): Promise<number>;
}

/** A steady load, numbered from 1. `perSecond` is what it aims at; a producer that waits makes it slower. */
export function startLoad(
  producer: Producer,
  { company, perSecond, pad = 0 }: { company: string; perSecond: number; pad?: number },
): Load {
  const startMs = performance.now();
  let sent = 0;
  let isStopped = false;
  const run = async () => {
    while (!isStopped) {
      const due = Math.floor(((performance.now() - startMs) * perSecond) / 1000) - sent;
      // A tenth of a second's at most: what was held up is not made good for in one go.
      const count = Math.min(due, Math.ceil(perSecond / 10));
      if (count > 0) {
        await producer.send(
          Array.from({ length: count }, (_, index) => message(company, sent + 1 + index, pad)),
        );
        sent += count;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const running = run();
  running.catch(() => {});
  const stop = async () => {
    isStopped = true;
    await running;
    return sent;
  };
  return {
    get sent() {
      return sent;
    },
    stop,
    async [Symbol.asyncDispose]() {
      // Not waited for: a test that failed may have left a broker that takes nothing. The producer's own end ends it.
      isStopped = true;
    },
  };
}
