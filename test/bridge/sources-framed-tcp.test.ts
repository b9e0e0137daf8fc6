/** What is particular to the framed-TCP source; what it has in common with the others is in its contract. */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { startBroker } from "../../bridge/broker/broker.ts";
import { encodeFrame } from "../../bridge/broker/framing.ts";
import { createDecode } from "../../bridge/decode.ts";
import { createFramedTcpSource } from "../../bridge/sources/framed-tcp.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Batch } from "../../functions/ports/broker-source.ts";
import { silent } from "../support/logger.ts";
import { waitFor } from "../support/wait.ts";

const decode = createDecode({ source: "/framed-tcp/test", rules: {}, lastResortId: "random" });
const frame = (n: number) => encodeFrame(new TextEncoder().encode(JSON.stringify({ companyId: "acme", n })));

/** A broker that sends what a test tells it to, be it wrong. Resolves with the address and the first line of the client. */
async function startPeer(host: string, serve: (socket: Socket) => void) {
  const hello: string[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (chunk) => {
      hello.push(String(chunk));
      serve(socket);
    });
  }).listen(0, host);
  await once(server, "listening");
  onTestFinished(async () => {
    server.close();
  });
  const { port } = server.address() as { port: number };
  return { address: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`, hello };
}

function read(address: string, { acks = false } = {}) {
  const seen = { connected: false, dropped: 0 };
  const stop = new AbortController();
  const source = createFramedTcpSource({
    name: "test",
    address,
    prefetch: 100,
    acks,
    decode,
    events: {
      connected: () => {
        seen.connected = true;
      },
      dropped: (messages) => {
        seen.dropped += messages;
      },
    },
  });
  const batches = source.deliveries(stop.signal)[Symbol.asyncIterator]();
  onTestFinished(async () => {
    stop.abort();
    await batches.return?.();
  });
  return { seen, next: () => batches.next(), abort: () => stop.abort() };
}

/** The numbers that came, and the error at the end. */
async function readToTheEnd(
  address: string,
  options?: { acks: boolean },
): Promise<{ numbers: number[]; error: MillraceError }> {
  const { next } = read(address, options);
  const numbers: number[] = [];
  for (;;) {
    const result = await next().catch((error: unknown) => error);
    if (result instanceof Error) {
      expect(result).toBeInstanceOf(MillraceError);
      return { numbers, error: result as MillraceError };
    }
    const batch = (result as IteratorYieldResult<Batch>).value;
    for (const delivery of batch.deliveries) {
      if ("event" in delivery) numbers.push(JSON.parse(delivery.event.data).n);
    }
    await batch.ack();
  }
}

describe("framed-TCP source", () => {
  it.each(["127.0.0.1", "::1"])("says CONSUMER first, on %s", async (host) => {
    const { address, hello } = await startPeer(host, (socket) => void socket.end(frame(1)));
    expect((await readToTheEnd(address)).numbers).toEqual([1]);
    expect(hello).toEqual(["CONSUMER\n"]);
  });

  it("a connection cut inside a message: what came before it is handed out, then a retryable error says so", async () => {
    const { address } = await startPeer("127.0.0.1", (socket) => {
      socket.end(Buffer.concat([frame(1), frame(2), frame(3).subarray(0, 7)]));
    });
    const { numbers, error } = await readToTheEnd(address);
    expect(numbers).toEqual([1, 2]);
    expect(error.retryable).toBe(true);
    expect(error.message).toContain("closed inside a message");
  });

  it.each([
    ["zero", [0, 0, 0, 0]],
    ["over 1 MiB", [0, 16, 0, 1]],
  ])(
    "a length of %s: what came before it is handed out, then a retryable error names it",
    async (_, length) => {
      const { address } = await startPeer("127.0.0.1", (socket) => {
        socket.write(Buffer.concat([frame(1), Buffer.from(length)]));
      });
      const { numbers, error } = await readToTheEnd(address);
      expect(numbers).toEqual([1]);
      expect(error.retryable).toBe(true);
      expect(error.message).toContain("frame of length");
    },
  );

  it("messages cut into single bytes come whole", async () => {
    const { address } = await startPeer("127.0.0.1", async (socket) => {
      socket.setNoDelay();
      for (const byte of Buffer.concat([frame(1), frame(2)])) {
        socket.write(Uint8Array.of(byte));
        await new Promise(setImmediate);
      }
      socket.end();
    });
    expect((await readToTheEnd(address)).numbers).toEqual([1, 2]);
  });

  it("a broker that is full closes the connection: a retryable error", async () => {
    const broker = await startBroker({
      ...{ host: "127.0.0.1", tcpPort: 0, httpPort: 0, deliveryMode: "broadcast", maxConsumers: 1 },
      ...{ bufferMessages: 10, logger: silent },
    });
    onTestFinished(() => broker.close());
    const address = `127.0.0.1:${broker.tcpPort}`;
    const first = read(address);
    const pending = first.next();
    await waitFor("the first consumer", () => broker.stats().consumers === 1);
    const { error } = await readToTheEnd(address);
    expect(error.retryable).toBe(true);
    first.abort();
    expect((await pending).done).toBe(true);
  });

  it("an abort hands out what was read, and what is not taken then is counted as dropped", async () => {
    const { address } = await startPeer("127.0.0.1", (socket) => {
      socket.write(Buffer.concat([frame(1), frame(2), frame(3)]));
    });
    const { seen, next, abort } = read(address);
    const first = await next();
    expect(first.value.deliveries).toHaveLength(3);
    abort();
    await first.value.nack(new Error("the log is away"));
    expect(seen.dropped).toBe(3);
    expect((await next()).done).toBe(true);
  });
});

describe("framed-TCP source with acks", () => {
  const withAcks = { acks: true };
  /** Counts of the acks that came. */
  const acksOf = (bytes: Buffer[]) => {
    const joined = Buffer.concat(bytes);
    return Array.from({ length: joined.length / 4 }, (_, n) => joined.readUInt32BE(4 * n));
  };

  it("says CONSUMER ACK first, and acks what is settled, the oldest first", async () => {
    const came: Buffer[] = [];
    const { address, hello } = await startPeer("127.0.0.1", (socket) => {
      socket.on("data", (chunk: Buffer) => came.push(chunk));
      socket.write(Buffer.concat([Buffer.from("QUEUE\n"), ...[1, 2].map(frame)]));
      setImmediate(() => socket.write(Buffer.concat([3, 4, 5].map(frame))));
    });
    const { seen, next } = read(address, withAcks);
    const batches: Batch[] = [];
    for (let count = 0; count < 5; ) {
      const { value } = await next();
      batches.push(value);
      count += value.deliveries.length;
    }
    expect(seen.connected).toBe(true);
    expect(hello).toEqual(["CONSUMER ACK\n"]);
    for (const batch of batches.toReversed()) await batch.ack();
    await waitFor("the acks", () => acksOf(came).reduce((sum, count) => sum + count, 0) === 5);
    // Of several batches none is acked before the first, so one ack says all.
    expect(acksOf(came)).toEqual([5]);
  });

  it("the last ack goes out although the source ends", async () => {
    const came: Buffer[] = [];
    const { address } = await startPeer("127.0.0.1", (socket) => {
      socket.on("data", (chunk: Buffer) => came.push(chunk));
      socket.write(Buffer.concat([Buffer.from("QUEUE\n"), ...[1, 2, 3].map(frame)]));
    });
    const { seen, next, abort } = read(address, withAcks);
    const { value } = await next();
    expect(value.deliveries).toHaveLength(3);
    abort();
    await value.ack();
    expect((await next()).done).toBe(true);
    await waitFor("the ack", () => acksOf(came).length === 1);
    expect(acksOf(came)).toEqual([3]);
    expect(seen.dropped).toBe(0);
  });

  it.each([
    ["that broadcasts", "BROADCAST\n", "broadcast mode, and keeps nothing"],
    ["that knows no acks and sends at once", frame(1), 'Cannot read answer "\\u0000'],
    ["that answers something else", "OK\n", 'Cannot read answer "OK": expected the line QUEUE or BROADCAST'],
  ])("a broker %s: nothing is read, and the error says what to do", async (_, answer, expected) => {
    const { address } = await startPeer("127.0.0.1", (socket) => {
      socket.write(answer);
      socket.write(Buffer.alloc(80, 1));
    });
    const { numbers, error } = await readToTheEnd(address, withAcks);
    expect(numbers).toEqual([]);
    expect(error).toMatchObject({ code: "invalid-settings", retryable: false });
    expect(error.message).toContain(expected);
    expect(error.message).toContain("DELIVERY_MODE=queue, or the source without acks: true");
  });

  it("a broker that closes instead of answering: a retryable error says so", async () => {
    const { address } = await startPeer("127.0.0.1", (socket) => void socket.end());
    const { error } = await readToTheEnd(address, withAcks);
    expect(error.retryable).toBe(true);
    expect(error.message).toContain("closed the connection instead of answering CONSUMER ACK");
  });

  it("a connection that is lost: what was read and not handed out is left to come again", async () => {
    const { address } = await startPeer("127.0.0.1", (socket) => {
      socket.write(Buffer.concat([Buffer.from("QUEUE\n"), ...[1, 2].map(frame)]));
      setTimeout(() => socket.end(Buffer.concat([3, 4].map(frame))), 20);
    });
    const { next, seen } = read(address, withAcks);
    const { value } = await next();
    expect(value.deliveries).toHaveLength(2);
    await waitFor("the loss", () =>
      process.getActiveResourcesInfo().every((name) => name !== "TCPSocketWrap"),
    );
    await value.ack();
    await expect(next()).rejects.toMatchObject({ retryable: true });
    expect(seen.dropped).toBe(0);
  });
});
