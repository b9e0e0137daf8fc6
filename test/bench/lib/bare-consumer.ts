/** What the bridge is compared with: consumers of the same brokers that count and do nothing else. A process of their own. */
import { connect as connectTcp } from "node:net";
import { jetstream } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { connect as connectAmqp } from "amqplib";
import { createFrameDecoder, encodeHandshake } from "../../../bridge/broker/framing.ts";
import { nowMicros } from "./clock.ts";
import { PREFETCH } from "./queues.ts";
import { answerCalls } from "./worker.ts";

/** Counts messages, and milliseconds from the message `warm` on. */
function clockFrom(warm: number) {
  let count = 0;
  let startMicros = 0;
  return {
    get count() {
      return count;
    },
    tick(messages: number) {
      count += messages;
      if (count >= warm) startMicros ||= nowMicros();
    },
    ms: () => (nowMicros() - startMicros) / 1000,
  };
}

const calls = {
  /** Takes and acks `messages` of a JetStream stream. Resolves with the milliseconds from message `warm` to the last. */
  async jetStream(
    url: string,
    stream: string,
    durable: string,
    messages: number,
    warm: number,
  ): Promise<number> {
    const connection = await connectNats({ servers: url });
    const consumer = await jetstream(connection).consumers.get(stream, durable);
    const clock = clockFrom(warm);
    while (clock.count < messages) {
      for await (const message of await consumer.fetch({ max_messages: PREFETCH, expires: 5000 })) {
        clock.tick(1);
        message.ack();
      }
    }
    await connection.flush();
    const ms = clock.ms();
    await connection.close();
    return ms;
  },

  /** As `jetStream`, of a RabbitMQ queue; one ack for each `joined` messages. */
  async rabbitMq(
    url: string,
    queue: string,
    messages: number,
    warm: number,
    joined: number,
  ): Promise<number> {
    const connection = await connectAmqp(url);
    const channel = await connection.createChannel();
    await channel.prefetch(PREFETCH);
    const clock = clockFrom(warm);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    connection.on("error", reject);
    channel.on("error", reject);
    await channel.consume(queue, (message) => {
      if (!message) return reject(new Error(`RabbitMQ cancelled the consumer of queue ${queue}`));
      clock.tick(1);
      if (clock.count % joined === 0 || clock.count === messages) channel.ack(message, joined > 1);
      if (clock.count === messages) resolve();
    });
    await promise;
    const ms = clock.ms();
    await channel.close();
    await connection.close();
    return ms;
  },

  /** As `jetStream`, of a framed-TCP broker, which knows no acks. */
  framedTcp(port: number, messages: number, warm: number): Promise<number> {
    const decoder = createFrameDecoder();
    const socket = connectTcp({ host: "127.0.0.1", port });
    socket.write(encodeHandshake("consumer"));
    const clock = clockFrom(warm);
    return new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", () =>
        reject(new Error(`The broker closed the connection after ${clock.count} messages`)),
      );
      socket.on("data", (chunk: Buffer) => {
        clock.tick(decoder.push(chunk).length);
        if (clock.count < messages) return;
        resolve(clock.ms());
        socket.destroy();
      });
    });
  },
};

export type BareConsumerCalls = typeof calls;

answerCalls(calls);
