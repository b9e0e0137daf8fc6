/** What is particular to the NATS sources; what they have in common with the others is in their contract. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, headers, type NatsConnection, nanos } from "@nats-io/transport-node";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { createDecode } from "../../bridge/decode.ts";
import { createNatsCoreSource, type NatsCoreOptions } from "../../bridge/sources/nats-core.ts";
import { createNatsJetStreamSource, type NatsJetStreamOptions } from "../../bridge/sources/nats-jetstream.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { MillraceEvent } from "../../functions/core/event.ts";
import type { Batch, BrokerSource } from "../../functions/ports/broker-source.ts";
import { startProxy } from "../faults/lib/proxy.ts";
import { recordingLogger, silent } from "../support/logger.ts";
import { freePort, start } from "../support/process.ts";
import { accepts, missing, startNats, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const decode = createDecode({ source: "/nats/test", rules: {}, lastResortId: "random" });
const body = (n: number) => JSON.stringify({ companyId: "acme", n });

/** Reads a source; the connection is opened by the first `next`. */
function reader(source: BrokerSource) {
  const stop = new AbortController();
  const batches = source.deliveries(stop.signal)[Symbol.asyncIterator]();
  onTestFinished(async () => {
    stop.abort();
    await batches.return?.();
  });
  return {
    abort: () => stop.abort(),
    async next(): Promise<Batch | undefined> {
      const result = await batches.next();
      return result.done ? undefined : result.value;
    },
  };
}

const eventsOf = (batch: Batch | undefined): MillraceEvent[] =>
  (batch?.deliveries ?? []).map((delivery) => {
    if ("undecodable" in delivery) throw new Error(delivery.undecodable.reason);
    return delivery.event;
  });

const errorOf = async (promise: Promise<unknown>): Promise<MillraceError> => {
  const error = await promise.then(
    () => new Error("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(MillraceError);
  return error as MillraceError;
};

describe("NATS sources", () => {
  let server: TestServer;
  let connection: NatsConnection;
  let streams = 0;
  const why = missing("nats-server");
  beforeEach((context) => {
    if (why) context.skip(why);
  });
  beforeAll(async () => {
    if (why) return;
    server = await startNats();
    connection = await connect({ servers: server.url });
  });
  afterAll(async () => {
    await connection?.close();
    await server?.[Symbol.asyncDispose]();
  });

  /** Subjects that no other test uses. */
  const freshSubject = () => `metrics.s${++streams}`;

  const core = (more: Partial<NatsCoreOptions> & Pick<NatsCoreOptions, "subjects">) => {
    const seen = { connected: false, dropped: 0 };
    const source = createNatsCoreSource({
      name: "test",
      url: server.url,
      queue: undefined,
      maxPending: 1000,
      decode,
      events: {
        connected: () => {
          seen.connected = true;
        },
        dropped: (messages) => {
          seen.dropped += messages;
        },
      },
      ...more,
    });
    return { source, seen };
  };

  const stream = (more: Partial<NatsJetStreamOptions> & Pick<NatsJetStreamOptions, "stream">) => {
    const seen = { connected: false };
    const source = createNatsJetStreamSource({
      name: "test",
      url: server.url,
      durable: "millrace",
      subjects: [],
      deliver: "all",
      ackWaitMs: 1000,
      maxAckPending: 1000,
      prefetch: 100,
      decode,
      events: {
        connected: () => {
          seen.connected = true;
        },
        dropped() {},
      },
      logger: silent,
      ...more,
    });
    return { source, seen };
  };

  /** A stream of its own for one test. */
  const addStream = async () => {
    const subject = freshSubject();
    const name = `STREAM${streams}`;
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name, subjects: [subject] });
    return { subject, name, manager, js: jetstream(connection) };
  };

  it("oldestHeld: when the oldest message that waits was published and is forgotten; undefined while none does", async () => {
    const { subject, name, manager, js } = await addStream();
    await manager.streams.update(name, { max_age: nanos(3_600_000) });
    const { source, seen } = stream({ stream: name, prefetch: 2 });
    expect(await source.oldestHeld!()).toBeUndefined();
    const { next } = reader(source);
    const first = next();
    await waitFor("the consumer", () => seen.connected);
    expect(await source.oldestHeld!()).toBeUndefined();
    const startMs = Date.now();
    // Alone in its batch, and not acked: the next goes into the bridge's hand, and the others wait.
    await js.publish(subject, body(0));
    await first;
    for (let n = 1; n < 5; n++) await js.publish(subject, body(n));
    await waitFor("three that wait", async () => (await source.lag!()) === 3);
    const third = await manager.streams.getMessage(name, { seq: 3 });
    const atMs = third!.time.getTime();
    expect(await source.oldestHeld!()).toEqual({ atMs, lostAtMs: atMs + 3_600_000 });
    expect(atMs).toBeGreaterThanOrEqual(startMs);
    // Of another subject's none is meant, and what is gone is passed over.
    await manager.streams.update(name, { max_age: 0 });
    await manager.streams.deleteMessage(name, 3);
    const fourth = await manager.streams.getMessage(name, { seq: 4 });
    expect(await source.oldestHeld!()).toEqual({ atMs: fourth!.time.getTime() });
  });

  describe("core", () => {
    it("beyond maxPending the newest messages are dropped, and counted", async () => {
      const subject = freshSubject();
      const { source, seen } = core({ subjects: [subject], maxPending: 10 });
      const { next } = reader(source);
      const first = next();
      await waitFor("the subscription", () => seen.connected);
      for (let n = 0; n < 100; n++) connection.publish(subject, body(n));
      const batch = await first;
      await waitFor("the drops", () => seen.dropped === 90);
      const kept = eventsOf(batch);
      await batch!.ack();
      while (kept.length < 10) kept.push(...eventsOf(await next()));
      expect(kept.map(({ data }) => JSON.parse(data).n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });

    it("an abort still hands out what was published before it", async () => {
      const subject = freshSubject();
      const { source, seen } = core({ subjects: [subject] });
      const { next, abort } = reader(source);
      const first = next();
      await waitFor("the subscription", () => seen.connected);
      for (let n = 0; n < 50; n++) connection.publish(subject, body(n));
      await connection.flush();
      abort();
      let count = 0;
      for (let batch = await first; batch; batch = await next()) count += batch.deliveries.length;
      expect(count).toBe(50);
    });

    it("a batch that is given back is lost, and counted", async () => {
      const subject = freshSubject();
      const { source, seen } = core({ subjects: [subject] });
      const { next } = reader(source);
      const first = next();
      await waitFor("the subscription", () => seen.connected);
      connection.publish(subject, body(1));
      const batch = await first;
      await batch!.nack(new Error("the log is away"));
      await batch!.nack(new Error("twice"));
      expect(seen.dropped).toBe(1);
    });

    it("sources of one queue group share the messages", async () => {
      const subject = freshSubject();
      const counts = [0, 0];
      for (const i of [0, 1]) {
        const { source, seen } = core({ subjects: [subject], queue: "millrace" });
        const { next } = reader(source);
        void (async () => {
          for (let batch = await next(); batch; batch = await next()) {
            counts[i]! += batch.deliveries.length;
            await batch.ack();
          }
        })();
        await waitFor("the subscription", () => seen.connected);
      }
      for (let n = 0; n < 200; n++) connection.publish(subject, body(n));
      await waitFor("all messages", () => counts[0]! + counts[1]! >= 200);
      await connection.flush();
      expect(counts[0]! + counts[1]!).toBe(200);
      expect(Math.min(...counts)).toBeGreaterThan(0);
    });

    it("wildcards: a token by *, the rest by >", async () => {
      const root = freshSubject();
      const { source, seen } = core({ subjects: [`${root}.*.done`, `${root}.all.>`] });
      const { next } = reader(source);
      const first = next();
      await waitFor("the subscriptions", () => seen.connected);
      const published = ["a.done", "a.b.done", "all.x.y", "all", "b.done"].map((rest) => `${root}.${rest}`);
      for (const subject of published) connection.publish(subject, body(1));
      const subjects: string[] = [];
      for (let batch = await first; ; batch = await next()) {
        subjects.push(...eventsOf(batch).map(({ subject }) => subject!));
        await batch!.ack();
        if (subjects.includes(`${root}.b.done`)) break;
      }
      expect(subjects).toEqual([`${root}.a.done`, `${root}.all.x.y`, `${root}.b.done`]);
    });

    it("headers reach the rules, and Nats-Msg-Id is the id", async () => {
      const subject = freshSubject();
      const { source, seen } = core({ subjects: [subject] });
      const { next } = reader(source);
      const first = next();
      await waitFor("the subscription", () => seen.connected);
      const given = headers();
      given.set("Nats-Msg-Id", "m-1");
      given.set("CompanyId", "globex");
      connection.publish(subject, '{"n":12345678901234567890}', { headers: given });
      expect(eventsOf(await first)).toMatchObject([
        { id: "m-1", companyId: "globex", subject, data: '{"companyId":"globex","n":12345678901234567890}' },
      ]);
    });
  });

  describe("JetStream", () => {
    it("a stream that does not exist: an error that says so and is not retryable", async () => {
      const error = await errorOf(reader(stream({ stream: "NOWHERE" }).source).next());
      expect(error.code).toBe("invalid-settings");
      expect(error.message).toContain('Cannot read from JetStream stream "NOWHERE": it does not exist');
    });

    it("a consumer without explicit acks is refused", async () => {
      const { name, manager } = await addStream();
      await manager.consumers.add(name, { durable_name: "millrace", ack_policy: AckPolicy.None });
      const error = await errorOf(reader(stream({ stream: name }).source).next());
      expect(error.code).toBe("invalid-settings");
      expect(error.message).toContain("its ack policy is none, expected a pull consumer with explicit acks");
    });

    it("a consumer that exists is used as it is, with a warning where it differs", async () => {
      const { name, manager, js, subject } = await addStream();
      await manager.consumers.add(name, {
        durable_name: "millrace",
        ack_policy: AckPolicy.Explicit,
        max_ack_pending: 7,
      });
      const logger = recordingLogger();
      const { source } = stream({ stream: name, logger });
      const { next } = reader(source);
      const first = next();
      await js.publish(subject, body(1));
      expect(eventsOf(await first)).toHaveLength(1);
      expect((await manager.consumers.info(name, "millrace")).config.max_ack_pending).toBe(7);
      expect(logger.lines).toMatchObject([
        { level: "warn", fields: { settings: ["ack_wait", "max_ack_pending"] } },
      ]);
    });

    it("a consumer that was made here is found again without a warning", async () => {
      const { name, subject } = await addStream();
      const logger = recordingLogger();
      for (let i = 0; i < 2; i++) {
        const { source, seen } = stream({ stream: name, subjects: [subject], logger });
        const { next, abort } = reader(source);
        const first = next();
        await waitFor("the consumer", () => seen.connected);
        abort();
        expect(await first).toBeUndefined();
      }
      expect(logger.lines).toEqual([]);
    });

    it("the id is Nats-Msg-Id, else stream, sequence and the time it was stored", async () => {
      const { name, js, subject } = await addStream();
      await js.publish(subject, body(1), { msgID: "m-1" });
      await js.publish(subject, body(2));
      const { next } = reader(stream({ stream: name }).source);
      const events = eventsOf(await next());
      while (events.length < 2) events.push(...eventsOf(await next()));
      expect(events[0]!.id).toBe("m-1");
      expect(events[1]!.id).toMatch(new RegExp(`^${name}\\.2\\.\\d{13}$`));
    });

    it("a stream deleted and made anew gives its messages ids of their own", async () => {
      const { name, js, subject, manager } = await addStream();
      const idOfFirst = async () => {
        await js.publish(subject, body(1));
        const { next, abort } = reader(stream({ stream: name }).source);
        const batch = await next();
        await batch!.ack();
        abort();
        await next();
        return eventsOf(batch)[0]!.id;
      };
      const before = await idOfFirst();
      await manager.streams.delete(name);
      await manager.streams.add({ name, subjects: [subject] });
      expect(await idOfFirst()).not.toBe(before);
    });

    it("deliver new: begins behind what is in the stream", async () => {
      const { name, js, subject } = await addStream();
      await js.publish(subject, body(1));
      const { source, seen } = stream({ stream: name, deliver: "new" });
      const { next } = reader(source);
      const first = next();
      await waitFor("the consumer", () => seen.connected);
      await js.publish(subject, body(2));
      expect(eventsOf(await first).map(({ data }) => JSON.parse(data).n)).toEqual([2]);
    });

    it("a message published twice with one Nats-Msg-Id comes once", async () => {
      const { name, js, subject } = await addStream();
      for (const n of [1, 1, 2]) await js.publish(subject, body(n), { msgID: `m-${n}` });
      const { next } = reader(stream({ stream: name }).source);
      const events = eventsOf(await next());
      while (events.length < 2) events.push(...eventsOf(await next()));
      expect(events.map(({ id }) => id)).toEqual(["m-1", "m-2"]);
    });

    it("a filter with a wildcard: of the stream's subjects those that match", async () => {
      const root = freshSubject();
      const name = `STREAM${streams}`;
      const manager = await jetstreamManager(connection);
      await manager.streams.add({ name, subjects: [`${root}.>`] });
      const js = jetstream(connection);
      for (const rest of ["a.done", "a.failed", "b.done"]) await js.publish(`${root}.${rest}`, body(1));
      const { next } = reader(stream({ stream: name, subjects: [`${root}.*.done`] }).source);
      const events = eventsOf(await next());
      while (events.length < 2) events.push(...eventsOf(await next()));
      expect(events.map(({ subject }) => subject)).toEqual([`${root}.a.done`, `${root}.b.done`]);
    });

    it("what a bridge that was cut off held comes again after the ack wait, with the same ids, to one that shares the durable", async () => {
      const { name, js, subject } = await addStream();
      const proxy = await startProxy(server.port, "down");
      const url = `nats://127.0.0.1:${proxy.port}`;
      const one = reader(stream({ stream: name, url }).source);
      const ids = new Set<string>();
      const first = one.next();
      for (let n = 0; n < 10; n++) await js.publish(subject, body(n), n % 2 ? { msgID: `m-${n}` } : {});
      // Held, never acked.
      for (let batch = await first; ; batch = await one.next()) {
        for (const { id } of eventsOf(batch)) ids.add(id);
        if (ids.size === 10) break;
      }
      await proxy[Symbol.asyncDispose]();
      expect((await errorOf(one.next())).retryable).toBe(true);
      const two = reader(stream({ stream: name }).source);
      const again = new Set<string>();
      while (again.size < 10) {
        const batch = await two.next();
        for (const { id } of eventsOf(batch)) again.add(id);
        await batch!.ack();
      }
      expect(again).toEqual(ids);
    });

    it("two sources on one durable share its messages", async () => {
      const { name, js, subject } = await addStream();
      const counts = [0, 0];
      for (const i of [0, 1]) {
        const { source, seen } = stream({ stream: name, prefetch: 20 });
        const { next } = reader(source);
        void (async () => {
          for (let batch = await next(); batch; batch = await next()) {
            counts[i]! += batch.deliveries.length;
            await batch.ack();
          }
        })();
        await waitFor("the consumer", () => seen.connected);
      }
      for (let n = 0; n < 300; n++) await js.publish(subject, body(n));
      await waitFor("all messages", () => counts[0]! + counts[1]! >= 300);
      expect(counts[0]! + counts[1]!).toBe(300);
      expect(Math.min(...counts)).toBeGreaterThan(0);
    });

    it("a nack is heard at once, long before the ack wait is over", async () => {
      const { name, js, subject } = await addStream();
      const { next } = reader(stream({ stream: name, ackWaitMs: 3_600_000 }).source);
      await js.publish(subject, body(1));
      const refused = await next();
      await refused!.nack(new Error("the log is away"));
      const again = await next();
      expect(eventsOf(again)[0]!.id).toBe(eventsOf(refused)[0]!.id);
    });

    it("while a batch is held its ack wait is renewed: a slow log causes no redelivery", async () => {
      const { name, js, subject, manager } = await addStream();
      const { next } = reader(stream({ stream: name, ackWaitMs: 1000 }).source);
      let renewals = 0;
      const acks = connection.subscribe(`$JS.ACK.${name}.>`, {
        callback: (_, message) => {
          if (message.string() === "+WPI") renewals++;
        },
      });
      onTestFinished(() => acks.unsubscribe());
      await js.publish(subject, body(1));
      const batch = await next();
      // Three a wait: this is more than two waits.
      await waitFor("renewals over more than the ack wait", () => renewals >= 7);
      const info = await manager.consumers.info(name, "millrace");
      expect(info).toMatchObject({ num_ack_pending: 1, num_redelivered: 0, delivered: { consumer_seq: 1 } });
      await batch!.ack();
      await waitFor(
        "the ack",
        async () => (await manager.consumers.info(name, "millrace")).num_ack_pending === 0,
      );
    });

    it("a consumer deleted while it is read ends the iteration with a retryable error", async () => {
      const { name, manager } = await addStream();
      const { source, seen } = stream({ stream: name });
      const { next } = reader(source);
      const first = next();
      first.catch(() => {});
      await waitFor("a request for messages", async () => {
        return seen.connected && (await manager.consumers.info(name, "millrace")).num_waiting > 0;
      });
      await manager.consumers.delete(name, "millrace");
      expect((await errorOf(first)).retryable).toBe(true);
    });
  });

  describe("connection", () => {
    /** A server that asks for credentials. */
    const startGuarded = async (authorization: string, websocketPort?: number) => {
      const port = await freePort();
      const file = join(server.folder, `guarded-${port}.conf`);
      const websocket = websocketPort ? `websocket { port: ${websocketPort}, no_tls: true }` : "";
      writeFileSync(file, `listen: "127.0.0.1:${port}"\nauthorization ${authorization}\n${websocket}\n`);
      const running = start("nats-server", ["-c", file]);
      onTestFinished(() => running.stop("SIGKILL"));
      await waitFor(`nats-server: ${running.output()}`, () => accepts(websocketPort ?? port));
      return port;
    };
    const connects = async (url: string) => {
      const { source, seen } = core({ subjects: ["metrics.*"], url });
      const { next, abort } = reader(source);
      const first = next();
      first.catch(() => {});
      await Promise.race([waitFor("the subscription", () => seen.connected), first]);
      abort();
      expect(await first).toBeUndefined();
    };

    it("credentials in the URL: user and password, percent-encoded", async () => {
      const port = await startGuarded('{ user: "u@x", password: "p:w" }');
      await connects(`nats://u%40x:p%3Aw@127.0.0.1:${port}`);
      const percent = await startGuarded('{ user: "u", password: "100%" }');
      await connects(`nats://u:100%@127.0.0.1:${percent}`);
    });

    it("credentials in the URL: a token", async () => {
      const port = await startGuarded('{ token: "s3cret" }');
      await connects(`nats://s3cret@127.0.0.1:${port}`);
    });

    it("a WebSocket URL", async () => {
      const websocketPort = await freePort();
      await startGuarded('{ token: "s3cret" }', websocketPort);
      await connects(`ws://s3cret@127.0.0.1:${websocketPort}`);
    });

    it("refused credentials: an error that is not retryable and does not show them", async () => {
      const port = await startGuarded('{ user: "u", password: "right" }');
      const { source } = core({ subjects: ["metrics.*"], url: `nats://u:hunter2@127.0.0.1:${port}` });
      const error = await errorOf(reader(source).next());
      expect(error.code).toBe("unauthorized");
      expect(error.message).toContain(`127.0.0.1:${port}`);
      expect(error.message).not.toContain("hunter2");
    });

    it("a subject that may not be read: an error that is not retryable and names it", async () => {
      const port = await startGuarded(
        '{ users: [{ user: "u", password: "p", permissions: { subscribe: { allow: ["journey.*", "_INBOX.>"] } } }] }',
      );
      const url = `nats://u:p@127.0.0.1:${port}`;
      const error = await errorOf(reader(core({ subjects: ["journey.*", "metrics.*"], url }).source).next());
      expect(error.code).toBe("forbidden");
      expect(error.message).toContain('"metrics.*"');
    });
  });
});
