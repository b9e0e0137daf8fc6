/** The demo producers on real brokers: Redis channels, RabbitMQ, and the stand-in for IBM MQ. */
import type { ConsumeMessage } from "amqplib";
import { createClient } from "redis";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProduceToOptions, produceTo } from "../../bridge/producers/produce-to.ts";
import { cli } from "../bin/cli.ts";
import { recordingLogger } from "../support/logger.ts";
import { missingStandIn, PRODUCER, startStandIn } from "../support/mq/stand-in.ts";
import { type RabbitMq, startRabbitMq, withChannel } from "../support/rabbitmq.ts";
import { missing, startRedis, type TestServer } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const logger = recordingLogger();
const fast = { ratePerSecond: Number.POSITIVE_INFINITY, logger };

describe("produceTo, Redis", () => {
  let server: TestServer;
  const why = missing("redis-server");
  beforeEach((context) => {
    if (why) context.skip(why);
  });
  beforeAll(async () => {
    if (!why) server = await startRedis();
  });
  afterAll(() => server?.[Symbol.asyncDispose]());

  const services = (count: number): ProduceToOptions => ({
    ...{ ...fast, useCase: "services", companies: [], settings: { REDIS_URL: server.url }, count },
  });

  test("publishes status on service:all, a log line on logs:all and on its service's channel, byte for byte the same", async () => {
    const client = await createClient({ url: server.url }).connect();
    try {
      const got: { channel: string; body: string }[] = [];
      await client.pSubscribe("*", (body, channel) => got.push({ channel, body }));
      expect(await produceTo(services(600))).toEqual({ sent: 600, skipped: 0 });
      await client.ping();
      const on = (pattern: RegExp) =>
        got.filter(({ channel }) => pattern.test(channel)).map(({ body }) => body);
      expect(on(/^service:all$/).length).toBeGreaterThan(150);
      expect(on(/^logs:all$/)).toHaveLength(600 - on(/^service:all$/).length);
      expect(on(/^logs:(?!all)/)).toEqual(on(/^logs:all$/));
      for (const { channel, body } of got.filter(({ channel }) => /^logs:(?!all)/.test(channel))) {
        expect(channel).toBe(`logs:${JSON.parse(body).service}`);
      }
      expect(logger.lines).toEqual([]);
    } finally {
      client.destroy();
    }
  });

  test("says how many nobody was subscribed to", async () => {
    const own = recordingLogger();
    await produceTo({ ...services(10), logger: own });
    expect(own.lines).toMatchObject([{ level: "warn", fields: { messages: 10 } }]);
  });

  test("fails when the server goes away, and shows no password", async () => {
    await using gone = await startRedis();
    const settings = { REDIS_URL: gone.url.replace("//", "//:hunter2@") };
    const client = await createClient({ url: gone.url }).connect();
    await client.sendCommand(["CONFIG", "SET", "requirepass", "hunter2"]);
    const producing = produceTo({ ...services(1), count: undefined, ratePerSecond: 500, settings });
    const outcome = producing.catch((error: unknown) => error);
    await waitFor("messages", async () =>
      /cmdstat_publish:calls=\d{2}/.test(String(await client.sendCommand(["INFO", "commandstats"]))),
    );
    client.destroy();
    await gone.kill();
    const error = await outcome;
    expect(error).toMatchObject({ code: "unavailable" });
    expect(String(error)).not.toContain("hunter2");
    await expect(produceTo({ ...services(1), settings })).rejects.toMatchObject({ code: "unavailable" });
  });
});

describe("produceTo, RabbitMQ", () => {
  let broker: RabbitMq;
  const why = missing("rabbitmq-server");
  beforeEach((context) => {
    if (why) context.skip(why);
  });
  beforeAll(async () => {
    if (!why) broker = await startRabbitMq();
  }, 90_000);
  afterAll(() => broker?.[Symbol.asyncDispose]());

  test("publishes events under their routing keys, each with its id, and all are confirmed when it returns", async () => {
    const settings = { AMQP_URL: await broker.addVhost("produce") };
    const events = { ...fast, useCase: "events", companies: ["acme", "globex"], settings } as const;
    await withChannel(settings.AMQP_URL, async (channel) => {
      await channel.assertExchange("events", "topic", { durable: true });
      // A message that no queue is bound for is one that nobody will ever get.
      await expect(produceTo({ ...events, count: 1 })).rejects.toMatchObject({ code: "invalid-settings" });
      await channel.assertQueue("q", { durable: true });
      await channel.bindQueue("q", "events", "#");
      expect(await produceTo({ ...events, count: 1000 })).toEqual({ sent: 1000, skipped: 0 });
      expect((await channel.checkQueue("q")).messageCount).toBe(1000);
      const messages: ConsumeMessage[] = [];
      await channel.consume("q", (message) => message && messages.push(message), { noAck: true });
      await waitFor("all of them", () => messages.length === 1000);
      expect(new Set(messages.map(({ properties }) => properties.messageId)).size).toBe(1000);
      for (const { content, fields, properties } of messages) {
        expect(fields.routingKey).toMatch(/^[a-z]+\.[a-z]+\.[a-z]+$/);
        expect(properties.appId).toBe("millrace-produce");
        expect(JSON.parse(content.toString())).toMatchObject({
          companyId: expect.stringMatching(/^(acme|globex)$/),
          ts: expect.any(String),
        });
      }
    });
  });
});

describe("millrace produce, IBM MQ's stand-in", () => {
  const why = missingStandIn();
  beforeEach((context) => {
    if (why) context.skip(why);
  });

  test.each([
    ["audit", "APP.TXN.IN", "AUDIT.TXN"],
    ["ecom", "ORDERS.IN", "PROMO.FEED"],
    ["retail", "INV.UPDATES", "CENTRAL.SYNC"],
  ])("%s: puts on %s, and a copy of each is on %s", async (useCase, input, copy) => {
    await using standIn = await startStandIn();
    const args = [
      "produce",
      "--use-case",
      useCase,
      "--company",
      "acme",
      "--count",
      "50",
      "--rate",
      "Infinity",
    ];
    const { code, stdout, stderr } = await cli(args, {
      ...standIn.env,
      ...{ MQ_HOST: "127.0.0.1", MQ_PORT: String(standIn.port), MQ_CHANNEL: PRODUCER.channel },
      ...{ MQ_USER: PRODUCER.user, MQ_PASSWORD: PRODUCER.password },
    });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "sent 50 messages\n", stderr: "" });
    expect([await standIn.depth(input), await standIn.depth(copy)]).toEqual([50, 50]);
  });
});
