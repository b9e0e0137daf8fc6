import { once } from "node:events";
import { describe, expect, test } from "vitest";
import type { Broker } from "../../bridge/broker/broker.ts";
import { connectProducer } from "../../bridge/broker/client.ts";
import { createFifo, QUEUE_BYTES } from "../../bridge/broker/fifo.ts";
import { encodeFrame, encodeFrames, MAX_FRAME_BYTES } from "../../bridge/broker/framing.ts";
import { waitFor } from "../support/wait.ts";
import { connectConsumer, connectRawProducer, startTestBroker } from "./broker-peers.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const numbered = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

/** A message of 64 KiB that begins with its number: a few hundred fill what the kernel holds for a socket that is not read. */
function block(n: number): Uint8Array {
  const body = new Uint8Array(64 * 1024);
  new DataView(body.buffer).setUint32(0, n);
  return body;
}
const blockNumber = (body: Uint8Array) => Buffer.from(body.buffer, body.byteOffset).readUInt32BE();

async function sendAll(broker: Broker, bodies: Iterable<Uint8Array>): Promise<void> {
  const producer = await connectProducer({ host: "127.0.0.1", port: broker.tcpPort });
  for (const body of bodies) await producer.send(body);
  await producer.close();
}

describe("broadcast", () => {
  test("every consumer gets every message of every producer, each producer's in order", async () => {
    await using broker = await startTestBroker({ deliveryMode: "broadcast" });
    using a = await connectConsumer(broker);
    using b = await connectConsumer(broker);
    using c = await connectConsumer(broker);
    await Promise.all(["x", "y"].map((name) => sendAll(broker, numbered(name, 3000).map(bytes))));
    for (const consumer of [a, b, c]) {
      await waitFor("all messages", () => consumer.received.length >= 6000);
      expect(consumer.received).toHaveLength(6000);
      for (const name of ["x", "y"]) {
        expect(consumer.texts().filter((text) => text.startsWith(name))).toEqual(numbered(name, 3000));
      }
    }
    expect(broker.stats()).toMatchObject({ messagesIn: 6000, messagesOut: 18_000, dropped: 0, buffered: 0 });
  });

  test("a burst larger than the buffer is no reason to drop for a consumer that reads", async () => {
    await using broker = await startTestBroker({ deliveryMode: "broadcast", bufferMessages: 1 });
    using consumer = await connectConsumer(broker);
    const producer = await connectRawProducer(broker);
    producer.end(encodeFrames(numbered("m", 5000).map(bytes)));
    await waitFor("all messages", () => consumer.received.length === 5000);
    expect(broker.stats().dropped).toBe(0);
  });

  test("a consumer that does not read loses the newest beyond its buffer, counted and warned of; the other one loses nothing", async () => {
    const count = 400;
    await using broker = await startTestBroker({ deliveryMode: "broadcast", bufferMessages: 20 });
    using slow = await connectConsumer(broker, { reads: false });
    using quick = await connectConsumer(broker);
    const producer = await connectProducer({ host: "127.0.0.1", port: broker.tcpPort });
    for (let n = 0; n < count; n++) {
      await producer.send(block(n));
      // One by one, so that the quick one has no reason to fall behind.
      await waitFor("the quick one", () => quick.received.length === n + 1, { everyMs: 1 });
    }
    expect(quick.received.map(blockNumber)).toEqual([...Array(count).keys()]);
    const { dropped, buffered } = broker.stats();
    expect(buffered).toBe(20);
    expect(dropped).toBeGreaterThan(0);
    // Hundreds of drops, a warning a second.
    expect(broker.warnings.length).toBeLessThan(10);
    expect(broker.warnings[0]).toMatch(/Consumer too slow.*"dropped":1,"bufferMessages":20/);

    slow.socket.resume();
    await waitFor(
      "what was held",
      () => broker.stats().buffered === 0 && slow.received.length === count - dropped,
    );
    expect(slow.received.map(blockNumber)).toEqual([...Array(count - dropped).keys()]);
    await producer.send(block(count));
    await producer.close();
    await waitFor("the next one", () => blockNumber(slow.received.at(-1)!) === count);
    expect(broker.stats().dropped).toBe(dropped);
    // Every drop is in a warning by the time the consumer has gone.
    slow.socket.destroy();
    await waitFor("the consumer to go", () => broker.stats().consumers === 1);
    const warned = broker.warnings.map((line) => Number(/"dropped":(\d+)/.exec(line)?.[1]));
    expect(warned.reduce((sum, n) => sum + n, 0)).toBe(dropped);
  });

  test("a consumer gets nothing from before it came", async () => {
    await using broker = await startTestBroker({ deliveryMode: "broadcast" });
    await sendAll(broker, [bytes("before")]);
    using consumer = await connectConsumer(broker);
    await sendAll(broker, [bytes("after")]);
    await waitFor("a message", () => consumer.received.length > 0);
    expect(consumer.texts()).toEqual(["after"]);
  });
});

describe("queue", () => {
  test("each message goes to exactly one of several consumers, all get some, each in order", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue", bufferMessages: 500 });
    using a = await connectConsumer(broker);
    using b = await connectConsumer(broker);
    using c = await connectConsumer(broker);
    const consumers = [a, b, c];
    await Promise.all(["x", "y"].map((name) => sendAll(broker, numbered(name, 5000).map(bytes))));
    await waitFor("all", () => consumers.reduce((sum, { received }) => sum + received.length, 0) >= 10_000);
    const all = consumers.flatMap((consumer) => consumer.texts());
    expect(all.sort()).toEqual([...numbered("x", 5000), ...numbered("y", 5000)].sort());
    for (const consumer of consumers) {
      expect(consumer.received.length).toBeGreaterThan(1000);
      for (const name of ["x", "y"]) {
        const numbers = consumer
          .texts()
          .filter((text) => text.startsWith(name))
          .map((text) => Number(text.slice(1)));
        expect(numbers).toEqual(numbers.toSorted((p, q) => p - q));
      }
    }
    expect(broker.stats()).toMatchObject({ messagesIn: 10_000, messagesOut: 10_000, buffered: 0 });
  });

  test("consumers take turns when messages come one by one", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue" });
    using a = await connectConsumer(broker);
    using b = await connectConsumer(broker);
    const producer = await connectRawProducer(broker);
    for (let n = 0; n < 10; n++) {
      producer.write(encodeFrame(bytes(`m${n}`)));
      await waitFor("the message", () => a.received.length + b.received.length === n + 1);
    }
    expect(a.texts()).toEqual(["m0", "m2", "m4", "m6", "m8"]);
    expect(b.texts()).toEqual(["m1", "m3", "m5", "m7", "m9"]);
    producer.destroy();
  });

  test("a full line holds producers back and loses nothing", async () => {
    const bufferMessages = 50;
    const count = 3000;
    await using broker = await startTestBroker({ deliveryMode: "queue", bufferMessages });
    const producers = await Promise.all([1, 2].map(() => connectRawProducer(broker)));
    // 23 MB each: more than the kernel takes for a connection that is not read.
    for (const [index, producer] of producers.entries()) {
      for (let n = 0; n < count; n++) {
        producer.write(encodeFrame(Buffer.from(`${index}:${n}:${"x".repeat(8000)}`)));
      }
    }
    await waitFor("the line to be full", () => broker.stats().buffered === bufferMessages);
    // Until nothing moves any more.
    let left = -1;
    let still = 0;
    await waitFor("the producers to be held back", () => {
      const now = producers.reduce((sum, { writableLength }) => sum + writableLength, 0);
      still = now === left ? still + 1 : 0;
      left = now;
      return still >= 20;
    });
    expect(broker.stats()).toMatchObject({ messagesIn: bufferMessages, messagesOut: 0, dropped: 0 });
    for (const producer of producers) expect(producer.writableLength).toBeGreaterThan(1024 * 1024);

    using consumer = await connectConsumer(broker);
    for (const producer of producers) producer.end();
    await waitFor("all messages", () => consumer.received.length >= 2 * count, { timeoutMs: 25_000 });
    for (const index of producers.keys()) {
      const numbers = consumer
        .texts()
        .filter((text) => text.startsWith(`${index}:`))
        .map((text) => Number(text.split(":")[1]));
      expect(numbers).toEqual([...Array(count).keys()]);
    }
    await waitFor("the producers to go", () => broker.stats().producers === 0);
    expect(broker.stats()).toMatchObject({ messagesIn: 2 * count, messagesOut: 2 * count, buffered: 0 });
  });

  test("messages of a producer that has gone stay in the line", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue", bufferMessages: 10 });
    const producer = await connectRawProducer(broker);
    producer.write(encodeFrames(numbered("m", 100).map(bytes)));
    await waitFor("the line to be full", () => broker.stats().buffered === 10);
    producer.resetAndDestroy();
    await waitFor("the producer to go", () => broker.stats().producers === 0);
    using consumer = await connectConsumer(broker);
    await waitFor("all messages", () => consumer.received.length === 100);
    expect(consumer.texts()).toEqual(numbered("m", 100));
  });

  test("a consumer that does not read gets no more; what it did not take goes to the next one, also when it dies", async () => {
    const count = 400;
    await using broker = await startTestBroker({ deliveryMode: "queue", bufferMessages: count });
    using stuck = await connectConsumer(broker, { reads: false });
    const sending = sendAll(
      broker,
      Array.from({ length: count }, (_, n) => block(n)),
    );
    await waitFor(
      "the line to stand",
      () => broker.stats().messagesIn === count && broker.stats().buffered > 0,
    );
    await sending;
    const { messagesOut } = broker.stats();
    using next = await connectConsumer(broker);
    await waitFor("the rest", () => next.received.length === count - messagesOut);
    expect(next.received.map(blockNumber)).toEqual(
      Array.from({ length: count - messagesOut }, (_, n) => messagesOut + n),
    );

    const closed = once(stuck.socket, "close");
    stuck.socket.destroy();
    await closed;
    await waitFor("it to be gone", () => broker.stats().consumers === 1);
    await sendAll(broker, [block(count)]);
    await waitFor("the last one", () => blockNumber(next.received.at(-1)!) === count);
  });
});

describe("createFifo", () => {
  test("gives back what was put in, in order, in takes within both limits", () => {
    const fifo = createFifo(1000);
    let put = 0;
    let got = 0;
    for (let round = 0; round < 200; round++) {
      for (let n = 0; n < round % 7; n++) fifo.push(block(put++).subarray(0, 100));
      const bodies = fifo.take(round % 5, 300);
      expect(bodies.length).toBeLessThanOrEqual(Math.min(3, round % 5));
      for (const body of bodies) expect(blockNumber(body)).toBe(got++);
      expect(fifo.length).toBe(put - got);
    }
  });

  test("is full by number and by bytes, and one message goes whatever its size", () => {
    const small = createFifo(2);
    for (const body of [bytes("a"), bytes("b")]) small.push(body);
    expect(small.full).toBe(true);
    small.take(1, 1);
    expect(small.full).toBe(false);

    const large = createFifo(1000);
    const body = new Uint8Array(MAX_FRAME_BYTES);
    for (let held = 0; held < QUEUE_BYTES; held += body.byteLength) {
      expect(large.full).toBe(false);
      large.push(body);
    }
    expect(large.full).toBe(true);
    expect(large.take(10, 1)).toEqual([body]);
  });
});
