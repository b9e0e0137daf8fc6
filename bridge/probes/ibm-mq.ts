/** Whether an IBM MQ source can be read. */
import { MillraceError } from "../../functions/core/errors.ts";
import type { IbmMqConfig } from "../config/ibm-mq.ts";
import { describeAddress } from "../ibm-mq/connection.ts";
import { openConsumer } from "../ibm-mq/consumer.ts";
import { refuseSourceQueue } from "../ibm-mq/source-queue.ts";
import { counted } from "./counted.ts";

/**
 * Connects, opens the queue for input, takes nothing.
 * @returns one line of what was found.
 * @throws MillraceError saying what is wrong and what to do.
 */
export async function probeIbmMq(config: IbmMqConfig, signal: AbortSignal): Promise<string> {
  const logger = { debug() {}, info() {}, warn() {}, error() {} };
  await using consumer = await openConsumer({ ...config, outlastMs: 0, logger }, signal);
  if (!consumer) {
    const message = `Cannot connect to IBM MQ at ${describeAddress(config)}: no answer, expected a queue manager that answers`;
    throw new MillraceError("unavailable", message);
  }
  const { depth, backoutThreshold, backoutQueue, streamQueue } = consumer.queue;
  refuseSourceQueue(config.queue, streamQueue);
  const target = backoutQueue || "the dead letters";
  const backout =
    backoutThreshold === 0 ? "no backout threshold" : `backout at ${backoutThreshold} to ${target}`;
  const messages = depth === undefined ? "" : `, queue "${config.queue}" holds ${counted(depth, "message")}`;
  return `queue manager ${config.queueManager} answers${messages}, ${backout}`;
}
