/** The servers of one file of queue-faults.ts, and what its tests ask of them. */
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import type { StoredDeadLetter } from "../../../functions/ports/dead-letters.ts";
import { accepts } from "../../support/servers.ts";
import { waitFor } from "../../support/wait.ts";
import { upTo } from "./compare.ts";
import { type ExpectOptions, expectLogged, type LogView } from "./log.ts";
import { type BridgeProcess, startBridge } from "./millrace.ts";
import type { QueueBroker, SourceOptions, TestQueue } from "./queue-broker.ts";
import { type DurableRedis, deadLetters, startDurableRedis } from "./redis.ts";

export interface QueueFixture<Broker extends QueueBroker> {
  /** There once the tests run. */
  readonly broker: Broker;
  readonly redis: DurableRedis;
  /** A bridge on the queue. */
  run(queue: TestQueue, options?: SourceOptions & { readonly redisUrl?: string }): Promise<BridgeProcess>;
  /** The broker has every ack. */
  isEmpty(queue: TestQueue): Promise<boolean>;
  /** Everything up to this number is in the log, once, and nothing can come any more. */
  settled(queue: TestQueue, log: LogView, last: number, options?: ExpectOptions): Promise<void>;
  /** Dead letters of the queue, oldest first. */
  lettersOf(queue: TestQueue): Promise<StoredDeadLetter[]>;
}

/** @param skip Why the tests cannot run here. */
export function useQueueBroker<Broker extends QueueBroker>(
  start: () => Promise<Broker>,
  skip: string | undefined,
): QueueFixture<Broker> {
  let broker: Broker;
  let redis: DurableRedis;
  beforeAll(async () => {
    if (!skip) [broker, redis] = await Promise.all([start(), startDurableRedis()]);
  }, 120_000);
  beforeEach((context) => {
    if (skip) context.skip(skip);
  });
  afterEach(async () => {
    // One that failed may have left it down.
    if (redis && !(await accepts(Number(new URL(redis.url).port)))) await redis.start();
  });
  afterAll(async () => {
    await broker?.[Symbol.asyncDispose]();
    await redis?.[Symbol.asyncDispose]();
  });
  const isEmpty = async (queue: TestQueue) => {
    const { ready, unacked } = await queue.held();
    return ready + unacked === 0;
  };
  return {
    get broker() {
      return broker;
    },
    get redis() {
      return redis;
    },
    run: (queue, { redisUrl = redis.url, ...source } = {}) =>
      startBridge(redisUrl, [queue.source(source)], broker.env),
    isEmpty,
    async settled(queue, log, last, options = {}) {
      const expected = { idOf: queue.idOf, ...options };
      await expectLogged(log, upTo(last), expected);
      await waitFor("the broker to have every ack", () => isEmpty(queue));
      await expectLogged(log, upTo(last), expected);
    },
    lettersOf: async ({ name }) => (await deadLetters(redis.url)).filter(({ source }) => source === name),
  };
}
