import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { connectProducer } from "../../bridge/broker/client.ts";
import { encodeFrame, encodeFrames, MAX_FRAME_BYTES } from "../../bridge/broker/framing.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import { freePort } from "../support/process.ts";
import { waitFor } from "../support/wait.ts";
import {
  connectConsumer,
  connectRawProducer,
  connectTo,
  createTestLogger,
  startTestBroker,
} from "./broker-peers.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const numbered = (prefix: string, count: number) => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

describe.each(["broadcast", "queue"] as const)("startBroker, %s", (deliveryMode) => {
  test("delivers a producer's messages to a consumer, whole, once, in order", async () => {
    await using broker = await startTestBroker({ deliveryMode });
    using consumer = await connectConsumer(broker);
    const producer = await connectProducer({ host: "127.0.0.1", port: broker.tcpPort });
    const texts = numbered("m", 5000);
    for (const text of texts) await producer.send(bytes(text));
    const large = new Uint8Array(MAX_FRAME_BYTES).fill(65);
    await producer.send(large);
    await producer.close();
    await waitFor("all messages", () => consumer.received.length >= 5001);
    expect(consumer.texts().slice(0, 5000)).toEqual(texts);
    expect(Buffer.compare(consumer.received[5000]!, large)).toBe(0);
    expect(broker.stats()).toMatchObject({ messagesIn: 5001, messagesOut: 5001, dropped: 0, buffered: 0 });
  });

  test("takes frames that come in one piece with the handshake, its line ended by CR LF", async () => {
    await using broker = await startTestBroker({ deliveryMode });
    using consumer = await connectConsumer(broker);
    const socket = await connectTo(broker);
    socket.end(Buffer.concat([bytes("PRODUCER\r\n"), encodeFrames([bytes("a"), bytes("b")])]));
    await waitFor("both messages", () => consumer.received.length === 2);
    expect(consumer.texts()).toEqual(["a", "b"]);
    await waitFor("the producer to be gone", () => broker.stats().producers === 0);
  });

  test.each([
    ["zero", [0, 0, 0, 0], 'length "0"'],
    ["over the limit", [0, 16, 0, 1], 'length "1048577"'],
    ["not a length", [...bytes("HTTP")], `length "${0x48545450}"`],
  ])(
    "closes a producer whose frame length is %s, says why, and disturbs nobody else",
    async (_, header, why) => {
      await using broker = await startTestBroker({ deliveryMode });
      using consumer = await connectConsumer(broker);
      const other = await connectRawProducer(broker);
      const bad = await connectRawProducer(broker);
      const closed = once(bad, "close");
      bad.write(Buffer.concat([encodeFrame(bytes("before")), Uint8Array.from(header), bytes("after")]));
      await closed;
      other.write(encodeFrame(bytes("unharmed")));
      await waitFor("two messages", () => consumer.received.length === 2);
      expect(consumer.texts()).toEqual(["before", "unharmed"]);
      expect(broker.warnings).toHaveLength(1);
      expect(broker.warnings[0]).toContain(JSON.stringify(why).slice(1, -1));
      expect(broker.stats().producers).toBe(1);
      other.destroy();
    },
  );

  test("forgets a frame that was cut by a lost connection, says so, and disturbs nobody else", async () => {
    await using broker = await startTestBroker({ deliveryMode });
    using consumer = await connectConsumer(broker);
    const other = await connectRawProducer(broker);
    const cut = await connectRawProducer(broker);
    cut.end(Buffer.concat([encodeFrame(bytes("whole")), encodeFrame(bytes("never whole")).subarray(0, 9)]));
    await waitFor("the warning", () => broker.warnings.length === 1);
    other.end(encodeFrame(bytes("unharmed")));
    await waitFor("two messages", () => consumer.received.length === 2);
    expect(consumer.texts()).toEqual(["whole", "unharmed"]);
    expect(broker.warnings[0]).toContain("closed inside a frame, 9 bytes of which had come");
  });

  test("closes a client with another handshake, or with none in time, and says why", async () => {
    await using broker = await startTestBroker({ deliveryMode, handshakeMs: 100 });
    const [stranger, silent] = [await connectTo(broker), await connectTo(broker)];
    stranger.write("GET / HTTP/1.1\r\n\r\n");
    silent.write("PRODU");
    for (const socket of [stranger, silent]) socket.resume();
    await Promise.all([once(stranger, "close"), once(silent, "close")]);
    expect(broker.warnings[0]).toContain("expected the line PRODUCER or CONSUMER or CONSUMER ACK");
    expect(broker.warnings[1]).toContain("no handshake within 100 ms");
    expect(broker.stats()).toMatchObject({ producers: 0, consumers: 0 });
  });

  test("closes the consumer that is one too many, says why, and has room again when one leaves", async () => {
    await using broker = await startTestBroker({ deliveryMode, maxConsumers: 1 });
    const first = await connectConsumer(broker);
    const tooMany = await connectTo(broker);
    tooMany.resume().write("CONSUMER\n");
    await once(tooMany, "close");
    expect(broker.warnings[0]).toContain("1 consumers are connected");
    first.socket.destroy();
    await waitFor("room", () => broker.stats().consumers === 0);
    using second = await connectConsumer(broker);
    const producer = await connectRawProducer(broker);
    producer.end(encodeFrame(bytes("for the second")));
    await waitFor("the message", () => second.texts()[0] === "for the second");
  });

  test("answers GET /health and /healthz, and 404 otherwise", async () => {
    await using broker = await startTestBroker({ deliveryMode });
    using _consumer = await connectConsumer(broker);
    const get = (path: string, init?: RequestInit) =>
      fetch(`http://127.0.0.1:${broker.httpPort}${path}`, init);
    for (const path of ["/health", "/healthz?verbose"]) {
      const response = await get(path);
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("application/json");
      expect(await response.json()).toEqual({
        ...{ status: "ok", deliveryMode, producers: 0, consumers: 1 },
        ...{ messagesIn: 0, messagesOut: 0, dropped: 0, buffered: 0, unacked: 0 },
      });
    }
    expect((await get("/")).status).toBe(404);
    expect((await get("/health", { method: "POST", body: "{}" })).status).toBe(404);
  });

  test("close ends in time with a consumer that does not read, one in the middle of a frame and one that is silent", async () => {
    const broker = await startTestBroker({ deliveryMode, bufferMessages: 100 });
    using stuck = await connectConsumer(broker, { reads: false });
    const producer = await connectRawProducer(broker);
    const flood = new Uint8Array(64 * 1024);
    const silent = await connectTo(broker);
    for (let n = 0; n < 400; n++) producer.write(encodeFrame(flood));
    producer.write(encodeFrame(flood).subarray(0, 100));
    await waitFor("the consumer to be stuck", () => broker.stats().buffered >= 100);
    const startMs = performance.now();
    await Promise.all([broker.close(), broker.close()]);
    // It gives consumers one second.
    expect(performance.now() - startMs).toBeLessThan(5000);
    expect(stuck.received).toEqual([]);
    expect(broker.warnings.join()).toContain("Broker closed with messages nobody took");
    for (const socket of [producer, silent]) socket.destroy();
  });

  test("close first gives consumers what was held for them", async () => {
    const broker = await startTestBroker({ deliveryMode });
    using consumer = await connectConsumer(broker, { reads: false });
    const producer = await connectRawProducer(broker);
    const block = new Uint8Array(64 * 1024);
    for (let n = 0; n < 300; n++) producer.write(encodeFrame(block));
    await waitFor("all to come in", () => broker.stats().messagesIn === 300);
    await waitFor("some to be held", () => broker.stats().buffered > 0);
    const closed = broker.close();
    consumer.socket.resume();
    await closed;
    await waitFor("all messages", () => consumer.received.length === 300);
    producer.destroy();
  });

  test("says which port is taken, and leaves the other one free", async () => {
    await using broker = await startTestBroker({ deliveryMode });
    const tcpPort = await freePort();
    const { logger } = createTestLogger();
    const options = { deliveryMode, host: "127.0.0.1", maxConsumers: 1, bufferMessages: 1, logger };
    const again = startTestBroker({ ...options, tcpPort, httpPort: broker.httpPort });
    await expect(again).rejects.toThrow(`Cannot listen on "127.0.0.1:${broker.httpPort}"`);
    await using _second = await startTestBroker({ ...options, tcpPort });
  });
});

describe("connectProducer", () => {
  test("says that nobody listens", async () => {
    const port = await freePort();
    const error = await connectProducer({ host: "127.0.0.1", port }).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(MillraceError);
    expect(error).toMatchObject({ code: "unavailable" });
    expect(String(error)).toContain(`Cannot connect to broker "127.0.0.1:${port}"`);
  });

  test("send fails once the broker has gone, and close says so too", async () => {
    const broker = await startTestBroker({ deliveryMode: "broadcast" });
    const producer = await connectProducer({ host: "127.0.0.1", port: broker.tcpPort });
    await waitFor("the producer", () => broker.stats().producers === 1);
    await broker.close();
    await waitFor("the loss", () =>
      producer
        .send(bytes("x"))
        .then(() => false)
        .catch(() => true),
    );
    await expect(producer.send(bytes("x"))).rejects.toMatchObject({ code: "unavailable" });
    await expect(producer.close()).rejects.toMatchObject({ code: "unavailable" });
  });

  test("refuses a body that cannot be a frame and goes on with the next", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue" });
    using consumer = await connectConsumer(broker);
    const producer = await connectProducer({ host: "127.0.0.1", port: broker.tcpPort });
    await expect(producer.send(new Uint8Array())).rejects.toMatchObject({ code: "invalid-input" });
    await expect(producer.send(new Uint8Array(MAX_FRAME_BYTES + 1))).rejects.toThrow('length "1048577"');
    await producer.send(bytes("good"));
    await producer.close();
    await waitFor("the message", () => consumer.texts()[0] === "good");
  });
});
