/**
 * Messages to queues of IBM MQ: the JSON body on the queue that the subject names, persistent, the company as property `companyid`,
 * the MsgId made of the message's id. So a message that is sent again after an error is the same one, and the log stores it once.
 */
import { hash } from "node:crypto";
import type { MillraceError } from "../../functions/core/errors.ts";
import { startMqChild } from "../ibm-mq/child.ts";
import { type MqOptions, prepareConnection } from "../ibm-mq/connection.ts";
import { mqError } from "../ibm-mq/errors.ts";
import type { ProducerCommand, ProducerReport } from "../ibm-mq/protocol.ts";
import { encodeBody, type Message, type Send } from "./message.ts";

/** Messages sent and not committed: bounds what is held when the queue manager is slow. */
const IN_FLIGHT = 256;
/** Bytes of a MsgId. */
const MESSAGE_ID_BYTES = 24;

export interface IbmMqPublisher {
  /**
   * Resolves when there is room for the next.
   * @throws MillraceError when an earlier one could not be put: `forbidden` without the right, `invalid-settings` where there is no such
   * queue, else `unavailable`. Nothing is sent after that.
   */
  readonly send: Send;
  /** Resolves when everything is on its queue, and disconnects. Throws as `send` does. */
  close(): Promise<void>;
}

/** @throws MillraceError saying what stands in the way: address, queue manager, channel, credentials, the client library. */
export async function connectIbmMqPublisher(options: MqOptions): Promise<IbmMqPublisher> {
  const connection = await prepareConnection(options, "millrace produce");
  const connected = Promise.withResolvers<void>();
  let inFlight = 0;
  let progress = Promise.withResolvers<void>();
  const child = startMqChild<ProducerCommand, ProducerReport>(
    new URL(import.meta.resolve("../ibm-mq/producer-process.ts")),
    (report) => {
      if (report.is === "connected") connected.resolve();
      else {
        inFlight -= report.messages;
        progress.resolve();
        progress = Promise.withResolvers();
        progress.promise.catch(() => {});
      }
    },
  );
  let failed: MillraceError | undefined;
  const lost = child.ended.then((failure) => {
    failed = mqError(failure ?? { kind: "process", detail: "it was closed" }, {
      ...options,
      hasPassword: connection.password !== undefined,
      queue: undefined,
      rights: "PUT",
    });
    progress.reject(failed);
    throw failed;
  });
  lost.catch(() => {});
  progress.promise.catch(() => {});
  try {
    child.send({ do: "connect", connection });
    await Promise.race([connected.promise, lost]);
  } catch (error) {
    await child.stop();
    throw error;
  }

  return {
    async send(message: Message) {
      if (failed) throw failed;
      inFlight++;
      child.send({
        do: "put",
        queue: message.subject,
        messageId: hash("sha256", message.id, "buffer").subarray(0, MESSAGE_ID_BYTES),
        company: message.companyId,
        body: encodeBody(message),
      });
      while (inFlight >= IN_FLIGHT) await progress.promise;
    },
    async close() {
      try {
        while (inFlight > 0) await progress.promise;
      } finally {
        await child.stop();
      }
    },
  };
}
