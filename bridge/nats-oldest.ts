/** The oldest message a JetStream stream holds for a consumer. */
import { jetstreamManager, type NextMsgRequest } from "@nats-io/jetstream";
import { millis, type NatsConnection } from "@nats-io/transport-node";
import type { BrokerSource } from "../functions/ports/broker-source.ts";

/**
 * As BrokerSource.oldestHeld, but may throw. What the consumer has given out and has no ack for is not held: that is in a bridge's hand. A stream
 * may forget for other reasons than age (`max_msgs`, `max_bytes`), which tells no time.
 */
export async function oldestPending(
  connection: NatsConnection,
  { stream, durable }: { readonly stream: string; readonly durable: string },
): ReturnType<NonNullable<BrokerSource["oldestHeld"]>> {
  const { consumers, streams } = await jetstreamManager(connection, { checkAPI: false });
  const { num_pending, delivered, config } = await consumers.info(stream, durable);
  if (num_pending === 0) return undefined;
  // Of a consumer with several filters: one of another subject may be older, and then the answer is too early, never too late.
  const subject =
    config.filter_subject ?? (config.filter_subjects?.length === 1 ? config.filter_subjects[0] : undefined);
  // The server takes it here too (JetStream API, STREAM.MSG.GET); the client's types say so of direct requests alone.
  const next: NextMsgRequest & { readonly seq: number } = {
    seq: delivered.stream_seq + 1,
    next_by_subj: subject ?? ">",
  };
  const [message, info] = await Promise.all([streams.getMessage(stream, next), streams.info(stream)]);
  if (!message) return undefined;
  const atMs = message.time.getTime();
  const maxAgeMs = millis(info.config.max_age);
  return maxAgeMs === 0 ? { atMs } : { atMs, lostAtMs: atMs + maxAgeMs };
}
