/**
 * The load client: thousands of SSE connections over raw sockets in one process. It must never be what is measured: one read
 * buffer for all sockets, frames counted in place, and only some connections timed event by event.
 */
import { connect, type Socket } from "node:net";
import { nowMicros } from "./clock.ts";
import { countFrames, type FrameCounter, newFrameCounter, type OnEvent } from "./frame-counter.ts";
import { numberOf, sentMicrosOf } from "./payload.ts";
import { quantile } from "./statistics.ts";
import { answerCalls } from "./worker.ts";

/** What to ask for. */
export interface StreamRequest {
  readonly host: string;
  readonly port: number;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

interface Connection {
  readonly socket: Socket;
  readonly counter: FrameCounter;
  /** Response headers until they are complete; undefined after. */
  head: string | undefined;
}

/** Since the last `mark`. */
export interface Delivered {
  readonly events: number;
  /** Of the connection that got the fewest, and the most. */
  readonly fewest: number;
  readonly most: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Timed events. */
  readonly samples: number;
  /** Timed events that did not follow the one before. */
  readonly outOfOrder: number;
  /** Connections the server closed or refused, since `open`. */
  readonly closed: number;
  /** CPU of this process: near 100 means that the client was the limit. */
  readonly clientCpuPercent: number;
}

/** Connections timed event by event. */
const TIMED_CONNECTIONS = 50;
/**
 * Connections dialled and not yet answered. Node's listen queue holds 511 by default; past that the kernel drops the SYN, and
 * the second it waits before the next would hide everything else.
 */
const MAX_UNANSWERED = 500;
/** Milliseconds all connections may take to be answered. */
const OPEN_TIMEOUT_MS = 30_000;

const shared = Buffer.allocUnsafeSlow(256 * 1024);
let connections: Connection[] = [];
/** Connections still to be made. */
let wanted: (() => void)[] = [];
let unanswered = 0;
let opened = 0;
let refused: string | undefined;
let closed = 0;
let outOfOrder = 0;
let latencies = new Float64Array(1 << 16);
let samples = 0;
let markedAt = { micros: nowMicros(), cpu: process.cpuUsage() };
/** Called after each read of a connection. */
let onProgress: ((connection: Connection) => void) | undefined;

function timing(): OnEvent {
  let last: number | undefined;
  return (bytes, end) => {
    const number = numberOf(bytes, end);
    if (last !== undefined && number !== last + 1) outOfOrder++;
    last = number;
    if (samples === latencies.length) {
      const larger = new Float64Array(samples * 2);
      larger.set(latencies);
      latencies = larger;
    }
    latencies[samples++] = (nowMicros() - sentMicrosOf(bytes, end)) / 1000;
  };
}

function startConnection(request: StreamRequest, timed: boolean): Connection {
  const onEvent = timed ? timing() : undefined;
  const take = (length: number, bytes: Uint8Array): boolean => {
    const chunk = bytes as Buffer;
    if (connection.head !== undefined) readHead(connection, chunk.toString("latin1", 0, length), onEvent);
    else countFrames(connection.counter, chunk, length, onEvent);
    onProgress?.(connection);
    return true;
  };
  const socket = connect({
    host: request.host,
    port: request.port,
    onread: { buffer: shared, callback: take },
  });
  const connection: Connection = { socket, counter: newFrameCounter(), head: "" };
  unanswered++;
  socket.on("error", (error) => {
    refused ??= String(error);
  });
  socket.on("close", () => {
    if (connections.includes(connection)) closed++;
  });
  const headers = Object.entries({ Host: `${request.host}:${request.port}`, ...request.headers });
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  socket.write(`GET ${request.path} HTTP/1.1\r\nAccept: text/event-stream\r\n${lines}\r\n`);
  return connection;
}

function readHead(connection: Connection, text: string, onEvent: OnEvent | undefined): void {
  connection.head += text;
  const end = connection.head!.indexOf("\r\n\r\n");
  if (end < 0) return;
  const status = connection.head!.slice(0, connection.head!.indexOf("\r\n"));
  const rest = connection.head!.slice(end + 4);
  connection.head = undefined;
  unanswered--;
  dialWanted();
  if (/^HTTP\/1\.1 200 /.test(status)) opened++;
  else refused ??= `${status} ${rest.slice(0, 200)}`;
  if (rest.length > 0) countFrames(connection.counter, Buffer.from(rest, "latin1"), rest.length, onEvent);
}

function start(request: StreamRequest, clients: number): void {
  close();
  opened = closed = 0;
  refused = undefined;
  const every = Math.max(1, Math.floor(clients / TIMED_CONNECTIONS));
  for (let index = 0; index < clients; index++) {
    wanted.push(() => connections.push(startConnection(request, index % every === 0)));
  }
  dialWanted();
}

function dialWanted(): void {
  while (wanted.length > 0 && unanswered < MAX_UNANSWERED) wanted.pop()!();
}

function close(): void {
  const old = connections;
  connections = [];
  wanted = [];
  unanswered = 0;
  onProgress = undefined;
  for (const { socket } of old) socket.destroy();
}

function until(reached: () => boolean, timeoutMs: number): Promise<boolean> {
  const deadline = nowMicros() + timeoutMs * 1000;
  return new Promise((resolve) => {
    const look = () => {
      if (reached()) resolve(true);
      else if (nowMicros() > deadline) resolve(false);
      else setTimeout(look, 5);
    };
    look();
  });
}

const total = () => connections.reduce((sum, { counter }) => sum + counter.events, 0);

function mark(): void {
  for (const { counter } of connections) counter.events = 0;
  samples = outOfOrder = 0;
  markedAt = { micros: nowMicros(), cpu: process.cpuUsage() };
}

const calls = {
  /** Opens the connections and resolves when every one was answered 200. */
  async open(request: StreamRequest, clients: number): Promise<void> {
    start(request, clients);
    await until(() => opened === clients || refused !== undefined, OPEN_TIMEOUT_MS);
    if (opened < clients)
      throw new Error(`${opened} of ${clients} streams opened: ${refused ?? "no answer"}`);
    mark();
  },

  mark,

  /** Resolves with true when `events` in all came since the mark, with false when the time is up. */
  waitEvents: (events: number, timeoutMs: number) => until(() => total() >= events, timeoutMs),

  /** Resolves when nothing has come for 50 ms, or the time is up. */
  async waitQuiet(timeoutMs: number): Promise<void> {
    const deadline = nowMicros() + timeoutMs * 1000;
    for (let before = -1; before !== total() && nowMicros() < deadline; ) {
      before = total();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },

  delivered(): Delivered {
    const counts = connections.map(({ counter }) => counter.events);
    const timed = latencies.subarray(0, samples);
    const cpu = process.cpuUsage(markedAt.cpu);
    return {
      events: total(),
      fewest: Math.min(...counts),
      most: Math.max(...counts),
      p50Ms: quantile(timed, 0.5),
      p99Ms: quantile(timed, 0.99),
      samples,
      outOfOrder,
      closed,
      clientCpuPercent: ((cpu.user + cpu.system) / (nowMicros() - markedAt.micros)) * 100,
    };
  },

  /** Opens all connections at once, each asking for the `events` it missed. Resolves when all have them or the time is up. */
  async storm(
    request: StreamRequest,
    clients: number,
    events: number,
    timeoutMs: number,
  ): Promise<{ ms: number; complete: number; events: number; closed: number; refused: string | undefined }> {
    let complete = 0;
    let lastMicros = 0;
    const startMicros = nowMicros();
    start(request, clients);
    const done = new Set<Connection>();
    onProgress = (connection) => {
      if (connection.counter.events < events || done.has(connection)) return;
      done.add(connection);
      complete++;
      lastMicros = nowMicros();
    };
    await until(() => complete === clients, timeoutMs);
    return { ms: (lastMicros - startMicros) / 1000, complete, events: total(), closed, refused };
  },

  close,
};

export type LoadClientCalls = typeof calls;

answerCalls(calls);
