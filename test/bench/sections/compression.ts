/**
 * Compression: what it costs to send 1,000 clients their events plain, compressed once for all of them, and compressed by a gzip stream a
 * connection; the compression alone, and with the writes to sockets whose other ends are in another process.
 */
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { constants, createGzip, type Gzip } from "node:zlib";
import { demoTelemetry } from "../../../bridge/producers/dcgm.ts";
import type { Message } from "../../../bridge/producers/message.ts";
import { demoMetrics } from "../../../bridge/producers/metrics.ts";
import { joinBytes } from "../../../functions/core/bytes.ts";
import { formatCursor } from "../../../functions/core/cursor.ts";
import { encodeRecord, parseEvent } from "../../../functions/core/event.ts";
import { MIN_DEFLATE_BYTES } from "../../../functions/core/gzip.ts";
import { SSE } from "../../../functions/core/sse.ts";
import { typeOfSubject } from "../../../functions/core/subject.ts";
import { gzipSink } from "../../../functions/live/gzip-sink.ts";
import type { Sink } from "../../../functions/ports/hub.ts";
import { deflate } from "../../../functions/runtimes/zlib.ts";
import { waitFor } from "../../support/wait.ts";
import { CORES } from "../lib/processes.ts";
import { type BenchContext, format, type Section, type Table, target } from "../lib/section.ts";
import type { SinkClientCalls } from "../lib/sink-client.ts";
import { median } from "../lib/statistics.ts";
import { startWorker } from "../lib/worker.ts";

const CLIENTS = 1_000;
/** Of zlib, for those who compress a connection: what functions/runtimes/zlib.ts takes. */
const LEVEL = 6;
/** Events of a turn: one alone, what 1,000 events/s make of turns of 10 ms, and a full batch. */
const TURNS = [1, 10, 100] as const;

const EVENTS: Readonly<Record<string, () => Generator<Message, never>>> = {
  metrics: () => demoMetrics({ companies: ["acme"] }),
  telemetry: () => demoTelemetry({ companies: ["acme"] }),
};

/** Frames as the hub encodes them. */
function frames(kind: string, count: number): Uint8Array[] {
  const messages = EVENTS[kind]!();
  return Array.from({ length: count }, (_, n) => {
    const { id, source, subject, time, companyId, body } = messages.next().value;
    const type = typeOfSubject(subject);
    const event = parseEvent({ companyId, source, id, type, time, dataText: JSON.stringify(body) });
    return SSE.event(formatCursor("k3v9x2q7", `1763720000000-${n}`), encodeRecord(event), "data");
  });
}

/** Where the bytes of one client go. */
type Outlet = (bytes: Uint8Array) => boolean;

/** One way to send a turn to every client; resolves when all of it is with the outlets. */
interface Sender {
  send(bytes: Uint8Array): Promise<void> | void;
  close(): void;
}
type Way = "plain" | "shared" | "own pieces" | "own stream";

const sinkOf = (write: Outlet): Sink => ({ write, onDrain() {}, end() {} });

const WAYS: Readonly<Record<Way, (outlets: readonly Outlet[]) => Sender>> = {
  plain(outlets) {
    const sinks = outlets.map(sinkOf);
    return {
      send(bytes) {
        for (const sink of sinks) sink.write(bytes);
      },
      close() {},
    };
  },
  shared(outlets) {
    const sinks = outlets.map((outlet) => gzipSink(sinkOf(outlet), deflate));
    return {
      send(bytes) {
        for (const sink of sinks) sink.write(bytes);
      },
      close() {},
    };
  },
  // The same code, given an array of its own each time: what sharing alone is worth.
  "own pieces"(outlets) {
    const sinks = outlets.map((outlet) => gzipSink(sinkOf(outlet), deflate));
    return {
      send(bytes) {
        for (const sink of sinks) sink.write(bytes.subarray());
      },
      close() {},
    };
  },
  // As a middleware does it that knows it must flush. It keeps its history, so it sends least.
  "own stream"(outlets) {
    const streams = outlets.map((outlet): Gzip => {
      const gzip = createGzip({ level: LEVEL });
      gzip.on("data", outlet);
      return gzip;
    });
    return {
      async send(bytes) {
        await Promise.all(
          streams.map(
            (gzip) =>
              new Promise<void>((resolve) => {
                gzip.write(bytes);
                gzip.flush(constants.Z_SYNC_FLUSH, resolve);
              }),
          ),
        );
      },
      close() {
        for (const gzip of streams) gzip.destroy();
      },
    };
  },
};

interface Measured {
  /** Microseconds of CPU, user and system, all threads, a delivered event, written to a socket. */
  readonly cpuMicros: number;
  /** The same, counted instead of written: compression alone. */
  readonly aloneMicros: number;
  /** Bytes sent a client and event. */
  readonly bytes: number;
}

interface Result {
  readonly kind: string;
  /** A turn. */
  readonly events: number;
  readonly by: Readonly<Record<Way, Measured>>;
}

async function run({ quick, progress }: BenchContext) {
  const rounds = quick ? 2 : 3;
  await using client = await startWorker<SinkClientCalls>(
    new URL("../lib/sink-client.ts", import.meta.url),
    CORES?.client,
  );
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.setNoDelay().resume()));
  server.listen({ port: 0, host: "127.0.0.1", backlog: CLIENTS });
  await once(server, "listening");
  try {
    await client.call("connect", (server.address() as { port: number }).port, CLIENTS);
    await waitFor("every client", () => sockets.length === CLIENTS);

    const written = () => sockets.reduce((sum, { bytesWritten }) => sum + bytesWritten, 0);
    const flushed = async () => {
      while (sockets.some(({ writableLength }) => writableLength > 0)) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const toSockets = sockets.map(
      (socket): Outlet =>
        (bytes) =>
          socket.write(bytes),
    );
    let counted = 0;
    const toCounters = sockets.map(
      (): Outlet => (bytes) => {
        counted += bytes.byteLength;
        return true;
      },
    );
    /** Microseconds of CPU of all batches. */
    const cpuOf = async (way: Way, outlets: readonly Outlet[], batches: readonly Uint8Array[]) => {
      const sender = WAYS[way](outlets);
      await sender.send(batches[0]!.slice());
      await flushed();
      counted = 0;
      const before = process.cpuUsage();
      for (const bytes of batches) {
        // As of a turn of the hub: an array that nobody has compressed yet.
        await sender.send(bytes.slice());
        await flushed();
      }
      const { user, system } = process.cpuUsage(before);
      sender.close();
      return user + system;
    };
    const measure = async (way: Way, batches: readonly Uint8Array[], events: number): Promise<Measured> => {
      const delivered = CLIENTS * events * batches.length;
      const aloneMicros = (await cpuOf(way, toCounters, batches)) / delivered;
      const bytes = counted / delivered;
      const cpuMicros = (await cpuOf(way, toSockets, batches)) / delivered;
      await waitFor(
        "the clients to have every byte",
        async () => (await client.call("received")) === written(),
      );
      return { cpuMicros, aloneMicros, bytes };
    };

    const results: Result[] = [];
    for (const kind of Object.keys(EVENTS)) {
      for (const events of TURNS) {
        const turns = Math.ceil((quick ? 30 : 60) / Math.sqrt(events));
        const all = frames(kind, events * turns);
        const batches = Array.from({ length: turns }, (_, n) =>
          joinBytes(all.slice(n * events, (n + 1) * events)),
        );
        const measured: Record<Way, Measured[]> = {
          plain: [],
          shared: [],
          "own pieces": [],
          "own stream": [],
        };
        const ways = Object.keys(measured) as Way[];
        for (let round = 0; round < rounds; round++) {
          for (const way of ways) {
            progress(`compression, ${events} ${kind} a turn, ${way}, round ${round + 1} of ${rounds}`);
            measured[way].push(await measure(way, batches, events));
          }
        }
        const middle = (way: Way): Measured => {
          const of = (what: keyof Measured) => median(measured[way].map((one) => one[what]));
          return { cpuMicros: of("cpuMicros"), aloneMicros: of("aloneMicros"), bytes: of("bytes") };
        };
        const by = Object.fromEntries(ways.map((way) => [way, middle(way)])) as Record<Way, Measured>;
        results.push({ kind, events, by });
      }
    }

    /** A stream of its own, of what sharing costs. */
    const ratio = (what: "cpuMicros" | "aloneMicros", { by }: Result) =>
      by["own stream"][what] / by.shared[what];
    const clients = CLIENTS.toLocaleString("en");
    const cpuTable = (
      unit: { name: string; perMicro: number },
      title: string,
      what: "cpuMicros" | "aloneMicros",
      ways: readonly Way[],
    ): Table => ({
      title: `CPU ${unit.name} a delivered event at ${clients} clients, ${title}`,
      columns: ["", ...ways, "own stream / shared"],
      rows: results.map((one) => [
        `${one.events} ${one.kind} a turn`,
        ...ways.map((way) => format(one.by[way][what] * unit.perMicro)),
        `${format(ratio(what, one))} x`,
      ]),
    });
    const pays = whereItPays();
    return {
      tables: [
        cpuTable({ name: "ns", perMicro: 1_000 }, "compression alone", "aloneMicros", [
          "shared",
          "own pieces",
          "own stream",
        ]),
        cpuTable({ name: "us", perMicro: 1 }, "written to sockets", "cpuMicros", [
          "plain",
          "shared",
          "own pieces",
          "own stream",
        ]),
        {
          title: "bytes sent a client and event",
          columns: ["", "plain", "shared", "saved", "own stream", "saved"],
          rows: results.map(({ kind, events, by }) => [
            `${events} ${kind} a turn`,
            format(by.plain.bytes),
            format(by.shared.bytes),
            percent(1 - by.shared.bytes / by.plain.bytes),
            format(by["own stream"].bytes),
            percent(1 - by["own stream"].bytes / by.plain.bytes),
          ]),
        },
        {
          title: `where it pays: one batch, deflated at level ${LEVEL} (from ${MIN_DEFLATE_BYTES} bytes on it is)`,
          columns: ["", "bytes", "deflated", "saved", "us a batch"],
          rows: pays.map(({ what, bytes, deflatedBytes, micros }) => [
            what,
            format(bytes),
            format(deflatedBytes),
            percent(1 - deflatedBytes / bytes),
            format(micros),
          ]),
        },
      ],
      targets: target(
        `compression alone, a stream a connection / shared, CPU at ${clients} clients, least of all loads`,
        "at least 5 x",
        Math.min(...results.map((one) => ratio("aloneMicros", one))),
        " x",
        (least) => least >= 5,
      ),
      failures: [],
      data: { results, pays },
    };
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

/** Batches of a few events, each deflated on its own, whatever its size. */
function whereItPays() {
  return Object.keys(EVENTS).flatMap((kind) =>
    [1, 2, 3, 5, 10, 30, 100].map((events) => {
      const count = 30;
      const all = frames(kind, events * count);
      const batches = Array.from({ length: count }, (_, n) =>
        joinBytes(all.slice(n * events, (n + 1) * events)),
      );
      const times: number[] = [];
      let deflatedBytes = 0;
      for (const bytes of batches) {
        const startedAt = performance.now();
        deflatedBytes += deflate(bytes).byteLength / count;
        times.push((performance.now() - startedAt) * 1000);
      }
      const micros = median(times);
      const bytes = batches.reduce((sum, { byteLength }) => sum + byteLength, 0) / count;
      return { what: `${events} ${kind}`, events, bytes, deflatedBytes, micros };
    }),
  );
}

const percent = (share: number) => `${format(share * 100)} %`;

export const compression: Section = { name: "compression", title: "Compression", run };
