/** The two sides of a broker as tests use them: raw sockets, so that a test can misbehave. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type Broker, type BrokerOptions, startBroker } from "../../bridge/broker/broker.ts";
import {
  createFrameDecoder,
  createModeReader,
  encodeAck,
  encodeHandshake,
  type Mode,
} from "../../bridge/broker/framing.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { waitFor } from "../support/wait.ts";

/** A logger that keeps its warnings as `message {fields}`. */
export function createTestLogger(): { logger: Logger; warnings: string[] } {
  const warnings: string[] = [];
  const ignore = () => {};
  const warn = (fields: object, message: string) => {
    warnings.push(`${message} ${JSON.stringify(fields)}`);
  };
  return { logger: { debug: ignore, info: ignore, warn, error: warn }, warnings };
}

/** A broker on free ports with small bounds, and what it warned of. */
export async function startTestBroker(
  options: Pick<BrokerOptions, "deliveryMode"> & Partial<BrokerOptions>,
): Promise<Broker & { warnings: string[] }> {
  const { logger, warnings } = createTestLogger();
  const defaults = {
    host: "127.0.0.1",
    tcpPort: 0,
    httpPort: 0,
    maxConsumers: 10,
    bufferMessages: 10_000,
    logger,
  };
  return Object.assign(await startBroker({ ...defaults, ...options }), { warnings });
}

export async function connectTo(broker: Broker): Promise<Socket> {
  const socket = connect(broker.tcpPort, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** A producer's socket whose handshake was sent. */
export async function connectRawProducer(broker: Broker): Promise<Socket> {
  const before = broker.stats().producers;
  const socket = await connectTo(broker);
  socket.write(encodeHandshake("producer"));
  socket.resume();
  await waitFor("the broker to see the producer", () => broker.stats().producers > before);
  return socket;
}

export interface TestConsumer extends Disposable {
  readonly socket: Socket;
  /** Bodies so far. */
  readonly received: Uint8Array[];
  /** What one that acks was answered. */
  readonly mode: Mode | undefined;
  texts(): string[];
  /** Done with so many more. */
  ack(messages: number): void;
}

/** A consumer that the broker knows of. `reads: false`: it reads nothing until `socket.resume()`. */
export async function connectConsumer(
  broker: Broker,
  { reads = true, acks = false }: { reads?: boolean; acks?: boolean } = {},
): Promise<TestConsumer> {
  const before = broker.stats().consumers;
  const socket = await connectTo(broker);
  const decoder = createFrameDecoder();
  const answer = acks ? createModeReader() : undefined;
  let mode: Mode | undefined;
  const received: Uint8Array[] = [];
  socket.on("data", (chunk: Buffer) => {
    const answered = mode === undefined ? answer?.push(chunk) : undefined;
    mode ??= answered?.meaning;
    received.push(...decoder.push(answered?.rest ?? chunk));
  });
  if (!reads) socket.pause();
  socket.write(encodeHandshake(acks ? "consumer-ack" : "consumer"));
  await waitFor("the broker to see the consumer", () => broker.stats().consumers > before);
  return {
    socket,
    received,
    get mode() {
      return mode;
    },
    texts: () => received.map((body) => Buffer.from(body).toString()),
    ack: (messages) => void socket.write(encodeAck(messages)),
    [Symbol.dispose]: () => {
      socket.destroy();
    },
  };
}
