/** What is particular to the Redis channels source; what it has in common with the others is in its contract. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { parseBridgeConfig } from "../../bridge/config/config.ts";
import { type Bridge, startBridge } from "../../bridge/main.ts";
import { probeRedisPubSub } from "../../bridge/probes/redis-pubsub.ts";
import { connectRedisOnce } from "../../bridge/redis-client.ts";
import { createSource, createSourceDecode } from "../../bridge/registry.ts";
import type { MillraceError } from "../../functions/core/errors.ts";
import type { MillraceEvent } from "../../functions/core/event.ts";
import type { Batch } from "../../functions/ports/broker-source.ts";
import { silent } from "../support/logger.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { createMemoryDeadLetters, createMemoryLog, createMemoryTelemetry } from "./memory-log.ts";

const line = { ts: "2026-01-31T12:00:00.000Z", level: "info", service: "balance-sync", message: "synced" };
const status = { service: "balance-sync", state: "running", queueSize: 3, ts: "2026-01-31T12:00:00.000Z" };

const cloudEvent = { specversion: "1.0", id: "e-1", source: "/sms", type: "log_line" };

const connectClient = (url: string) => createClient({ url }).connect();

describe("Redis channels source", () => {
  let server: TestServer;
  let client: Awaited<ReturnType<typeof connectClient>>;
  const why = missing("redis-server");
  beforeEach((context) => {
    if (why) context.skip(why);
  });
  beforeAll(async () => {
    if (why) return;
    server = await startRedis();
    client = await connectClient(server.url);
  });
  afterAll(async () => {
    client?.destroy();
    await server?.[Symbol.asyncDispose]();
  });

  const config = (more = "") =>
    parseBridgeConfig(`sources: [{ name: services, kind: redis-pubsub, ${more} }]`, {
      REDIS_URL: server.url,
    });

  /** Reads the source; resolves when it is subscribed. */
  const open = async (more = "") => {
    const seen = { connected: false, dropped: 0 };
    const source = createSource(config(more).sources[0]!, {
      events: {
        connected: () => {
          seen.connected = true;
        },
        dropped: (messages) => {
          seen.dropped += messages;
        },
      },
      logger: silent,
    });
    const stop = new AbortController();
    const batches = source.deliveries(stop.signal)[Symbol.asyncIterator]();
    onTestFinished(async () => {
      stop.abort();
      await batches.return?.();
    });
    const first = batches.next();
    first.catch(() => {});
    await waitFor("the subscriptions", () => seen.connected);
    const results = [first];
    const next = async (): Promise<Batch | undefined> => {
      const result = await (results.shift() ?? batches.next());
      return result.done ? undefined : result.value;
    };
    /** Events until there are so many. */
    const take = async (count: number): Promise<MillraceEvent[]> => {
      const events: MillraceEvent[] = [];
      while (events.length < count) {
        const batch = await next();
        if (!batch) throw new Error(`The source ended after ${events.length} of ${count} messages`);
        for (const delivery of batch.deliveries) {
          if ("undecodable" in delivery) throw new Error(delivery.undecodable.reason);
          events.push(delivery.event);
        }
        await batch.ack();
      }
      return events;
    };
    return { seen, next, take, abort: () => stop.abort() };
  };

  const publish = (channel: string, body: object) => client.publish(channel, JSON.stringify(body));

  it("status and log lines are the operator's, of a type by channel, at the time they say", async () => {
    const { take } = await open();
    await publish("service:all", status);
    await publish("logs:all", line);
    expect(await take(2)).toMatchObject([
      {
        ...{ companyId: "_operations", type: "service_status", subject: "service:all" },
        ...{ source: "/redis-pubsub/services", time: status.ts },
        data: JSON.stringify({ companyId: "_operations", ...status }),
      },
      { companyId: "_logs", type: "log_line", subject: "logs:all", time: line.ts },
    ]);
  });

  it("a line in whatever shape is stored as a line, what is well already byte for byte", async () => {
    const { take } = await open("channels: ['service:*', 'logs:*']");
    const well = `{"runId":12345678901234567890,${JSON.stringify(line).slice(1)}`;
    await client.publish("logs:all", well);
    await client.publish("logs:sms", "plain text");
    await client.publish(
      "logs:sms",
      '{"ts":"then","level":"WARNING","message":{"n":12345678901234567890},"id":"a"}',
    );
    await publish("logs:all", { level: "fatal", message: "x".repeat(200_000) });
    await publish("logs:all", { ...cloudEvent, data: { message: "in an event", service: "sms" } });
    const events = await take(5);
    expect(new Set(events.map(({ companyId, type }) => `${companyId} ${type}`))).toEqual(
      new Set(["_logs log_line"]),
    );
    expect(events[0]!.data).toBe(`{"companyId":"_logs",${well.slice(1)}`);
    const lines = events.map(({ data }) => JSON.parse(data));
    for (const { ts } of lines) expect(new Date(ts).getTime()).not.toBeNaN();
    expect(lines[1]).toMatchObject({ level: "info", service: "sms", message: "plain text" });
    expect(lines[2]).toMatchObject({ level: "warn", service: "sms", message: '{"n":12345678901234567890}' });
    expect(lines[3]).toMatchObject({ level: "error", service: "unknown" });
    expect(lines[3].message).toMatch(/^x{8000,}… \[\d+ characters cut\]$/);
    expect(lines[4]).toMatchObject({ level: "info", service: "sms", message: "in an event" });
    expect(events[4]).toMatchObject({ id: "e-1", source: "/sms" });
  });

  it("a status says its service, state and time, and what else it came with", async () => {
    const { take } = await open("channels: ['service:*', 'logs:*']");
    await client.publish("service:sms", '{"state":"Running","processed":12345678901234567890}');
    const [{ companyId, data }] = (await take(1)) as [MillraceEvent];
    expect(companyId).toBe("_operations");
    expect(data).toMatch(
      /^{"companyId":"_operations","state":"running","processed":12345678901234567890,"service":"sms","ts":"20[^"]+"}$/,
    );
  });

  it("a pattern: every channel it matches, and what else is special to Redis stands for itself", async () => {
    const { take } = await open("channels: ['logs:*', 'a?[b]:*'], type: { value: log_line }");
    const published = ["logs:balance-sync", "ax[b]:c", "axb:c", "a?[b]:c", "logs:all"];
    for (const [n, channel] of published.entries()) await publish(channel, { ...line, n });
    const subjects = (await take(3)).map(({ subject }) => subject);
    expect(subjects).toEqual(["logs:balance-sync", "a?[b]:c", "logs:all"]);
  });

  it("a channel of one's own: dots for colons are the type, a field the company", async () => {
    const { take } = await open("channels: ['orders:*'], company: { field: tenant }");
    await publish("orders:created", { tenant: "acme", n: 4 });
    expect(await take(1)).toMatchObject([{ companyId: "acme", type: "orders.created" }]);
  });

  it("id: a field of the message, else a hash of it that is the same on every channel of the family", async () => {
    const { take } = await open(
      "channels: ['logs:all', 'service:all', 'service:balance-sync', 'other:a', 'other:b']",
    );
    const both = { ...line, state: "running" };
    await publish("logs:all", { ...both, messageId: "m-1" });
    await publish("service:all", both);
    await publish("service:balance-sync", both);
    await publish("logs:all", both);
    const [named, ...rest] = (await take(4)).map(({ id }) => id);
    expect(named).toBe("m-1");
    expect(rest[0]).toBe(rest[1]);
    expect(rest[0]).not.toBe(rest[2]);
    await publish("other:a", { n: 1 });
    await publish("other:b", { n: 1 });
    const others = await take(2);
    expect(others.map(({ type }) => type)).toEqual(["other.a", "other.b"]);
    expect(others[0]!.id).not.toBe(others[1]!.id);
  });

  it("a line on both its channels is taken once, whatever it says; twice on one, it is two lines", async () => {
    const { take } = await open("channels: ['logs:*']");
    const noTime = { level: "info", service: "balance-sync", message: "tick" };
    for (let n = 0; n < 3; n++) {
      await publish("logs:all", noTime);
      await publish("logs:balance-sync", noTime);
      const sentMs = Date.now();
      await waitFor("another millisecond", () => Date.now() > sentMs);
    }
    await publish("logs:all", { ...line, message: "last" });
    const lines = await take(4);
    expect(lines.map(({ data }) => JSON.parse(data).message)).toEqual(["tick", "tick", "tick", "last"]);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(4);
  });

  it("two bridges on both channels of a line store it once", async () => {
    const log = createMemoryLog();
    const start = (): Bridge =>
      startBridge({
        config: config("channels: ['logs:*']"),
        log,
        telemetry: createMemoryTelemetry(),
        deadLetters: createMemoryDeadLetters(),
        logger: silent,
      });
    await using one = start();
    await using two = start();
    const sum = (key: "received" | "duplicates" | "appended") =>
      [one, two].reduce((total, bridge) => total + bridge.stats()[0]![key], 0);
    await waitFor("both", () => [one, two].every((bridge) => bridge.stats()[0]!.state === "up"));
    for (let n = 0; n < 50; n++) {
      for (const channel of ["logs:all", "logs:balance-sync"]) {
        await publish(channel, { ...line, message: `line ${n}` });
      }
    }
    await waitFor(
      "all of them",
      () => sum("received") === 100 && sum("duplicates") + sum("appended") === 100,
    );
    expect(sum("appended")).toBe(50);
    expect(one.stats()[0]!.acknowledges).toBe(false);
  });

  it("a message of a company is not the operator's: it is undecodable, not guessed", async () => {
    const { next } = await open();
    await publish("logs:all", { ...line, companyId: "acme" });
    const batch = await next();
    expect(batch!.deliveries).toMatchObject([
      { undecodable: { reason: expect.stringContaining('"acme"'), message: { subject: "logs:all" } } },
    ]);
    const message = batch!.deliveries.flatMap((delivery) =>
      "undecodable" in delivery ? [delivery.undecodable.message] : [],
    )[0]!;
    // As it will be when it is replayed, with a rule that was mended.
    const decode = createSourceDecode(config("company: { field: companyId }").sources[0]!);
    expect(decode(message)).toMatchObject({ event: { companyId: "acme", type: "log_line" } });
  });

  it("beyond maxPending the newest messages are dropped, and counted", async () => {
    const { seen, take } = await open("maxPending: 10");
    for (let n = 0; n < 100; n++) void publish("logs:all", { ...line, n });
    await waitFor("the drops", () => seen.dropped === 90);
    expect((await take(10)).map(({ data }) => JSON.parse(data).n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("an abort still hands out what was published before it", async () => {
    const { next, abort } = await open();
    for (let n = 0; n < 50; n++) await publish("logs:all", { ...line, n });
    abort();
    let count = 0;
    for (let batch = await next(); batch; batch = await next()) count += batch.deliveries.length;
    expect(count).toBe(50);
  });

  it("a server that hangs is noticed", async () => {
    await using hung = await startRedis();
    const { next } = await open(`url: '${hung.url}'`);
    hung.process().child.kill("SIGSTOP");
    onTestFinished(() => {
      hung.process().child.kill("SIGCONT");
    });
    await expect(next()).rejects.toMatchObject({ code: "unavailable", retryable: true });
  }, 30_000);

  it("an abort ends a connection that is being made to a server that does not answer", async () => {
    const sockets: Socket[] = [];
    const mute = createServer((socket) => sockets.push(socket)).listen(0, "127.0.0.1");
    await once(mute, "listening");
    const { port } = mute.address() as AddressInfo;
    const stop = new AbortController();
    const connecting = connectRedisOnce(`redis://127.0.0.1:${port}`, () => {}, stop.signal);
    await waitFor("the connection", () => sockets.length === 1);
    stop.abort();
    expect(await connecting).toBeUndefined();
    for (const socket of sockets) socket.destroy();
    mute.close();
  });

  describe("rights", () => {
    /** All the commands it needs. */
    const NEEDED = ["+subscribe", "+psubscribe", "+ping"];
    const user = async (name: string, ...rules: string[]) => {
      await client.sendCommand(["ACL", "SETUSER", name, "reset", "on", ">hunter2", ...NEEDED, ...rules]);
      return `redis://${name}:hunter2@127.0.0.1:${server.port}`;
    };
    const errorOf = async (url: string, channels = "['service:all', 'logs:*']") => {
      const source = createSource(config(`url: '${url}', channels: ${channels}`).sources[0]!, {
        events: { connected: () => expect.unreachable("connected"), dropped() {} },
        logger: silent,
      });
      const batches = source.deliveries(new AbortController().signal)[Symbol.asyncIterator]();
      return (await batches.next().catch((error: unknown) => error)) as MillraceError;
    };

    it("refused credentials: an error that is not retryable and does not show them", async () => {
      const error = await errorOf(`redis://u:hunter3@127.0.0.1:${server.port}`);
      expect(error).toMatchObject({ code: "unauthorized", retryable: false });
      expect(error.message).toContain(`127.0.0.1:${server.port}`);
      expect(error.message).not.toContain("hunter");
    });

    it("a channel that may not be read: an error that is not retryable, from the source and from the probe", async () => {
      const url = await user("few", "resetchannels", "&service:*");
      expect(await errorOf(url)).toMatchObject({ code: "forbidden", retryable: false });
      const signal = new AbortController().signal;
      await expect(probeRedisPubSub({ url, channels: ["logs:all"] }, signal)).rejects.toMatchObject({
        code: "forbidden",
      });
      expect(await probeRedisPubSub({ url, channels: ["service:all"] }, signal)).toContain(
        "service:all may be read",
      );
    });
  });
});
