/** The framed-TCP message queue: sockets, handshakes and their ends. How messages are delivered is in broadcast.ts and queue.ts. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { sleep } from "../../functions/core/backoff.ts";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { createBroadcast } from "./broadcast.ts";
import { nameOf, serveConsumer, serveProducer, shakeHands } from "./connection.ts";
import type { DeliveryStats } from "./delivery.ts";
import { WRITE_BYTES } from "./fifo.ts";
import type { Role } from "./framing.ts";
import { createHealthServer } from "./health.ts";
import { createQueue } from "./queue.ts";

/** Milliseconds a client has to say what it is. */
const HANDSHAKE_MS = 10_000;
/** Milliseconds `close` gives consumers to take what is held for them, and to ack it. */
const CLOSE_MS = 1000;
/** Connections besides the consumers; each may hold a message that is not whole yet, 1 MiB at most. */
const MAX_OTHER_CONNECTIONS = 1000;
/** Milliseconds of silence after which TCP asks whether the other side is still there. */
const KEEP_ALIVE_MS = 30_000;

export interface BrokerOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly tcpPort: number;
  /** Of the HTTP health routes; 0: a free one. */
  readonly httpPort: number;
  /** `broadcast`: every consumer gets every message. `queue`: each message goes to one consumer. */
  readonly deliveryMode: "broadcast" | "queue";
  /** Consumers connected at once; one more is closed with a logged reason. */
  readonly maxConsumers: number;
  /** Messages held a consumer that is not ready (broadcast) or in all (queue). */
  readonly bufferMessages: number;
  readonly logger: Logger;
  /** Milliseconds for the first line. Default 10,000. */
  readonly handshakeMs?: number;
}

interface BrokerStats extends DeliveryStats {
  readonly deliveryMode: "broadcast" | "queue";
  /** Connected now. */
  readonly producers: number;
  /** Connected now. */
  readonly consumers: number;
}

export interface Broker extends AsyncDisposable {
  readonly tcpPort: number;
  readonly httpPort: number;
  stats(): BrokerStats;
  /** Sends producers away, gives consumers about a second to take what is held, and closes. Any number of times. */
  close(): Promise<void>;
}

/** @throws MillraceError `unavailable` when a port cannot be listened on. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const { host, deliveryMode, maxConsumers, logger, handshakeMs = HANDSHAKE_MS } = options;
  const delivery = deliveryMode === "queue" ? createQueue(options) : createBroadcast(options);
  const sockets = new Set<Socket>();
  const producers = new Set<Socket>();
  const consumers = new Set<Socket>();
  let turnIsDue = false;

  const turnLater = () => {
    if (turnIsDue) return;
    turnIsDue = true;
    // After all sockets that have something to read were read.
    setImmediate(() => {
      turnIsDue = false;
      delivery.turn();
    });
  };

  const serve = (socket: Socket) => {
    const client = nameOf(socket);
    const refuse = (reason: string) => {
      logger.warn({ client, reason }, "Broker closed a connection");
      socket.destroy();
    };
    const cut = (reason: string) => logger.warn({ client, reason }, "Broker lost a producer");
    sockets.add(socket);
    socket.once("close", () => {
      for (const set of [sockets, producers, consumers]) set.delete(socket);
    });
    // A lost connection is an end like any other: `close` follows.
    socket.on("error", () => {});
    const welcome = (role: Role, rest: Uint8Array) => {
      if (role === "producer") {
        producers.add(socket);
        serveProducer(socket, rest, delivery, turnLater, refuse, cut);
      } else if (consumers.size < maxConsumers) {
        consumers.add(socket);
        const acks = role === "consumer-ack" ? { mode: deliveryMode, refuse } : undefined;
        serveConsumer(socket, rest, delivery, acks);
      } else {
        refuse(`${maxConsumers} consumers are connected, expected at most that many`);
      }
    };
    shakeHands(socket, handshakeMs, welcome, refuse);
  };

  const stats = (): BrokerStats => ({
    deliveryMode,
    producers: producers.size,
    consumers: consumers.size,
    ...delivery.stats(),
  });

  const tcp = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS, highWaterMark: WRITE_BYTES },
    serve,
  );
  tcp.maxConnections = maxConsumers + MAX_OTHER_CONNECTIONS;
  tcp.on("drop", (client) => {
    logger.warn({ client: `${client?.remoteAddress}:${client?.remotePort}` }, "Broker is full");
  });
  const http = createHealthServer(stats);
  const tcpPort = await listen(tcp, host, options.tcpPort);
  const httpPort = await listen(http, host, options.httpPort).catch((error: unknown) => {
    tcp.close();
    throw error;
  });
  logger.info({ host, tcpPort, httpPort, deliveryMode }, "Broker is listening");

  const end = async () => {
    const closed = Promise.all([tcp, http].map((server) => once(server, "close")));
    tcp.close();
    http.close();
    http.closeAllConnections();
    for (const socket of sockets) if (!consumers.has(socket)) socket.destroy();
    delivery.turn();
    const deadline = Date.now() + CLOSE_MS;
    const left = () => {
      const { buffered, unacked } = delivery.stats();
      return buffered + unacked;
    };
    while (left() > 0 && consumers.size > 0 && Date.now() < deadline) await sleep(10);
    if (left() > 0) logger.warn({ messages: left() }, "Broker closed with messages nobody took");
    for (const socket of sockets) socket.end();
    const destroy = () => {
      for (const socket of sockets) socket.destroy();
    };
    const cut = setTimeout(destroy, Math.max(0, deadline - Date.now()));
    await closed;
    clearTimeout(cut);
  };
  let ended: Promise<void> | undefined;
  const close = () => {
    ended ??= end();
    return ended;
  };
  return { tcpPort, httpPort, stats, close, [Symbol.asyncDispose]: close };
}

async function listen(server: Server, host: string, port: number): Promise<number> {
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (cause) {
    throw new MillraceError(
      "unavailable",
      `Cannot listen on "${host}:${port}": ${describeError(cause)}, expected a free port`,
      { cause },
    );
  }
  return (server.address() as AddressInfo).port;
}
