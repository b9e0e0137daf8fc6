/**
 * What every source with acks must survive, as one suite: sent against log, every id once, and in the order it was published where one
 * bridge reads. Run by test/faults/queue-*.test.ts, one file a broker.
 *
 * Why order may be asked for though messages are delivered again:
 * - RabbitMQ puts a message that comes back "to its original position in its queue, if possible"; it is not possible where several
 *   consumers share the queue (rabbitmq.com, Consumer Acknowledgements and Publisher Confirms, Negative Acknowledgement and Requeuing).
 * - JetStream delivers again behind what it has delivered since, so the source waits until it has before it takes anything.
 * - IBM MQ puts what is backed out back where it was (IBM MQ, Syncpoints in IBM MQ applications).
 * What a producer sends again it sends in its order, and behind it nothing that came before: a first copy is never late.
 */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { missing } from "../../support/servers.ts";
import { waitFor } from "../../support/wait.ts";
import { few, upTo } from "./compare.ts";
import { message, startLoad } from "./load.ts";
import { expectLogged, flow, openLog } from "./log.ts";
import type { QueueBroker, RawPublish } from "./queue-broker.ts";
import { describeCuts } from "./queue-cuts.ts";
import { type QueueFixture, useQueueBroker } from "./queue-fixture.ts";
import { type Poison, poisonsFor } from "./queue-poisons.ts";
import { createChance } from "./random.ts";

const KILLS = 10;

export interface QueueFaultsOptions<Broker extends QueueBroker> {
  readonly name: string;
  /** Why it cannot run here. */
  readonly skip: string | undefined;
  /** Messages a second of the load. */
  readonly perSecond: number;
  /** Restarts of the broker: one that takes seconds to start gets fewer. */
  readonly restarts: number;
  /** Those that this broker can carry and that are not in every broker's list. */
  readonly poisons?: readonly Poison[];
  /** Runs only what depends on how the broker keeps its queue: another kind of queue of the same broker has run the rest. */
  readonly isBrief?: boolean;
  /** Bytes of the largest message the broker takes, as it is set up here. */
  readonly maxMessageBytes: number;
  start(): Promise<Broker>;
  /** Tests of this broker alone. */
  more?(fixture: QueueFixture<Broker>): void;
}

export function describeQueueFaults<Broker extends QueueBroker>(options: QueueFaultsOptions<Broker>): void {
  const skip = missing("redis-server") ?? options.skip;
  const { name, perSecond, restarts, start, more } = options;
  const itUnlessBrief = options.isBrief ? () => {} : it;
  describe(`${name}: nothing lost, nothing twice`, { timeout: 120_000 }, () => {
    const fixture = useQueueBroker(start, skip);
    const { run, settled, lettersOf, isEmpty } = fixture;

    it(`kill -9 of the bridge, ${KILLS} times under load`, async () => {
      const queue = await fixture.broker.open("killed");
      const chance = createChance(`${name}, killed`);
      await using bridge = await run(queue);
      await using log = await openLog(fixture.redis.url, queue.name);
      await using producer = queue.producer();
      await using load = startLoad(producer, { company: queue.name, perSecond });
      for (let kill = 0; kill < KILLS; kill++) {
        await flow(log, 100);
        await new Promise((resolve) => setTimeout(resolve, chance.whole(0, 30)));
        await bridge.kill();
        bridge.start();
        await bridge.connected();
      }
      const last = await load.stop();
      await settled(queue, log, last);
      expect(await lettersOf(queue)).toEqual([]);
    });

    it(`the broker killed with -9 and started again, ${restarts} times under load`, async () => {
      const queue = await fixture.broker.open("restarted");
      await using bridge = await run(queue);
      await using log = await openLog(fixture.redis.url, queue.name);
      await using producer = queue.producer();
      await using load = startLoad(producer, { company: queue.name, perSecond });
      for (let restart = 1; restart <= restarts; restart++) {
        await flow(log, 200);
        await fixture.broker.restart();
        await bridge.connected(1 + restart);
      }
      await flow(log, 200);
      const last = await load.stop();
      await settled(queue, log, last);
      expect(await lettersOf(queue)).toEqual([]);
    });

    itUnlessBrief(
      "Redis away under load: the broker keeps all but prefetch, and the same bridge goes on when it is back",
      async () => {
        const prefetch = 200;
        const queue = await fixture.broker.open("redis-away");
        await using bridge = await run(queue, { prefetch });
        await using log = await openLog(fixture.redis.url, queue.name);
        await using producer = queue.producer();
        await using load = startLoad(producer, { company: queue.name, perSecond });
        for (const piled of [500, 0]) {
          await flow(log, 300);
          const { retries } = await bridge.counts();
          await fixture.redis.kill();
          const missed = await waitFor("the store to be missed", async () => {
            const counts = await bridge.counts();
            return counts.retries > retries && counts;
          });
          let most = 0;
          const isPiled = async () => {
            const { ready, unacked } = await queue.held();
            most = Math.max(most, unacked);
            return ready >= piled && unacked > 0;
          };
          await waitFor("messages to pile up", isPiled, { timeoutMs: 30_000, everyMs: 100 });
          expect(most).toBeLessThanOrEqual(prefetch);
          expect((await bridge.counts()).received).toBe(missed.received);
          await fixture.redis.start();
        }
        await flow(log, 300);
        const last = await load.stop();
        await settled(queue, log, last);
        expect((await bridge.counts()).reconnects).toBe(0);
      },
    );

    describeCuts(fixture, options.isBrief ?? false);

    itUnlessBrief(
      "poison among good messages: each is a dead letter once, with its reason, and the good ones come in order",
      async () => {
        const queue = await fixture.broker.open("poison");
        await using _bridge = await run(queue);
        await using log = await openLog(fixture.redis.url, queue.name);
        const poisons = [...poisonsFor(queue.name, options.maxMessageBytes), ...(options.poisons ?? [])];
        let n = 0;
        const good = (count: number): RawPublish[] =>
          Array.from({ length: count }, () => message(queue.name, ++n));
        const all = poisons.flatMap(([, poison]) => [poison, ...good(5)]);
        await queue.publish(all);
        await expectLogged(log, upTo(n), { idOf: undefined });
        const letters = await waitFor("the dead letters", async () => {
          const found = await lettersOf(queue);
          return found.length >= poisons.length && found;
        });
        const digest = (body: string | Uint8Array, encoding?: "base64") =>
          createHash("sha256")
            .update(Buffer.from(body as string, encoding))
            .digest("hex");
        expect(
          letters.map(({ reason, bodyBase64 }, at) => [
            ...[poisons[at]?.[0], reason, digest(bodyBase64, "base64")],
          ]),
        ).toEqual(
          poisons.map(([what, { body }, reason]) => [what, expect.stringMatching(reason), digest(body)]),
        );
        await waitFor("the broker to have every ack", () => isEmpty(queue));
      },
    );

    itUnlessBrief(
      "two bridges on one queue: each message goes to one of them, which keeps its order",
      async () => {
        const queue = await fixture.broker.open("shared");
        // Much longer than a busy machine may stop: what is delivered again goes to the other bridge, behind what that has.
        const more = { ackWaitMs: 20_000 };
        await using _one = await run(queue, { ...more, type: "one" });
        await using _two = await run(queue, { ...more, type: "two" });
        await using log = await openLog(fixture.redis.url, queue.name);
        await using producer = queue.producer();
        await using load = startLoad(producer, { company: queue.name, perSecond });
        const isShared = async () => {
          const types = (await log.events()).map(({ type }) => type);
          return types.includes("one") && types.includes("two") && types.length >= 1000;
        };
        await waitFor("both to take part", isShared, { timeoutMs: 30_000, everyMs: 50 });
        const last = await load.stop();
        await expectLogged(log, upTo(last), { ...queue, isOrdered: false });
        const events = await log.events();
        for (const type of ["one", "two"]) {
          const numbers = events.filter((event) => event.type === type).map(({ n }) => n);
          expect(few(numbers.filter((n, at) => n < (numbers[at - 1] ?? 0)))).toEqual([]);
        }
      },
    );

    it("two bridges on one queue, killed in turn under load: every id once", async () => {
      const queue = await fixture.broker.open("shared-killed");
      const bridges = [await run(queue), await run(queue)];
      try {
        await using log = await openLog(fixture.redis.url, queue.name);
        await using producer = queue.producer();
        await using load = startLoad(producer, { company: queue.name, perSecond });
        for (let kill = 0; kill < 2; kill++) {
          await flow(log, 150);
          const bridge = bridges[kill % 2]!;
          await bridge.kill();
          // The other one gets what this one held.
          await flow(log, 50);
          bridge.start();
          await bridge.connected();
        }
        const last = await load.stop();
        await settled(queue, log, last, { isOrdered: false });
      } finally {
        for (const bridge of bridges) await bridge[Symbol.asyncDispose]();
      }
    });

    itUnlessBrief(
      "a day's messages published again: stored once, counted as duplicates, no counter moves",
      async () => {
        const count = 3000;
        const queue = await fixture.broker.open("again");
        await using bridge = await run(queue);
        await using log = await openLog(fixture.redis.url, queue.name);
        await using producer = queue.producer();
        const day = upTo(count).map((n) => message(queue.name, n));
        const sendAll = async () => {
          for (let at = 0; at < count; at += 500) await producer.send(day.slice(at, at + 500));
        };
        await sendAll();
        await expectLogged(log, upTo(count), queue);
        const before = await log.tallies();
        await queue.forgotten();
        await sendAll();
        const areCounted = async () => (await bridge.counts()).duplicates >= count;
        await waitFor("the duplicates", areCounted, { timeoutMs: 30_000 });
        const { at, total } = await log.tallies();
        expect({ at, total }).toEqual({ at: before.at, total: before.total });
        expect((await bridge.counts()).appended).toBe(count);
        // What is new among them is stored, in its place.
        await producer.send([day[0]!, message(queue.name, count + 1), day[1]!]);
        await expectLogged(log, upTo(count + 1), queue);
      },
    );

    more?.(fixture);
  });
}
