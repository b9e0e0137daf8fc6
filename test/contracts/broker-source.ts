/** The BrokerSource contract, for every source: exported as a function, run by test/adapters/source-*.test.ts. */
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createDecode } from "../../bridge/decode.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Batch, BrokerSource, Decode } from "../../functions/ports/broker-source.ts";
import { waitFor } from "../support/wait.ts";

/** A broker of one test, with one queue, subject or stream for it. */
export interface BrokerHarness extends AsyncDisposable {
  /**
   * A source on that queue; another one after it goes on where it left off, if the broker keeps anything.
   * @param connected Called when the broker would give it a message.
   */
  open(options: { readonly prefetch: number; readonly connected: () => void }): BrokerSource;
  /** Resolves when the broker has them all, in this order. */
  publish(bodies: readonly string[]): Promise<void>;
  /** Ends the broker, and every connection to it. */
  kill(): Promise<void>;
  /** Starts it again with what it had stored. */
  restart(): Promise<void>;
  /** Whether it holds messages back because `prefetch` are not acked. Asked only where the source has back-pressure. */
  holdsBack?(prefetch: number): Promise<boolean>;
}

interface Reader {
  /** The next batch; undefined at the end. */
  next(): Promise<Batch | undefined>;
  /** Messages until there are so many, each batch settled by `settle`. */
  take(messages: number, settle?: (batch: Batch) => Promise<void>): Promise<Batch[]>;
  abort(): void;
}

const message = (n: number, more = "") => JSON.stringify({ companyId: "acme", n, more });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);
const ack = (batch: Batch) => batch.ack();
const hold = () => Promise.resolve();

/** The numbers of a batch's events; -1 for what could not be decoded. */
const numbersOf = (batches: readonly Batch[]): number[] =>
  batches.flatMap(({ deliveries }) =>
    deliveries.map((delivery) => ("event" in delivery ? JSON.parse(delivery.event.data).n : -1)),
  );

export function describeBrokerSource({
  name,
  acknowledges,
  hasBackPressure,
  lastResortId = "random",
  create,
  skip,
}: {
  readonly name: string;
  readonly acknowledges: boolean;
  /** The broker waits while nothing is acked; one that does not drops. */
  readonly hasBackPressure: boolean;
  /** How a message is known that has no id: by its `content` where the broker has no id of its own and delivers again. */
  readonly lastResortId?: "content" | "random";
  /** The harness decodes with this. */
  create(decode: Decode): Promise<BrokerHarness>;
  /** Why it cannot run here. */
  readonly skip?: string | undefined;
}): void {
  describe(`BrokerSource: ${name}`, () => {
    let broker: BrokerHarness;
    beforeEach(async (context) => {
      if (skip) context.skip(skip);
      broker = await create(createDecode({ source: "/test/source", rules: {}, lastResortId }));
    });
    afterEach(async () => {
      await broker?.[Symbol.asyncDispose]();
    });

    /** Begins to read; resolves when connected. */
    const read = async ({ prefetch = 1000 } = {}): Promise<Reader> => {
      let isConnected = false;
      const source = broker.open({
        prefetch,
        connected: () => {
          isConnected = true;
        },
      });
      expect(source.acknowledges).toBe(acknowledges);
      const stop = new AbortController();
      const batches = source.deliveries(stop.signal)[Symbol.asyncIterator]();
      let begun: Promise<IteratorResult<Batch>> | undefined = batches.next();
      begun.catch(() => {});
      onTestFinished(async () => {
        stop.abort();
        await batches.return?.();
      });
      await waitFor("the source to connect", () => isConnected);
      const next = async () => {
        const result = await (begun ?? batches.next());
        begun = undefined;
        return result.done ? undefined : result.value;
      };
      return {
        next,
        async take(messages, settle = ack) {
          const taken: Batch[] = [];
          for (let count = 0; count < messages; ) {
            const batch = await next();
            if (!batch) throw new Error(`The source ended after ${count} of ${messages} messages`);
            taken.push(batch);
            count += batch.deliveries.length;
            await settle(batch);
          }
          return taken;
        },
        abort: () => stop.abort(),
      };
    };

    it("deliveries: every message once, in the order of the broker", async () => {
      const reader = await read();
      await broker.publish(range(0, 2500).map((n) => message(n)));
      expect(numbersOf(await reader.take(2500))).toEqual(range(0, 2500));
    });

    it("deliveries: a message that cannot be decoded is one of its batch, and the others are unharmed", async () => {
      const reader = await read();
      await broker.publish([message(0), "not json", message(1), JSON.stringify({ n: 2 }), message(3)]);
      expect(numbersOf(await reader.take(5))).toEqual([0, -1, 1, -1, 3]);
    });

    it("deliveries: an undecodable carries the message as it came and the reason", async () => {
      const reader = await read();
      await broker.publish(["not json"]);
      const [batch] = await reader.take(1);
      expect(batch!.deliveries).toEqual([
        {
          undecodable: {
            reason: expect.stringContaining("not JSON"),
            message: expect.objectContaining({ body: expect.anything() }),
          },
        },
      ]);
      const [delivery] = batch!.deliveries;
      const body = "undecodable" in delivery! ? delivery.undecodable.message.body : new Uint8Array();
      expect(new TextDecoder().decode(body)).toBe("not json");
    });

    it("ack: twice and out of order does no harm", async () => {
      const reader = await read();
      await broker.publish([message(0)]);
      const [first] = await reader.take(1, hold);
      await broker.publish([message(1)]);
      const [second] = await reader.take(1, hold);
      for (const batch of [second!, first!, second!, first!]) await batch.ack();
      await second!.nack(new Error("too late"));
      await broker.publish([message(2)]);
      expect(numbersOf(await reader.take(1))).toEqual([2]);
    });

    it("abort: ends the iteration and closes the connection", async () => {
      await waitFor("the harness to close its own", () => openSockets() === 0);
      const reader = await read();
      expect(openSockets()).toBeGreaterThan(0);
      reader.abort();
      expect(await reader.next()).toBeUndefined();
      await waitFor("the connection to close", () => openSockets() === 0);
    });

    it("abort: before the first batch is asked for, nothing is connected", async () => {
      const source = broker.open({ prefetch: 10, connected: () => expect.unreachable("connected") });
      const batches: Batch[] = [];
      for await (const batch of source.deliveries(AbortSignal.abort())) batches.push(batch);
      expect(batches).toEqual([]);
    });

    it("a lost connection: ends the iteration with a retryable error", async () => {
      const reader = await read();
      await broker.kill();
      await expect(reader.next()).rejects.toSatisfy(isRetryable);
    });

    it("a broker that is not there: a retryable error", async () => {
      await broker.kill();
      const source = broker.open({ prefetch: 10, connected: () => expect.unreachable("connected") });
      const batches = source.deliveries(new AbortController().signal)[Symbol.asyncIterator]();
      await expect(batches.next()).rejects.toSatisfy(isRetryable);
    });

    it("a broker that comes back: is read again", async () => {
      const reader = await read();
      await broker.kill();
      await reader.next().catch(() => {});
      await broker.restart();
      const again = await read();
      await broker.publish([message(7)]);
      expect(numbersOf(await again.take(1))).toEqual([7]);
    });

    const itHoldsBack = hasBackPressure ? it : () => {};
    itHoldsBack("back-pressure: no more than prefetch is taken while nothing is acked", async () => {
      const reader = await read({ prefetch: 10 });
      const more = "x".repeat(50_000);
      const published = broker.publish(range(0, 500).map((n) => message(n, more)));
      const held: Batch[] = [];
      while (numbersOf(held).length < 10) held.push(...(await reader.take(1, hold)));
      await waitFor("the broker to hold back", () => broker.holdsBack!(10));
      for (const batch of held) await batch.ack();
      const rest = await reader.take(500 - numbersOf(held).length);
      await published;
      expect(numbersOf([...held, ...rest])).toEqual(range(0, 500));
    });

    if (!acknowledges) return;

    describe("with acks", () => {
      /** Reads until all of these have come, in whatever order and however often: at least once. */
      const takeAll = async (reader: Reader, expected: readonly number[]): Promise<Batch[]> => {
        const taken: Batch[] = [];
        while (!expected.every((n) => numbersOf(taken).includes(n))) taken.push(...(await reader.take(1)));
        return taken;
      };

      it("abort: what was not acked is delivered again, what was acked is not", async () => {
        const reader = await read();
        await broker.publish(range(0, 5).map((n) => message(n)));
        await reader.take(5);
        await broker.publish(range(5, 10).map((n) => message(n)));
        await reader.take(5, hold);
        reader.abort();
        expect(await reader.next()).toBeUndefined();
        const again = await read();
        await broker.publish([message(10)]);
        const came = numbersOf(await takeAll(again, range(5, 11)));
        expect(came.filter((n) => n < 5)).toEqual([]);
      });

      it("ack: of a later batch does not ack an earlier one", async () => {
        const reader = await read();
        await broker.publish([message(0)]);
        await reader.take(1, hold);
        await broker.publish([message(1)]);
        await reader.take(1, ack);
        reader.abort();
        await reader.next();
        const again = await read();
        await takeAll(again, [0]);
      });

      it("nack: the batch is delivered again, with the same ids", async () => {
        const reader = await read();
        await broker.publish(range(0, 3).map((n) => message(n)));
        const refused = await reader.take(3, (batch) => batch.nack(new Error("the log is away")));
        const came = await takeAll(reader, range(0, 3));
        expect(idsOf(came)).toEqual(idsOf(refused));
      });

      it("a lost connection: what was not acked is delivered again by the broker that came back", async () => {
        const reader = await read();
        await broker.publish(range(0, 4).map((n) => message(n)));
        const before = await reader.take(4, hold);
        await broker.kill();
        await reader.next().catch(() => {});
        // Too late, and on a connection that is gone: nobody hears it.
        for (const batch of before) await batch.ack();
        await broker.restart();
        const again = await read();
        expect(idsOf(await takeAll(again, range(0, 4)))).toEqual(idsOf(before));
      });
    });
  });
}

function isRetryable(error: unknown): boolean {
  return error instanceof MillraceError && error.retryable;
}

/** Which id each number has, apart from order and repetition. */
function idsOf(batches: readonly Batch[]): Set<string> {
  const events = batches.flatMap(({ deliveries }) => deliveries.filter((delivery) => "event" in delivery));
  return new Set(events.map(({ event }) => `${JSON.parse(event.data).n} ${event.id}`));
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((resource) => resource === "TCPSocketWrap").length;
}
