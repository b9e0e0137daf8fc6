/** The durable pull consumer of a JetStream stream: found, or made when it is missing. */
import {
  AckPolicy,
  type ConsumerInfo,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
} from "@nats-io/jetstream";
import { type NatsConnection, nanos } from "@nats-io/transport-node";
import { MillraceError } from "../functions/core/errors.ts";
import type { Logger } from "../functions/core/logger.ts";

export interface ConsumerOptions {
  readonly stream: string;
  /** Name of the consumer. Bridges with the same one share its messages. */
  readonly durable: string;
  /** What a new one gets; empty: the whole stream. More than one needs nats-server 2.10. */
  readonly subjects: readonly string[];
  /** Where a new one begins. */
  readonly deliver: "all" | "new";
  /** Milliseconds after which the server delivers again what a dead bridge held. */
  readonly ackWaitMs: number;
  /** Unacked messages over all bridges. */
  readonly maxAckPending: number;
}

/**
 * One that exists is used as it is, so that an operator's settings stand; a warning says where they differ from ours.
 * @throws MillraceError `invalid-settings` when the stream is missing, the consumer is no pull consumer with explicit acks, or the
 * server refuses to make it; what the client library throws when the server does not answer.
 */
export async function openConsumer(
  connection: NatsConnection,
  options: ConsumerOptions,
  logger: Logger,
): Promise<ConsumerInfo> {
  const { stream, durable } = options;
  const { consumers } = await jetstreamManager(connection, { checkAPI: false });
  const found = await consumers.info(stream, durable).catch((error: unknown) => {
    if (codeOf(error) === JetStreamApiCodes.ConsumerNotFound) return undefined;
    throw refusal(options, error);
  });
  if (!found) {
    return await consumers.add(stream, wantedConfig(options)).catch((error: unknown) => {
      throw refusal(options, error);
    });
  }
  const { ack_policy, deliver_subject } = found.config;
  if (ack_policy !== AckPolicy.Explicit || deliver_subject) {
    const was = deliver_subject ? "it is a push consumer" : `its ack policy is ${ack_policy}`;
    throw new MillraceError(
      "invalid-settings",
      `Cannot use JetStream consumer "${durable}" of stream "${stream}": ${was}, expected a pull consumer with explicit acks`,
    );
  }
  const differing = Object.entries(wantedConfig(options)).filter(
    ([key, value]) =>
      key !== "deliver_policy" &&
      JSON.stringify(found.config[key as keyof typeof found.config]) !== JSON.stringify(value),
  );
  if (differing.length > 0) {
    const settings = differing.map(([key]) => key);
    logger.warn(
      { stream, durable, settings },
      "JetStream consumer has other settings than bridge.yaml; its own are used",
    );
  }
  return found;
}

function wantedConfig({ durable, subjects, deliver, ackWaitMs, maxAckPending }: ConsumerOptions) {
  return {
    durable_name: durable,
    ack_policy: AckPolicy.Explicit,
    deliver_policy: deliver === "new" ? DeliverPolicy.New : DeliverPolicy.All,
    ack_wait: nanos(ackWaitMs),
    max_ack_pending: maxAckPending,
    // One filter is all a server before 2.10 knows.
    ...(subjects.length === 1 ? { filter_subject: subjects[0]! } : {}),
    ...(subjects.length > 1 ? { filter_subjects: [...subjects] } : {}),
  };
}

function refusal({ stream, durable }: ConsumerOptions, cause: unknown): unknown {
  if (!(cause instanceof JetStreamApiError)) return cause;
  if (codeOf(cause) === JetStreamApiCodes.StreamNotFound) {
    return new MillraceError(
      "invalid-settings",
      `Cannot read from JetStream stream "${stream}": it does not exist, expected it to be made first (nats stream add ${stream})`,
      { cause },
    );
  }
  // 5xx: the server cannot now (no leader yet, out of resources).
  return new MillraceError(
    cause.status >= 500 ? "unavailable" : "invalid-settings",
    `Cannot open JetStream consumer "${durable}" of stream "${stream}": ${cause.message}, expected the server to take it`,
    { cause },
  );
}

function codeOf(error: unknown): number | undefined {
  return error instanceof JetStreamApiError ? error.code : undefined;
}
