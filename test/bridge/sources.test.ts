/** The bridge as a whole: real brokers, the embedded log. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { startBroker } from "../../bridge/broker/broker.ts";
import { connectProducer } from "../../bridge/broker/client.ts";
import { defaultBridgeConfig, parseBridgeConfig } from "../../bridge/config/config.ts";
import { createBridge, startBridge } from "../../bridge/main.ts";
import { GENESIS } from "../../functions/core/cursor.ts";
import { recordData, recordType } from "../../functions/core/event.ts";
import { parseCompanyId } from "../../functions/core/ids.ts";
import type { EventLog } from "../../functions/ports/event-log.ts";
import { createSqliteDeadLetters } from "../../functions/runtimes/node/dead-letters-sqlite.ts";
import { createSqliteLog } from "../../functions/runtimes/node/event-log-sqlite.ts";
import { openSqliteDatabase } from "../../functions/runtimes/node/sqlite-database.ts";
import { recordingLogger, silent } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { missing, startNats } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { createMemoryTelemetry } from "./memory-log.ts";

function openStore() {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bridge-"));
  const database = openSqliteDatabase({ folder, logger: silent });
  const log = createSqliteLog({ database, retentionMs: 3_600_000, timeZone: "UTC", logger: silent });
  onTestFinished(async () => {
    await log[Symbol.asyncDispose]();
    database[Symbol.dispose]();
    rmSync(folder, { recursive: true });
  });
  const stored = async (company: string) => {
    const result = await log.read(parseCompanyId(company), GENESIS, 500);
    return result.kind === "events" ? result.entries.map(({ record }) => record) : [];
  };
  return {
    log,
    telemetry: createMemoryTelemetry(),
    deadLetters: createSqliteDeadLetters({ database }),
    stored,
  };
}

async function startNatsWithStream() {
  const server = await startNats();
  const connection = await connect({ servers: server.url });
  onTestFinished(async () => {
    await connection.close();
    await server[Symbol.asyncDispose]();
  });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: "ORDERS", subjects: ["orders.>"] });
  return { server, connection, js: jetstream(connection) };
}

describe("startBridge", () => {
  const why = missing("nats-server");
  beforeEach((context) => {
    if (why) context.skip(why);
  });

  it("every source into one log: what is good is stored once, what is not is a dead letter", async () => {
    const { server, connection, js } = await startNatsWithStream();
    const broker = await startBroker({
      ...{ host: "127.0.0.1", tcpPort: 0, httpPort: 0, deliveryMode: "queue", maxConsumers: 1 },
      ...{ bufferMessages: 1000, logger: silent },
    });
    onTestFinished(() => broker.close());
    const { log, telemetry, deadLetters, stored } = openStore();
    const config = parseBridgeConfig(
      `sources:
        - { name: live, kind: nats }
        - name: orders
          kind: nats
          jetstream: { stream: ORDERS, durable: millrace }
          company: { subjectToken: 2 }`,
      { NATS_URL: server.url, BROKER_ADDR: `127.0.0.1:${broker.tcpPort}` },
    );
    const bridge = startBridge({ config, log, telemetry, deadLetters, logger: silent });
    onTestFinished(() => bridge.close());
    await waitFor("all sources", () => bridge.stats().every(({ state }) => state === "up"));
    expect(bridge.stats().map(({ name, acknowledges }) => [name, acknowledges])).toEqual([
      ["live", false],
      ["orders", true],
      ["framed-tcp", false],
    ]);

    connection.publish("metrics.calculated", '{"companyId":"acme","value":1.0}');
    connection.publish("metrics.calculated", '{"value":2}');
    connection.publish("journey.flag", '{"companyId":"acme","messageId":"j-1"}');
    connection.publish("journey.flag", '{"companyId":"acme","messageId":"j-1"}');
    await js.publish("orders.globex.created", '{"big":12345678901234567890}', { msgID: "o-1" });
    const producer = await connectProducer({ host: "127.0.0.1", port: broker.tcpPort });
    await producer.send(new TextEncoder().encode('{"companyId":"acme","type":"gpu.sample","id":7}'));
    await producer.send(new TextEncoder().encode("\u0000\u0001 not json"));
    await producer.close();

    await waitFor("everything", () => {
      const total = { appended: 0, duplicates: 0, deadLettered: 0 };
      for (const { appended, duplicates, deadLettered } of bridge.stats()) {
        total.appended += appended;
        total.duplicates += duplicates;
        total.deadLettered += deadLettered;
      }
      return total.appended === 4 && total.duplicates === 1 && total.deadLettered === 2;
    });
    const acme = await stored("acme");
    expect(acme.map((record) => `${recordType(record)} ${recordData(record)}`).sort()).toEqual([
      'gpu.sample {"companyId":"acme","type":"gpu.sample","id":7}',
      'journey_flag_updated {"companyId":"acme","messageId":"j-1"}',
      'metric_updated {"companyId":"acme","value":1.0}',
    ]);
    const globex = await stored("globex");
    expect(globex.map(recordData)).toEqual(['{"companyId":"globex","big":12345678901234567890}']);
    expect(globex[0]).toContain('"source":"/nats/orders","id":"o-1","subject":"orders.globex.created"');

    const letters = await deadLetters.list({ limit: 10 });
    expect(letters.map(({ source, reason }) => `${source}: ${reason}`).sort()).toEqual([
      expect.stringContaining("framed-tcp: Cannot read event data: not JSON"),
      expect.stringContaining("live: Cannot read event companyId: no company in the message"),
    ]);
    expect(
      Buffer.from(letters.find(({ source }) => source === "live")!.bodyBase64, "base64").toString(),
    ).toBe('{"value":2}');

    await bridge.close();
    expect(bridge.stats().map(({ state }) => state)).toEqual(["stopped", "stopped", "stopped"]);
    await waitFor("the consumer to leave", () => broker.stats().consumers === 0);
  });

  it("a broker killed and restarted: read again, and what was in the stream is stored once", async () => {
    const { server, js } = await startNatsWithStream();
    const { log, telemetry, deadLetters, stored } = openStore();
    const logger = recordingLogger();
    const config = parseBridgeConfig(
      `sources:
        - name: orders
          kind: nats
          jetstream: { stream: ORDERS, durable: millrace, ackWaitMs: 1000 }`,
      { NATS_URL: server.url, BROKER_ADDR: undefined },
    );
    const bridge = startBridge({ config, log, telemetry, deadLetters, logger });
    onTestFinished(() => bridge.close());
    const publish = async (from: number, to: number) => {
      for (let n = from; n < to; n++) {
        await js.publish("orders.x", `{"companyId":"acme","n":${n}}`, { msgID: `m-${n}` });
      }
    };
    await publish(0, 50);
    await waitFor("the first half", async () => (await stored("acme")).length === 50);
    await server.kill();
    await waitFor("the source to notice", () => bridge.stats()[0]!.state === "down");
    expect(bridge.stats()[0]!.lastError).toContain("Cannot");
    await server.restart();
    // The publisher reconnects by itself.
    await waitFor("the server", () => publish(50, 100).then(() => true), { everyMs: 100 });
    await waitFor("the second half", async () => (await stored("acme")).length >= 100);
    const numbers = (await stored("acme")).map((record) => JSON.parse(recordData(record)).n as number);
    expect(numbers).toEqual(Array.from({ length: 100 }, (_, n) => n));
    expect(bridge.stats()[0]!.state).toBe("up");
    expect(logger.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    expect(logger.lines.map(({ message }) => message)).toContain("Source is up again");
  });

  it("stats: the lag is what the broker still holds, and the oldest unacked as old as the store is away", async () => {
    const { server, js } = await startNatsWithStream();
    const { log, telemetry, deadLetters } = openStore();
    const away = Promise.withResolvers<void>();
    const slowLog: Pick<EventLog, "append"> = {
      append: async (events) => {
        await away.promise;
        return log.append(events);
      },
    };
    const config = parseBridgeConfig(
      `sources:
        - { name: live, kind: nats }
        - name: orders
          kind: nats
          jetstream: { stream: ORDERS, durable: millrace, prefetch: 10 }`,
      { NATS_URL: server.url },
    );
    const bridge = createBridge({ config, log: slowLog, telemetry, deadLetters, logger: silent });
    onTestFinished(() => bridge.close());
    const stats = () => bridge.stats()[1]!;
    expect(bridge.stats().map(({ state }) => state)).toEqual(["starting", "starting"]);
    expect(await stats().lag!()).toBeUndefined();
    // Core NATS keeps nothing that could lag.
    expect(bridge.stats()[0]!.lag).toBeUndefined();

    const beganAtMs = Date.now();
    for (let n = 0; n < 50; n++) await js.publish("orders.x", `{"companyId":"acme","n":${n}}`);
    bridge.start();
    await waitFor("what is over the prefetch to wait", async () => (await stats().lag!()) === 40);
    const [one, other] = [stats().lag!(), stats().lag!()];
    expect(one).toBe(other);
    await waitFor("a batch in work", () => stats().oldestUnackedAtMs !== undefined);
    expect(stats().oldestUnackedAtMs).toBeGreaterThanOrEqual(beganAtMs);
    away.resolve();
    await waitFor("all of it to be stored", () => stats().appended === 50);
    await waitFor("no lag", async () => (await stats().lag!()) === 0);
    await waitFor("the last ack", () => stats().oldestUnackedAtMs === undefined);
    await server.kill();
    await waitFor("the source to notice", () => stats().state === "down");
    expect(await stats().lag!()).toBeUndefined();
  });

  it("close: while a broker is not there it ends at once", async () => {
    const port = await freePort();
    const config = defaultBridgeConfig({
      NATS_URL: `nats://127.0.0.1:${port}`,
      BROKER_ADDR: `127.0.0.1:${port}`,
    });
    const { log, telemetry, deadLetters } = openStore();
    const bridge = startBridge({ config, log, telemetry, deadLetters, logger: silent });
    await waitFor("both to fail", () => bridge.stats().every(({ state }) => state === "down"));
    await bridge.close();
    await bridge.close();
    expect(bridge.stats().every(({ state }) => state === "stopped")).toBe(true);
  });

  it("without a source it says so, and closes", async () => {
    const logger = recordingLogger();
    const { log, telemetry, deadLetters } = openStore();
    const config = parseBridgeConfig("sources: [{ name: off, kind: framed-tcp, enabled: false }]", {
      NATS_URL: undefined,
      BROKER_ADDR: undefined,
    });
    const bridge = startBridge({ config, log, telemetry, deadLetters, logger });
    expect(bridge.stats()).toEqual([]);
    expect(logger.lines).toMatchObject([{ level: "warn", message: expect.stringContaining("no source") }]);
    await bridge.close();
  });
});
