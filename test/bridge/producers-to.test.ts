import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type Msg } from "@nats-io/transport-node";
import { beforeEach, describe, expect, type TestContext, test } from "vitest";
import { dcgmCsv } from "../../bridge/producers/dcgm.ts";
import { demoMetrics } from "../../bridge/producers/metrics.ts";
import { connectNatsPublisher } from "../../bridge/producers/nats-publisher.ts";
import { type ProduceToOptions, produceTo } from "../../bridge/producers/produce-to.ts";
import { freePort, start } from "../support/process.ts";
import { accepts, missing, startNats } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { connectConsumer, createTestLogger, startTestBroker } from "./broker-peers.ts";

const { logger } = createTestLogger();
const companies = ["acme", "globex"];
const generator = { companies, useCase: "metrics", ratePerSecond: 1e6, count: 2000, logger } as const;

const produceToBroker = ({ addr, ...options }: { addr: string } & Omit<ProduceToOptions, "settings">) =>
  produceTo({ ...options, settings: { BROKER_ADDR: addr } });

describe("produceTo, the framed-TCP broker", () => {
  test("sends generated messages as CloudEvents, and all have arrived when it returns", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue" });
    using consumer = await connectConsumer(broker);
    const addr = `127.0.0.1:${broker.tcpPort}`;
    expect(await produceToBroker({ addr, ...generator })).toEqual({ sent: 2000, skipped: 0 });
    expect(broker.stats().messagesIn).toBe(2000);
    await waitFor("all messages", () => consumer.received.length === 2000);
    const events = consumer.texts().map((text) => JSON.parse(text));
    expect(new Set(events.map((event) => event.id)).size).toBe(2000);
    for (const event of events) {
      expect(event).toMatchObject({ specversion: "1.0", source: "/demo/metrics" });
      expect(companies).toContain(event.companyid);
      expect(event.data.companyId).toBe(event.companyid);
    }
  });

  test("sends the rows of a CSV file as events of the company, as they are without one, and says what it skipped", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-produce-"));
    try {
      const csvPath = join(folder, "dcgm.csv");
      const lines = [...dcgmCsv({ companies: ["acme"], count: 300 })];
      lines.splice(100, 0, ...Array<string>(30).fill("bad\n"));
      writeFileSync(csvPath, lines.join(""));
      await using broker = await startTestBroker({ deliveryMode: "queue" });
      using consumer = await connectConsumer(broker);
      const { logger, warnings } = createTestLogger();
      const telemetry = { ...generator, useCase: "telemetry", count: undefined } as const;
      const options = { ...telemetry, companies: ["acme"], csvPath, logger };
      const produced = await produceToBroker({ ...options, addr: `127.0.0.1:${broker.tcpPort}` });
      expect(produced).toEqual({ sent: 300, skipped: 30 });
      await waitFor("all rows", () => consumer.received.length === 300);
      const [first] = consumer.texts().map((text) => JSON.parse(text));
      expect(first).toMatchObject({
        specversion: "1.0",
        type: "telemetry.gpu",
        companyid: "acme",
        data: { companyId: "acme", device: "nvidia0", value: expect.any(Number) },
      });
      // One by one at first, then only the number.
      expect(warnings).toHaveLength(21);
      expect(warnings[0]).toContain('"line":101,"reason":"1 columns, expected 12"');
      expect(warnings[20]).toContain('"sent":300,"skipped":30');
      await produceToBroker({ ...options, companies: [], count: 1, addr: `127.0.0.1:${broker.tcpPort}` });
      await waitFor("one more row", () => consumer.received.length === 301);
      const bare = JSON.parse(consumer.texts().at(-1)!);
      expect(bare).toMatchObject({ device: "nvidia0", value: expect.any(Number) });
      expect(bare).not.toHaveProperty("specversion");
      expect(warnings.slice(21)).toEqual([expect.stringContaining("Rows name no company")]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("stops at an abort although the broker takes nothing, and sends what it has counted", async () => {
    await using broker = await startTestBroker({ deliveryMode: "queue", bufferMessages: 10 });
    const stop = new AbortController();
    const options = { ...generator, count: undefined, ratePerSecond: Number.POSITIVE_INFINITY };
    const addr = `127.0.0.1:${broker.tcpPort}`;
    const producing = produceToBroker({ addr, ...options, signal: stop.signal });
    producing.catch(() => {});
    await waitFor("the line to be full", () => broker.stats().buffered === 10);
    stop.abort();
    using _consumer = await connectConsumer(broker);
    const { sent } = await producing;
    await waitFor("what was sent", () => broker.stats().messagesOut >= sent);
  });

  test.each([
    [
      "an address without a port",
      { addr: "localhost" },
      /Cannot produce to broker "localhost": expected host:port/,
    ],
    ["a port that is none", { addr: "localhost:70000" }, /expected host:port/],
    ["a rate of nothing", { ratePerSecond: 0 }, /Cannot produce at rate "0"/],
    ["no company", { companies: [] }, /Cannot produce without a company/],
    ["a company that is none", { companies: ["a b"] }, /Cannot read companyId "a b"/],
    [
      "a file for two companies",
      { useCase: "telemetry", csvPath: "x.csv" },
      /Cannot produce from CSV for 2 companies/,
    ],
    ["metrics of a file", { csvPath: "x.csv" }, /--csv is telemetry/],
    ["the operator's services for a company", { useCase: "services" }, /expected no --company/],
    ["telemetry to another broker", { useCase: "telemetry", to: "nats" }, /to NATS: expected --to tcp/],
    ["audit to another broker", { useCase: "audit", to: "nats" }, /expected --to ibm-mq or --to tcp/],
    [
      "a broker nobody named",
      { useCase: "audit", to: "ibm-mq" },
      /Cannot produce audit to IBM MQ: MQ_HOST and MQ_CCDT are unset/,
    ],
  ] as const)("refuses %s before it connects", async (_, wrong, expected) => {
    const producing = produceToBroker({ addr: "127.0.0.1:1", ...generator, ...wrong });
    await expect(producing).rejects.toThrow(expected);
    await expect(producing).rejects.toMatchObject({ code: "invalid-input" });
  });

  test("fails when the broker goes away", async () => {
    const broker = await startTestBroker({ deliveryMode: "broadcast" });
    const addr = `127.0.0.1:${broker.tcpPort}`;
    const producing = produceToBroker({ addr, ...generator, count: undefined, ratePerSecond: 1000 });
    const outcome = producing.catch((error: unknown) => error);
    await waitFor("messages", () => broker.stats().messagesIn > 10);
    await broker.close();
    expect(await outcome).toMatchObject({ code: "unavailable" });
  });
});

const needsNats = (context: TestContext) => {
  const reason = missing("nats-server");
  if (reason) context.skip(reason);
};

describe("produceTo, NATS", () => {
  beforeEach(needsNats);

  test("publishes JSON bodies on their subjects with an id each, and all have arrived when it returns", async () => {
    await using server = await startNats();
    const connection = await connect({ servers: server.url });
    const messages: Msg[] = [];
    connection.subscribe(">", {
      callback: (_, message) => {
        messages.push(message);
      },
    });
    await connection.flush();
    expect(await produceTo({ settings: { NATS_URL: server.url }, ...generator })).toEqual({
      sent: 2000,
      skipped: 0,
    });
    await connection.flush();
    expect(messages).toHaveLength(2000);
    expect(new Set(messages.map(({ subject }) => subject))).toEqual(
      new Set(["metrics.calculated", "metrics.sroi", "journey.flag", "q2q.scored"]),
    );
    expect(new Set(messages.map(({ headers }) => headers?.get("Nats-Msg-Id"))).size).toBe(2000);
    for (const message of messages) {
      expect(companies).toContain(message.json<{ companyId: string }>().companyId);
    }
    await connection.close();
  });

  test("fails when the server goes away", async () => {
    await using server = await startNats();
    const connection = await connect({ servers: server.url, reconnect: false });
    let seen = 0;
    connection.subscribe(">", {
      callback: () => {
        seen++;
      },
    });
    await connection.flush();
    const producing = produceTo({
      settings: { NATS_URL: server.url },
      ...generator,
      count: undefined,
      ratePerSecond: 1000,
    });
    const outcome = producing.catch((error: unknown) => error);
    await waitFor("messages", () => seen > 10);
    await server.kill();
    expect(await outcome).toMatchObject({ code: "unavailable" });
  });
});

describe("connectNatsPublisher", () => {
  beforeEach(needsNats);

  test("reads the credentials from the URL, shows none of them, and says what the server refused", async () => {
    const folder = mkdtempSync(join(tmpdir(), "millrace-nats-"));
    const port = await freePort();
    const conf = join(folder, "nats.conf");
    writeFileSync(
      conf,
      `listen: 127.0.0.1:${port}
       authorization { users: [{ user: "u", password: "p@ss", permissions: { publish: "metrics.>" } }] }`,
    );
    const server = start("nats-server", ["-c", conf]);
    try {
      await waitFor("nats-server", () => accepts(port));
      const wrong = await connectNatsPublisher({ url: `nats://u:secret@127.0.0.1:${port}` }).catch(
        (error: unknown) => error,
      );
      expect(wrong).toMatchObject({ code: "unauthorized" });
      expect(String(wrong)).not.toContain("secret");
      const publisher = await connectNatsPublisher({ url: `nats://u:p%40ss@127.0.0.1:${port}` });
      const [message] = demoMetrics({ companies });
      await publisher.send({ ...message!, subject: "forbidden.subject" });
      await expect(publisher.close()).rejects.toMatchObject({ code: "forbidden" });
    } finally {
      await server.stop();
      rmSync(folder, { recursive: true });
    }
  });

  test("refuses what is no URL, and says that nobody listens", async () => {
    await expect(connectNatsPublisher({ url: "nowhere" })).rejects.toMatchObject({ code: "invalid-input" });
    const url = `nats://127.0.0.1:${await freePort()}`;
    await expect(connectNatsPublisher({ url })).rejects.toMatchObject({ code: "unavailable" });
  });
});
