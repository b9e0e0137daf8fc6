/** The business' messages to the queues its applications read, of which the queue manager copies them to the stream queues (mqsc/). */
import { MillraceError } from "../../functions/core/errors.ts";
import { quote } from "../../functions/core/ids.ts";
import type { MqOptions } from "../ibm-mq/connection.ts";
import { connectIbmMqPublisher } from "./ibm-mq-publisher.ts";
import type { Target } from "./target.ts";

/** By the stream queue, which is the subject the bridge will see. */
const INPUTS: Readonly<Record<string, string>> = {
  "AUDIT.TXN": "APP.TXN.IN",
  "PROMO.FEED": "ORDERS.IN",
  "CENTRAL.SYNC": "INV.UPDATES",
};

/** Throws as `connectIbmMqPublisher` does. */
export async function connectIbmMqTarget(options: MqOptions): Promise<Target> {
  const publisher = await connectIbmMqPublisher(options);
  return {
    async send(message) {
      const queue = INPUTS[message.subject];
      if (queue === undefined) {
        throw new MillraceError(
          "invalid-input",
          `Cannot produce ${quote(message.subject)} to IBM MQ: no queue is known for it, expected one of ${Object.keys(INPUTS).join(", ")}`,
        );
      }
      await publisher.send({ ...message, subject: queue });
    },
    close: () => publisher.close(),
  };
}
