/** A source on a queue, read by a test. */
import { onTestFinished } from "vitest";
import { createDecode, type DecodeRules } from "../../bridge/decode.ts";
import { createIbmMqSource, type IbmMqOptions } from "../../bridge/sources/ibm-mq.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { MillraceEvent } from "../../functions/core/event.ts";
import type { Batch, BrokerSource } from "../../functions/ports/broker-source.ts";
import { recordingLogger } from "../support/logger.ts";
import type { StandIn } from "../support/mq/stand-in.ts";
import { PLAIN } from "./ibm-mq-peer.ts";

type RecordingLogger = ReturnType<typeof recordingLogger>;

export function openSource(
  { host, port }: Pick<StandIn, "host" | "port">,
  queue: string,
  options: Partial<IbmMqOptions> = {},
  rules: DecodeRules = {},
): {
  readonly source: BrokerSource;
  readonly seen: { readonly connected: number };
  readonly lines: RecordingLogger["lines"];
} {
  const logger = recordingLogger();
  const seen = { connected: 0 };
  const source = createIbmMqSource({
    ...PLAIN,
    ...{ host, port, name: queue.toLowerCase(), queue, batchMessages: 200, logger },
    decode: createDecode({
      source: `/ibm-mq/${queue}`,
      rules,
      lastResortId: "content",
      binary: "preview",
    }),
    events: { connected: () => void seen.connected++, dropped() {} },
    ...options,
  });
  return { source, seen, lines: logger.lines };
}

export function readFrom(source: BrokerSource) {
  const stop = new AbortController();
  const batches = source.deliveries(stop.signal)[Symbol.asyncIterator]();
  onTestFinished(async () => {
    stop.abort();
    await batches.return?.();
  });
  const next = async (): Promise<Batch | undefined> => {
    const result = await batches.next();
    return result.done ? undefined : result.value;
  };
  return {
    next,
    abort: () => stop.abort(),
    /** Deliveries until there are so many, each batch acked. */
    async take(count: number) {
      const taken: Batch["deliveries"][number][] = [];
      while (taken.length < count) {
        const batch = await next();
        if (!batch) throw new Error(`The source ended after ${taken.length} of ${count}`);
        taken.push(...batch.deliveries);
        await batch.ack();
      }
      return taken;
    },
  };
}

export const eventsOf = (deliveries: Batch["deliveries"]): MillraceEvent[] =>
  deliveries.flatMap((delivery) => ("event" in delivery ? [delivery.event] : []));

export const idsOf = (deliveries: Batch["deliveries"]): string[] => eventsOf(deliveries).map(({ id }) => id);

export const numbersOf = (deliveries: Batch["deliveries"]): number[] =>
  eventsOf(deliveries).map(({ data }) => JSON.parse(data).n);

export const reasonsOf = (deliveries: Batch["deliveries"]): string[] =>
  deliveries.flatMap((delivery) => ("undecodable" in delivery ? [delivery.undecodable.reason] : []));

export async function errorOf(promise: Promise<unknown>): Promise<MillraceError> {
  const error = await promise.then(
    (value) => new Error(`Resolved with ${JSON.stringify(value)}`),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MillraceError)) throw error;
  return error;
}

/** Of the sources on a queue. */
export async function connectionsOf(standIn: StandIn, queueName: string): Promise<number> {
  const connections = await standIn.connections();
  return connections.filter(({ applName }) => applName === `millrace ${queueName.toLowerCase()}`).length;
}
