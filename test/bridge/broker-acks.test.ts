/** Consumers that ack: what the broker keeps for them, and what becomes of it. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import type { Broker } from "../../bridge/broker/broker.ts";
import { connectProducer } from "../../bridge/broker/client.ts";
import { WINDOW_BYTES, WINDOW_MESSAGES } from "../../bridge/broker/queue.ts";
import { waitFor } from "../support/wait.ts";
import { connectConsumer, connectTo, startTestBroker } from "./broker-peers.ts";

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => String(from + n));

async function send(broker: Broker, bodies: Iterable<string | Uint8Array>): Promise<void> {
  const producer = await connectProducer({ host: "127.0.0.1", port: broker.tcpPort });
  for (const body of bodies) {
    await producer.send(typeof body === "string" ? new TextEncoder().encode(body) : body);
  }
  await producer.close();
}

describe("queue, with acks", () => {
  test("answers QUEUE, keeps what is not acked and gives it to the next consumer, in order and before the rest", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue" });
    const first = await connectConsumer(broker, { acks: true });
    await send(broker, numbered(0, 10));
    await waitFor("all of them", () => first.received.length === 10);
    expect(first.mode).toBe("queue");
    first.ack(1);
    first.ack(3);
    await waitFor("the acks", () => broker.stats().unacked === 6);
    first.socket.destroy();
    await waitFor("them to be back", () => broker.stats().buffered === 6);
    await send(broker, numbered(10, 13));
    using second = await connectConsumer(broker, { acks: true });
    await waitFor("the rest", () => second.received.length === 9);
    expect(second.texts()).toEqual(numbered(4, 13));
    second.ack(9);
    await waitFor("every ack", () => broker.stats().unacked === 0);
    expect(broker.stats()).toMatchObject({ messagesIn: 13, messagesOut: 19, buffered: 0, dropped: 0 });
    expect(broker.warnings).toEqual([]);
  });

  test("consumers that die one after the other change no order", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue" });
    const [one, other] = [
      await connectConsumer(broker, { acks: true }),
      await connectConsumer(broker, { acks: true }),
    ];
    await send(broker, numbered(0, 100));
    await waitFor("all to be out", () => one.received.length + other.received.length === 100);
    expect(one.received.length).toBeGreaterThan(0);
    expect(other.received.length).toBeGreaterThan(0);
    const later = one.texts()[0] === "0" ? [one, other] : [other, one];
    for (const consumer of later) {
      const before = broker.stats().consumers;
      consumer.socket.destroy();
      await waitFor("it to be gone", () => broker.stats().consumers < before);
    }
    using next = await connectConsumer(broker, { acks: true });
    await waitFor("all again", () => next.received.length === 100);
    expect(next.texts()).toEqual(numbered(0, 100));
  });

  test("what one had goes to those that are there, once", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue" });
    const dying = await connectConsumer(broker, { acks: true });
    await send(broker, numbered(0, 50));
    await waitFor("all of them", () => dying.received.length === 50);
    using plain = await connectConsumer(broker);
    dying.socket.resetAndDestroy();
    await waitFor("them to come again", () => plain.received.length === 50);
    expect(plain.texts()).toEqual(numbered(0, 50));
    expect(broker.stats()).toMatchObject({ buffered: 0, unacked: 0 });
  });

  test("never more than a window is out, by number and by bytes, and producers wait behind it", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue", bufferMessages: 100 });
    using consumer = await connectConsumer(broker, { acks: true });
    const producer = await connectProducer({ host: "127.0.0.1", port: broker.tcpPort });
    const total = WINDOW_MESSAGES + 500;
    const sending = (async () => {
      for (const body of numbered(0, total)) await producer.send(new TextEncoder().encode(body));
      await producer.close();
    })();
    await waitFor("the line behind the window to be full", () => broker.stats().buffered === 100);
    expect(broker.stats().unacked).toBe(WINDOW_MESSAGES);
    for (let acked = 0; acked < total; ) {
      await waitFor("more", () => consumer.received.length > acked);
      const more = consumer.received.length - acked;
      consumer.ack(more);
      acked += more;
      expect(broker.stats().unacked).toBeLessThanOrEqual(WINDOW_MESSAGES);
    }
    await sending;
    expect(consumer.texts()).toEqual(numbered(0, total));

    const large = new Uint8Array(1024 * 1024);
    await send(broker, Array(40).fill(large));
    await waitFor("the bytes", () => consumer.received.length > total + 10);
    await waitFor("the line", () => broker.stats().messagesIn === total + 40);
    expect(broker.stats().unacked * large.byteLength).toBeLessThanOrEqual(
      WINDOW_BYTES + 2 * large.byteLength,
    );
    expect(broker.stats().buffered).toBeGreaterThan(0);
  });

  test("a consumer whose window is full costs the others nothing", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue" });
    using stuck = await connectConsumer(broker, { acks: true });
    await send(broker, numbered(0, WINDOW_MESSAGES));
    await waitFor("the window to be full", () => stuck.received.length === WINDOW_MESSAGES);
    using quick = await connectConsumer(broker, { acks: true });
    await send(broker, numbered(0, 1000));
    await waitFor("the rest", () => quick.received.length === 1000);
    expect(quick.texts()).toEqual(numbered(0, 1000));
  });

  test("acks cut into bytes, and in one piece with the handshake, count", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue" });
    await send(broker, ["a", "b", "c"]);
    const socket = await connectTo(broker);
    socket.setNoDelay();
    socket.resume();
    socket.write("CONSUMER ACK\r\n\0\0\0");
    await waitFor("the consumer", () => broker.stats().unacked === 3);
    for (const byte of [2, 0, 0, 0, 1]) socket.write(Uint8Array.of(byte));
    await waitFor("both acks", () => broker.stats().unacked === 0);
    socket.destroy();
    expect(broker.warnings).toEqual([]);
  });

  test.each([
    ["none", 0],
    ["more than it has", 4],
    ["far more than it has", 0xffffffff],
  ])("an ack of %s closes the connection, says why, and gives its messages to the next", async (_, count) => {
    await using broker = await startTestBroker({ deliveryMode: "queue" });
    const wrong = await connectConsumer(broker, { acks: true });
    await send(broker, ["a", "b", "c"]);
    await waitFor("all of them", () => wrong.received.length === 3);
    const closed = once(wrong.socket, "close");
    wrong.ack(count);
    await closed;
    expect(broker.warnings).toHaveLength(1);
    expect(broker.warnings[0]).toContain(`Cannot ack ${count} messages`);
    using next = await connectConsumer(broker, { acks: true });
    await waitFor("all again", () => next.received.length === 3);
    expect(next.texts()).toEqual(["a", "b", "c"]);
  });

  test("close waits for acks that come in time, and says what nobody took", async () => {
    const broker = await startTestBroker({ deliveryMode: "queue" });
    using consumer = await connectConsumer(broker, { acks: true });
    await send(broker, numbered(0, 5));
    await waitFor("all of them", () => consumer.received.length === 5);
    const closing = broker.close();
    consumer.ack(5);
    await closing;
    expect(broker.warnings).toEqual([]);

    const forgotten = await startTestBroker({ deliveryMode: "queue" });
    using _silent = await connectConsumer(forgotten, { acks: true });
    await send(forgotten, numbered(0, 5));
    await forgotten.close();
    expect(forgotten.warnings.join()).toContain('nobody took {"messages":5}');
  });
});

describe("broadcast, with acks", () => {
  test("answers BROADCAST, takes acks, and keeps nothing for a consumer that is gone", async () => {
    await using broker = await startTestBroker({ deliveryMode: "broadcast" });
    const consumer = await connectConsumer(broker, { acks: true });
    await send(broker, numbered(0, 5));
    await waitFor("all of them", () => consumer.received.length === 5);
    expect(consumer.mode).toBe("broadcast");
    consumer.ack(7);
    await send(broker, ["after"]);
    await waitFor("one more", () => consumer.received.length === 6);
    expect(broker.stats()).toMatchObject({ unacked: 0, buffered: 0 });
    consumer.socket.destroy();
    await waitFor("it to be gone", () => broker.stats().consumers === 0);
    using next = await connectConsumer(broker, { acks: true });
    await send(broker, ["new"]);
    await waitFor("the new one", () => next.received.length > 0);
    expect(next.texts()).toEqual(["new"]);
    expect(broker.warnings).toEqual([]);
  });
});
