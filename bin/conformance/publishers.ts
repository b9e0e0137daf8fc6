/** Ways to make an event appear on the server under test. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createRedisPublisher } from "./redis-publisher.ts";

/** An event to be published, attributes unchecked: some are meant to be refused. */
export interface Outgoing {
  readonly type: string;
  /** The payload as text; JSON unless the publisher `carriesText`. */
  readonly data: string;
  /** CloudEvents id, where the way in has one. Default a new one. */
  readonly id?: string;
}

export interface Publisher {
  /** For the report. */
  readonly name: string;
  /** Payloads need not be JSON. */
  readonly carriesText: boolean;
  /** Types and ids may hold any character on the way in, so the server is the one to refuse them. */
  readonly carriesAnyAttribute: boolean;
  /** Hands the events over in order. Rejects when they were refused or could not be sent. */
  publish(company: string, events: readonly Outgoing[]): Promise<void>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 5_000;

/**
 * The publisher of an address: `tcp://host:port` is a framed-TCP broker; `redis:` and `rediss:` the event log itself; `http:` and `https:` a URL
 * template in which `{company}` and `{type}` are filled in.
 * @throws Error when it is neither.
 */
export function createPublisher(address: string): Publisher {
  const { protocol } = URL.canParse(address) ? new URL(address) : { protocol: "" };
  if (protocol === "tcp:") return createFramedTcpPublisher(new URL(address));
  if (protocol === "http:" || protocol === "https:") return createHttpPublisher(address);
  if (protocol === "redis:" || protocol === "rediss:") return createRedisPublisher(address);
  // It may be a Redis URL gone wrong, with its password.
  throw new Error(
    "Cannot publish: expected tcp://host:port, a redis:// or rediss:// URL, or an http:// or https:// URL with {company} in it",
  );
}

/** One POST an event, the body its data. The type goes where `{type}` is, and in the header nchan takes it from. */
function createHttpPublisher(template: string): Publisher {
  return {
    name: "http",
    carriesText: true,
    carriesAnyAttribute: false,
    async publish(company, events) {
      for (const { type, data } of events) {
        const url = template
          .replaceAll("{company}", encodeURIComponent(company))
          .replaceAll("{type}", encodeURIComponent(type));
        const response = await fetch(url, {
          method: "POST",
          headers: { "content-type": "application/json", "x-eventsource-event": type },
          body: data,
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
        await response.arrayBuffer();
        if (!response.ok) {
          throw new Error(
            `the publish URL answered ${response.status} to a payload of ${data.length} characters`,
          );
        }
      }
    },
    close: async () => {},
  };
}

/** A producer of the framed-TCP broker: a line `PRODUCER`, then 4-byte big-endian lengths and CloudEvents JSON. */
function createFramedTcpPublisher({ hostname, port }: URL): Publisher {
  let socket: Socket | undefined;
  const connected = async () => {
    if (socket && !socket.destroyed) return socket;
    const fresh = connect({ host: hostname, port: Number(port), noDelay: true });
    const timer = setTimeout(() => fresh.destroy(new Error("no connection in time")), TIMEOUT_MS);
    try {
      await once(fresh, "connect");
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`cannot connect to the broker at ${hostname}:${port}: ${reason}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
    fresh.on("error", () => {});
    fresh.resume();
    fresh.write("PRODUCER\n");
    socket = fresh;
    return fresh;
  };
  return {
    name: "framed-tcp",
    carriesText: false,
    carriesAnyAttribute: true,
    async publish(company, events) {
      const to = await connected();
      for (const event of events) {
        if (!to.write(frame(company, event))) {
          await once(to, "drain", { signal: AbortSignal.timeout(TIMEOUT_MS) });
        }
      }
    },
    async close() {
      if (!socket || socket.destroyed) return;
      const closed = once(socket, "close");
      socket.end();
      setTimeout(() => socket?.destroy(), 500).unref();
      await closed;
    },
  };
}

function frame(company: string, { type, data, id = randomUUID() }: Outgoing): Buffer {
  // The data goes in as text: parsing and printing it would lose what a check put there.
  const attributes = JSON.stringify({
    specversion: "1.0",
    type,
    source: "/conformance",
    id,
    time: new Date().toISOString(),
    companyid: company,
    datacontenttype: "application/json",
  });
  const body = Buffer.from(`${attributes.slice(0, -1)},"data":${data}}`);
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  return Buffer.concat([head, body]);
}
