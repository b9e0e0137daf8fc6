/** The connections of a bridge, to its broker and to Redis, cut at each step of receive, append, ack. Part of queue-faults.ts. */
import { describe, expect, it } from "vitest";
import { waitFor } from "../../support/wait.ts";
import { upTo } from "./compare.ts";
import { message } from "./load.ts";
import { expectLogged, type LogView, openLog, reach } from "./log.ts";
import type { BridgeProcess, SourceCounts } from "./millrace.ts";
import { type CuttingProxy, startProxy } from "./proxy.ts";
import type { QueueBroker, TestQueue } from "./queue-broker.ts";
import type { QueueFixture } from "./queue-fixture.ts";

/** Characters that make a burst of messages of several reads. */
const PAD = 700;

interface Cuts {
  readonly queue: TestQueue;
  readonly bridge: BridgeProcess;
  readonly log: LogView;
  /** Before the broker, and before Redis. */
  readonly brokerProxy: CuttingProxy;
  readonly redisProxy: CuttingProxy;
  /** So many messages more. */
  send(count: number): Promise<void>;
  /** Everything sent so far is in the log. */
  arrived(): Promise<void>;
  /** The bridge has taken something that it cannot store yet. */
  taken(): Promise<void>;
}

/** Nothing that was taken waits for the store. */
const areSettled = ({ received, appended, duplicates }: SourceCounts) => received === appended + duplicates;

/** @param isBrief Leaves out what is the bridge's own. */
export function describeCuts(fixture: QueueFixture<QueueBroker>, isBrief: boolean): void {
  const { run, settled, lettersOf, isEmpty } = fixture;
  const itUnlessBrief = isBrief ? () => {} : it;

  describe("a connection cut", () => {
    const withCuts = async (name: string, body: (cuts: Cuts) => Promise<void>) => {
      const queue = await fixture.broker.open(name);
      await using brokerProxy = await startProxy(fixture.broker.port, "down");
      await using redisProxy = await startProxy(Number(new URL(fixture.redis.url).port), "up");
      const redisUrl = `redis://127.0.0.1:${redisProxy.port}`;
      await using bridge = await run(queue, { port: brokerProxy.port, redisUrl });
      await using log = await openLog(fixture.redis.url, queue.name);
      await using producer = queue.producer();
      let sent = 0;
      await body({
        ...{ queue, bridge, log, brokerProxy, redisProxy },
        async send(count) {
          const numbers = upTo(sent + count, sent + 1);
          sent += count;
          await producer.send(numbers.map((n) => message(queue.name, n, PAD)));
        },
        arrived: () => expectLogged(log, upTo(sent), queue),
        async taken() {
          await waitFor("a batch", async () => !areSettled(await bridge.counts()));
        },
      });
      await settled(queue, log, sent);
      expect(await lettersOf(queue)).toEqual([]);
    };

    itUnlessBrief("while it receives: wherever in a message", async () => {
      await withCuts("cut-receiving", async ({ brokerProxy, send, arrived }) => {
        await send(20);
        await arrived();
        for (const bytes of [1, 6, 30, 500, 4000, 10_001]) {
          const isCut = brokerProxy.cutAfter(bytes);
          const { connections } = brokerProxy;
          await send(20);
          await isCut;
          await waitFor("the bridge to be back", () => brokerProxy.connections > connections);
          await arrived();
        }
      });
    });

    itUnlessBrief("while it appends: within the script, and between the script and its reply", async () => {
      await withCuts("cut-appending", async ({ bridge, redisProxy, log, send, arrived }) => {
        await send(20);
        await arrived();
        for (const bytes of [1, 100, 3000, 9000]) {
          const isCut = redisProxy.cutAfter(bytes);
          await send(40);
          await isCut;
          await arrived();
        }
        for (let round = 0; round < 3; round++) {
          const { appended, duplicates } = await bridge.counts();
          redisProxy.hold("down");
          const { length } = await log.events();
          await send(40);
          await reach(log, length + 1);
          // In doubt: Redis has done it, and the bridge has not heard of it.
          expect((await bridge.counts()).appended).toBe(appended);
          await redisProxy.cut();
          await arrived();
          const isKnown = async () => (await bridge.counts()).duplicates > duplicates;
          await waitFor("the same append again", isKnown);
        }
      });
    });

    it("between append and ack, within the ack, and behind it", async () => {
      await withCuts("cut-acking", async (cuts) => {
        const { queue, bridge, log, brokerProxy, redisProxy, send, arrived, taken } = cuts;
        await send(20);
        await arrived();
        for (let round = 0; round < 3; round++) {
          // Also of what came again: IBM MQ gives that one by one.
          await waitFor("every ack", () => isEmpty(queue));
          const { duplicates } = await bridge.counts();
          redisProxy.hold("up");
          await send(40);
          await taken();
          brokerProxy.hold("up");
          const { length } = await log.events();
          redisProxy.release();
          await reach(log, length + 1);
          await waitFor("the append to be heard of", async () => areSettled(await bridge.counts()));
          await brokerProxy.cut();
          await arrived();
          // It never came: what is in the log was delivered again.
          const cameAgain = async () => (await bridge.counts()).duplicates > duplicates;
          await waitFor("the same messages again", cameAgain);
        }
        for (const bytes of [1, 5]) {
          await waitFor("every ack", () => isEmpty(queue));
          redisProxy.hold("up");
          await send(40);
          await taken();
          const isCut = brokerProxy.cutAfter(bytes, "up");
          redisProxy.release();
          await isCut;
          await arrived();
        }
        for (let round = 0; round < 2; round++) {
          await waitFor("every ack", () => isEmpty(queue));
          const { connections } = brokerProxy;
          await brokerProxy.cut();
          await waitFor("the bridge to be back", () => brokerProxy.connections > connections);
          await send(40);
          await arrived();
        }
        expect(bridge.output()).toContain("Source is up again");
      });
    });
  });
}
