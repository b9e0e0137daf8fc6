/** What the bridge is compared with: consumers of the same brokers that count and do nothing else. A process of their own. */
import { connect as connectTcp } from "node:net";
import { jetstream } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import { createFrameDecoder, encodeHandshake } from "../../../bridge/broker/framing.ts";
import { nowMicros } from "./clock.ts";
import { answerCalls } from "./worker.ts";

/** Messages of one pull request, as the bridge asks by default. */
const FETCH_MESSAGES = 1000;

const calls = {
  /** Takes and acks `messages` of a JetStream stream. Resolves with the milliseconds from the first message to the last. */
  async jetStream(url: string, stream: string, durable: string, messages: number): Promise<number> {
    const connection = await connectNats({ servers: url });
    const consumer = await jetstream(connection).consumers.get(stream, durable);
    let startMicros = 0;
    let count = 0;
    while (count < messages) {
      for await (const message of await consumer.fetch({ max_messages: FETCH_MESSAGES, expires: 5000 })) {
        startMicros ||= nowMicros();
        count++;
        message.ack();
      }
    }
    await connection.flush();
    const ms = (nowMicros() - startMicros) / 1000;
    await connection.close();
    return ms;
  },

  /** Takes `messages` of a framed-TCP broker. Resolves with the milliseconds from the first message to the last. */
  framedTcp(port: number, messages: number): Promise<number> {
    const decoder = createFrameDecoder();
    const socket = connectTcp({ host: "127.0.0.1", port });
    socket.write(encodeHandshake("consumer"));
    let startMicros = 0;
    let count = 0;
    return new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("close", () => reject(new Error(`The broker closed the connection after ${count} messages`)));
      socket.on("data", (chunk: Buffer) => {
        startMicros ||= nowMicros();
        count += decoder.push(chunk).length;
        if (count < messages) return;
        resolve((nowMicros() - startMicros) / 1000);
        socket.destroy();
      });
    });
  },
};

export type BareConsumerCalls = typeof calls;

answerCalls(calls);
