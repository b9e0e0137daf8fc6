/** One consumer process and what is asked of it. */
import type { MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { type MqChild, startMqChild } from "./child.ts";
import { type MqOptions, prepareConnection } from "./connection.ts";
import { type MqContext, mqError } from "./errors.ts";
import type { ConsumerCommand, ConsumerReport, MqMessage, QueueFacts } from "./protocol.ts";

/** Milliseconds: what is left of a bridge that was killed is gone by then. Bridges that share the queue stay. */
const OUTLAST_MS = 3000;
/** Milliseconds to wait for the depth: a get waits for less. */
const DEPTH_MS = 2000;
/** Milliseconds a process that is not connected yet has to end. */
const CONNECTING_STOP_MS = 500;

export interface MqConsumer extends AsyncDisposable {
  readonly queue: QueueFacts;
  /**
   * Messages got into the unit of work, in the order of the queue: up to `room`, as soon as there is one, none after the abort.
   * @throws MillraceError when the connection is lost, or the process.
   */
  fetch(room: number): Promise<readonly MqMessage[]>;
  /** The fetch that is under way answers now, with what there is. */
  cancel(): void;
  /** Rejects when the connection is lost, or the process. */
  readonly lost: Promise<never>;
  /** What happens to the unit of work. Does not wait; a commit that fails ends the consumer, so the next `fetch` throws. */
  settle(how: "commit" | "back"): void;
  /** Messages on the queue; undefined when that cannot be told now. */
  depth(): Promise<number | undefined>;
}

export interface ConsumerOptions extends MqOptions {
  readonly name: string;
  readonly queue: string;
  /** Milliseconds that other readers of the queue are given to go before this one begins. Default 3000. */
  readonly outlastMs?: number;
  readonly logger: Logger;
}

/**
 * @returns undefined when the signal aborted first. Close it: what is not committed is backed out.
 * @throws MillraceError when it cannot connect, or the queue is not one to be read.
 */
export async function openConsumer(
  options: ConsumerOptions,
  signal: AbortSignal,
): Promise<MqConsumer | undefined> {
  const { name, queue, outlastMs = OUTLAST_MS, logger } = options;
  const connection = await prepareConnection(options, `millrace ${name}`);
  if (signal.aborted) return undefined;
  const context: MqContext = {
    ...options,
    hasPassword: connection.password !== undefined,
    rights: "GET,INQ",
  };
  const connected = Promise.withResolvers<QueueFacts>();
  let batch: PromiseWithResolvers<readonly MqMessage[]> | undefined;
  let failed: MillraceError | undefined;
  let depths: ((messages: number | undefined) => void)[] = [];

  const child: MqChild<ConsumerCommand> = startMqChild<ConsumerCommand, ConsumerReport>(
    new URL(import.meta.resolve("./consumer-process.ts")),
    (report) => {
      if (report.is === "connected") connected.resolve(report.queue);
      else if (report.is === "batch") batch?.resolve(report.messages);
      else if (report.is === "depth") depths.shift()?.(report.messages);
      else if (report.is === "moved") {
        const { messageId, backoutCount, to } = report;
        logger.warn(
          { source: name, queue, messageId, backoutCount, to },
          "Message was backed out too often and went to the backout queue",
        );
      }
    },
  );
  const lost = child.ended.then((failure) => {
    for (const answer of depths) answer(undefined);
    depths = [];
    failed = mqError(failure ?? { kind: "process", detail: "it was stopped" }, context);
    batch?.reject(failed);
    throw failed;
  });
  lost.catch(() => {});
  const aborted = Promise.withResolvers<undefined>();
  const onAbort = () => {
    child.send({ do: "cancel" });
    aborted.resolve(undefined);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  const close = async (graceMs?: number) => {
    signal.removeEventListener("abort", onAbort);
    await child.stop(graceMs);
  };

  let facts: QueueFacts | undefined;
  try {
    child.send({ do: "connect", connection, queue, outlastMs });
    facts = await Promise.race([connected.promise, lost, aborted.promise]);
  } finally {
    // While it connects it is deaf, for minutes where nobody answers; and it holds nothing.
    if (!facts) await close(CONNECTING_STOP_MS);
  }
  if (!facts) return undefined;
  return {
    queue: facts,
    async fetch(room) {
      if (signal.aborted) return [];
      if (failed) throw failed;
      batch = Promise.withResolvers();
      child.send({ do: "fetch", room });
      return await batch.promise;
    },
    cancel: () => child.send({ do: "cancel" }),
    lost,
    settle: (how) => child.send({ do: how }),
    async depth() {
      if (failed) return undefined;
      const { promise, resolve } = Promise.withResolvers<number | undefined>();
      depths.push(resolve);
      child.send({ do: "inquire-depth" });
      const timer = setTimeout(resolve, DEPTH_MS, undefined);
      const messages = await promise;
      clearTimeout(timer);
      return messages;
    },
    [Symbol.asyncDispose]: () => close(),
  };
}
