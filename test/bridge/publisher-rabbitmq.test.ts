/** createPublisher on a real RabbitMQ: what best-effort and confirm promise. */
import { type ConsumeMessage, connect, type Options } from "amqplib";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPublisher, type PublisherOptions } from "../../bridge/publisher/publisher.ts";
import { startProxy } from "../faults/lib/proxy.ts";
import { recordingLogger } from "../support/logger.ts";
import { type RabbitMq, startRabbitMq, withChannel } from "../support/rabbitmq.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const reason = missing("rabbitmq-server");
const KEY = "orders.order.created";

describe.skipIf(reason)(
  `createPublisher on RabbitMQ${reason ? ` (${reason})` : ""}`,
  { timeout: 60_000 },
  () => {
    let rabbit: RabbitMq;
    let exchanges = 0;
    beforeAll(async () => {
      rabbit = await startRabbitMq();
    }, 90_000);
    afterAll(() => rabbit?.[Symbol.asyncDispose]());

    /** An exchange of its own, with a queue that takes everything, and a publisher to it. */
    async function open(options: Partial<PublisherOptions> = {}, queue?: Options.AssertQueue | "none") {
      const exchange = `events-${++exchanges}`;
      await withChannel(rabbit.url, async (channel) => {
        await channel.assertExchange(exchange, "topic");
        if (queue === "none") return;
        await channel.assertQueue(exchange, queue);
        await channel.bindQueue(exchange, exchange, "#");
      });
      const logger = recordingLogger();
      const registry = new Registry();
      const publisher = createPublisher({
        amqpUrl: rabbit.url,
        appId: "shop",
        exchange,
        logger,
        registry,
        ...options,
      });
      return { exchange, publisher, logger, registry, [Symbol.asyncDispose]: () => publisher.close() };
    }

    /** Takes messages from the queue until it has so many, not counting those that come again. */
    async function take(queue: string, count: number): Promise<ConsumeMessage[]> {
      const connection = await connect(rabbit.url);
      try {
        const channel = await connection.createChannel();
        const taken: ConsumeMessage[] = [];
        await channel.consume(queue, (message) => message && taken.push(message), { noAck: true });
        const ids = () => new Set(taken.map(({ properties }) => properties.messageId));
        await waitFor(`${count} messages`, () => ids().size >= count);
        return taken;
      } finally {
        await connection.close();
      }
    }
    const bodyOf = ({ content }: ConsumeMessage) => JSON.parse(content.toString());

    it.each(["best-effort", "confirm"] as const)(
      "%s: the message arrives with all it has",
      async (reliability) => {
        await using opened = await open({ reliability, messageDefaults: { headers: { companyid: "acme" } } });
        const { publisher, exchange, registry } = opened;
        const options = {
          messageId: "m-1",
          timestamp: 1_700_000_000_500,
          headers: { a: 1, b: true },
          expiration: 60_000,
        };
        expect(publisher.health().status).toBe("idle");
        expect(await publisher.publish(`${KEY}.v2`, { total: 5 }, options)).toBe(true);
        await waitFor("the confirm", () => publisher.health().held === 0);
        expect(publisher.health()).toEqual({ status: "up", held: 0, lastError: undefined });
        const [message] = await take(exchange, 1);
        expect(bodyOf(message!)).toEqual({ total: 5, ts: "2023-11-14T22:13:20.500Z" });
        expect(message!.fields.routingKey).toBe(`${KEY}.v2`);
        expect(message!.properties).toMatchObject({
          ...{ messageId: "m-1", appId: "shop", contentType: "application/json", timestamp: 1_700_000_000 },
          ...{ headers: { companyid: "acme", a: 1, b: true }, expiration: "60000", deliveryMode: 2 },
        });
        expect(await registry.metrics()).toContain(`events_published_total{routing_key="${KEY}.v2"} 1`);
      },
    );

    it("best-effort: close sends what publish said true to, a burst too", async () => {
      await using opened = await open();
      const { publisher, exchange } = opened;
      const taken = await Promise.all(Array.from({ length: 5000 }, (_, n) => publisher.publish(KEY, { n })));
      expect(taken.every(Boolean)).toBe(true);
      await publisher.close();
      const messages = await take(exchange, 5000);
      expect(messages.map((message) => bodyOf(message).n)).toEqual(Array.from({ length: 5000 }, (_, n) => n));
    });

    it("confirm: a publish that was not waited for is finished by close", async () => {
      await using opened = await open({ reliability: "confirm" });
      const { publisher } = opened;
      const published = Array.from({ length: 500 }, (_, n) => publisher.publish(KEY, { n }));
      await publisher.close();
      expect((await Promise.all(published)).every(Boolean)).toBe(true);
    });

    it("confirm: rejects a message that no queue is bound for, and that alone; without mandatory it resolves", async () => {
      await using opened = await open({ reliability: "confirm" }, "none");
      const { publisher, exchange, registry } = opened;
      await withChannel(rabbit.url, async (channel) => {
        await channel.assertQueue(exchange);
        await channel.bindQueue(exchange, exchange, "orders.#");
      });
      const keys = [KEY, "stock.item.moved", KEY, "stock.item.moved", KEY];
      const outcomes = await Promise.allSettled(keys.map((key) => publisher.publish(key, {})));
      expect(outcomes.map(({ status }) => status)).toEqual(
        keys.map((key) => (key === KEY ? "fulfilled" : "rejected")),
      );
      expect(outcomes[1]).toMatchObject({
        reason: { code: "invalid-settings", message: expect.stringMatching(/no queue is bound to exchange/) },
      });
      expect(await registry.metrics()).toContain('events_publish_failed_total{reason="unroutable"} 2');
      const careless = createPublisher({
        ...{ amqpUrl: rabbit.url, appId: "shop", exchange, reliability: "confirm", mandatory: false },
        ...{ registry: new Registry(), logger: recordingLogger() },
      });
      expect(await careless.publish("stock.item.moved", {})).toBe(true);
      await careless.close();
    });

    it("confirm: rejects what the broker nacks", async () => {
      const full = { arguments: { "x-max-length": 2, "x-overflow": "reject-publish" } };
      await using opened = await open({ reliability: "confirm" }, full);
      const { publisher, registry } = opened;
      expect(await publisher.publish(KEY, {})).toBe(true);
      expect(await publisher.publish(KEY, {})).toBe(true);
      await expect(publisher.publish(KEY, {}, { messageId: "m-3" })).rejects.toMatchObject({
        code: "unavailable",
        message: `Cannot publish "${KEY}" m-3: the broker refused it (nack), expected a queue that takes it`,
      });
      expect(await registry.metrics()).toContain('events_publish_failed_total{reason="nack"} 1');
    });

    it("best-effort: says true to what is handed over, and logs and counts what the broker then refuses", async () => {
      const full = { arguments: { "x-max-length": 1, "x-overflow": "reject-publish" } };
      await using opened = await open({}, full);
      const { publisher, registry, logger } = opened;
      expect(await publisher.publish(KEY, {})).toBe(true);
      await waitFor("the confirm", () => publisher.health().held === 0);
      expect(await publisher.publish(KEY, {}, { messageId: "m-2" })).toBe(true);
      const line = await waitFor("the log line", () => logger.lines.find(({ level }) => level === "warn"));
      expect(line).toMatchObject({
        fields: { routingKey: KEY, messageId: "m-2", reason: "nack" },
        message: "Message not published",
      });
      expect(await registry.metrics()).toContain('events_publish_failed_total{reason="nack"} 1');
    });

    it("confirm: an exchange that is not there is named, and published to once it is", async () => {
      await using opened = await open({
        reliability: "confirm",
        exchange: "later",
        retry: { timeoutMs: 300, maxMs: 50 },
      });
      const { publisher } = opened;
      await expect(publisher.publish(KEY, {})).rejects.toMatchObject({
        code: "invalid-settings",
        message: expect.stringMatching(/no exchange 'later'/),
      });
      await withChannel(rabbit.url, (channel) => channel.assertExchange("later", "fanout"));
      await waitFor("a connection", () => publisher.health().status === "up");
      await expect(publisher.publish(KEY, {})).rejects.toThrow(/no queue is bound/);
    });

    it("confirm: of many in flight the one the user may not publish is refused, the others arrive in order", async () => {
      await using opened = await open();
      const { exchange } = opened;
      const amqpUrl = await rabbit.addUser("orders", { password: "x", write: ".*" });
      await rabbit.ctl("set_topic_permissions", "orders", exchange, "^orders\\.", "^$");
      const publisher = createPublisher({
        ...{ amqpUrl, appId: "shop", exchange, reliability: "confirm" },
        ...{ registry: new Registry(), logger: recordingLogger() },
      });
      const keys = Array.from({ length: 40 }, (_, n) => (n === 20 || n === 30 ? "stock.item.moved" : KEY));
      const outcomes = await Promise.allSettled(keys.map((key, n) => publisher.publish(key, { n })));
      expect(outcomes.flatMap(({ status }, n) => (status === "rejected" ? [n] : []))).toEqual([20, 30]);
      expect(outcomes[20]).toMatchObject({ reason: { code: "forbidden" } });
      await publisher.close();
      const arrived = (await take(exchange, 38)).map((message) => bodyOf(message).n as number);
      expect([...new Set(arrived)]).toEqual(keys.flatMap((key, n) => (key === KEY ? [n] : [])));
    });

    it("confirm: retries over connections that are cut, with the same ids and in order", async () => {
      await using proxy = await startProxy(rabbit.port, "up");
      const amqpUrl = `amqp://127.0.0.1:${proxy.port}`;
      await using opened = await open({ reliability: "confirm", amqpUrl, retry: { baseMs: 10, maxMs: 50 } });
      const { publisher, exchange } = opened;
      await publisher.publish(KEY, {});
      const x = "y".repeat(10_000);
      const ids: string[] = [];
      const failures: unknown[] = [];
      const publish = async () => {
        const id = `m-${ids.length}`;
        ids.push(id);
        await publisher.publish(KEY, { x }, { messageId: id }).catch((error) => failures.push(error));
      };
      for (let cut = 0; cut < 5; cut++) {
        const cutting = proxy.cutAfter(1_000_011);
        // More than the socket takes at once, so that some wait while others are in flight.
        const burst = Array.from({ length: 600 }, publish);
        await cutting;
        await Promise.all([...burst, ...Array.from({ length: 10 }, publish)]);
      }
      expect(failures).toEqual([]);
      const messages = await take(exchange, ids.length + 1);
      const arrived = [...new Set(messages.map(({ properties }) => properties.messageId))].slice(1);
      expect(arrived).toEqual(ids);
      expect(proxy.connections).toBe(6);
      console.log(`${ids.length} published, ${messages.length - ids.length - 1} came twice`);
    });

    it("a blocked broker: best-effort says false, confirm waits until it takes messages again", async () => {
      await using opened = await open();
      await using patient = await open({ reliability: "confirm", retry: { timeoutMs: 30_000 } });
      await opened.publisher.publish(KEY, {});
      await patient.publisher.publish(KEY, {});
      await rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1MB");
      let late: Promise<boolean>;
      try {
        // The broker says so to those who publish.
        await waitFor(
          "the broker to block",
          async () => {
            await opened.publisher.publish(KEY, {});
            return opened.publisher.health().status === "blocked";
          },
          { everyMs: 50 },
        );
        expect(await opened.publisher.publish(KEY, {}, { messageId: "m-b" })).toBe(false);
        expect(opened.logger.lines).toContainEqual(
          expect.objectContaining({
            fields: expect.objectContaining({ messageId: "m-b", reason: "blocked" }),
          }),
        );
        late = patient.publisher.publish(KEY, {});
        await waitFor("the other to be blocked", () => patient.publisher.health().status === "blocked");
        expect(patient.publisher.health().held).toBe(1);
      } finally {
        await rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1GB");
      }
      expect(await late).toBe(true);
      await waitFor("both to be up", () => opened.publisher.health().status === "up");
      expect(await opened.publisher.publish(KEY, {})).toBe(true);
    });

    it("refused credentials: unauthorized, and no password in what is said", async () => {
      const amqpUrl = rabbit.urlOf({ user: "nobody", password: "secret" });
      await using opened = await open({ reliability: "confirm", amqpUrl, retry: { timeoutMs: 500 } });
      await expect(opened.publisher.publish(KEY, {})).rejects.toMatchObject({ code: "unauthorized" });
      expect(JSON.stringify(opened.logger.lines)).not.toContain("secret");
    });
  },
);
