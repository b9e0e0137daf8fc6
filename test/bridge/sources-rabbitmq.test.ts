/** What is particular to the RabbitMQ source; what it has in common with the others is in their contract. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Options } from "amqplib";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { parseBridgeConfig } from "../../bridge/config/config.ts";
import type { RabbitMqConfig } from "../../bridge/config/rabbitmq.ts";
import { probeRabbitMq } from "../../bridge/probes/rabbitmq.ts";
import { createSourceDecode } from "../../bridge/registry.ts";
import { createRabbitMqSource, type RabbitMqOptions } from "../../bridge/sources/rabbitmq.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { MillraceEvent } from "../../functions/core/event.ts";
import type { Batch } from "../../functions/ports/broker-source.ts";
import { freePort } from "../support/process.ts";
import {
  publishConfirmed,
  queueDepth,
  type RabbitMq,
  startRabbitMq,
  withChannel,
} from "../support/rabbitmq.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const ROOT = join(import.meta.dirname, "../..");
const body = (n: number) => JSON.stringify({ companyId: "acme", n });
const numbersOf = (batch: Batch | undefined) => eventsOf(batch).map(({ data }) => JSON.parse(data).n);

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

/** As bridge.yaml has it, with the defaults. */
const configOf = (yaml: string, url = "amqp://127.0.0.1"): RabbitMqConfig => {
  const text = `sources:\n  - { name: test, kind: rabbitmq${yaml && `, ${yaml}`} }`;
  const { sources } = parseBridgeConfig(text, { AMQP_URL: url });
  return sources[0] as RabbitMqConfig;
};

describe("RabbitMQ source", () => {
  const why = missing("rabbitmq-server") ?? missing("openssl");
  let server: RabbitMq;
  let tlsPort: number;
  let certificates: string;
  beforeEach((context) => {
    if (why) context.skip(why);
  });
  beforeAll(async () => {
    if (why) return;
    tlsPort = await freePort();
    certificates = makeCertificates();
    const pem = (name: string) => join(certificates, `${name}.pem`);
    server = await startRabbitMq({
      plugins: ["rabbitmq_auth_mechanism_ssl"],
      config: [
        `listeners.ssl.1 = 127.0.0.1:${tlsPort}`,
        `ssl_options.cacertfile = ${pem("ca")}`,
        `ssl_options.certfile = ${pem("server")}`,
        `ssl_options.keyfile = ${pem("server-key")}`,
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = false",
        "ssl_cert_login_from = common_name",
        ...["PLAIN", "AMQPLAIN", "EXTERNAL"].map((name, i) => `auth_mechanisms.${i + 1} = ${name}`),
      ],
    });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    if (certificates) rmSync(certificates, { recursive: true });
  });

  let queues = 0;
  /** An exchange and a queue that no other test uses. Classic ones are quicker to make. */
  const setUp = (more: Partial<RabbitMqOptions> = {}) => {
    const exchange = `events.${++queues}`;
    const queue = `${exchange}.metrics`;
    const config = {
      ...configOf("queueType: classic", server.url),
      ...{ exchange, queue, deadLetterExchange: `${exchange}.dlx` },
      ...more,
    } as RabbitMqConfig;
    const open = (again: Partial<RabbitMqOptions> = {}) => {
      const seen = { connected: false };
      const events = {
        connected() {
          seen.connected = true;
        },
        dropped() {},
      };
      const source = createRabbitMqSource({
        ...config,
        events,
        decode: createSourceDecode(config),
        ...again,
      });
      const stop = new AbortController();
      const batches = source.deliveries(stop.signal)[Symbol.asyncIterator]();
      onTestFinished(async () => {
        stop.abort();
        await batches.return?.();
      });
      const next = async (): Promise<Batch | undefined> => {
        const result = await batches.next();
        return result.done ? undefined : result.value;
      };
      return {
        source,
        seen,
        next,
        abort: () => stop.abort(),
        /** The first batch, begun to be waited for. */
        async connect() {
          const first = next();
          first.catch(() => {});
          await Promise.race([waitFor("the consumer", () => seen.connected), first]);
          return { first };
        },
      };
    };
    const publish = (routingKey: string, text: string | Uint8Array, options: Options.Publish = {}) =>
      publishConfirmed(server.url, exchange, [{ routingKey, body: text, options }]);
    return { config, exchange, queue, open, publish };
  };

  describe("topology", () => {
    it("bindings: what none of them matches does not come", async () => {
      const { open, publish } = setUp({ bindings: ["orders.*.created", "stock.#"] });
      const { connect, next } = open();
      const { first } = await connect();
      for (const key of ["orders.7.created", "orders.7.paid", "stock.sku.moved.twice"]) {
        await publish(key, body(1));
      }
      const keys = eventsOf(await first).map(({ subject }) => subject);
      while (keys.length < 2) keys.push(...eventsOf(await next()).map(({ subject }) => subject));
      expect(keys).toEqual(["orders.7.created", "stock.sku.moved.twice"]);
    });

    it("what RabbitMQ gives up on is parked in <queue>.dead, with where it came from", async () => {
      const { queue, open, publish } = setUp({ queueType: "quorum" });
      const { connect, next } = open();
      const { first } = await connect();
      const policy = JSON.stringify({ "delivery-limit": 2 });
      await server.ctl("set_policy", queue, `^${queue}$`, policy, "--apply-to", "queues");
      await publish("order.created", body(1), { messageId: "m-1" });
      await (await first)!.nack(new Error("1"));
      await (await next())!.nack(new Error("2"));
      await (await next())!.nack(new Error("3"));
      const parked = await waitFor("the dead letter", () =>
        withChannel(server.url, (channel) => channel.get(`${queue}.dead`, { noAck: true })),
      );
      expect(parked.properties).toMatchObject({
        messageId: "m-1",
        headers: { "x-death": [{ queue, reason: "delivery_limit", "routing-keys": ["order.created"] }] },
      });
    });

    it("a queue that is there with other settings: an error that names them and both values", async () => {
      const { open, queue } = setUp();
      await withChannel(server.url, (channel) => channel.assertQueue(queue, { durable: true }));
      const error = await errorOf(open().next());
      expect(error.code).toBe("invalid-settings");
      expect(error.message).toContain(`Cannot declare queue "${queue}": its x-dead-letter-exchange is none`);
      const other = setUp();
      await other.open().connect();
      const quorum = await errorOf(other.open({ queueType: "quorum" }).next());
      expect(quorum.message).toContain("its x-queue-type is 'classic', expected 'quorum'");
    });

    it("declare false: a queue that is missing is an error that is not retryable, and nothing is made", async () => {
      const { open, queue, exchange } = setUp({ declare: false });
      const error = await errorOf(open().next());
      expect(error.code).toBe("invalid-settings");
      expect(error.message).toContain(`Cannot find queue "${queue}": NOT_FOUND`);
      const exists = withChannel(server.url, (channel) => channel.checkExchange(exchange));
      await expect(exists).rejects.toThrow("NOT_FOUND");
    });

    it("declare false: the right to read is enough", async () => {
      const { open, queue } = setUp({ declare: false });
      await withChannel(server.url, (channel) => channel.assertQueue(queue));
      const url = await server.addUser("reader", { password: "p", read: `^${queue}$` });
      const { connect } = open({ url });
      const { first } = await connect();
      await publishConfirmed(server.url, "", [{ routingKey: queue, body: body(1) }]);
      expect(numbersOf(await first)).toEqual([1]);
      const error = await errorOf(open({ url, declare: true }).next());
      expect(error.code).toBe("forbidden");
      expect(error.message).toMatch(
        /^Cannot declare exchange .*ACCESS_REFUSED .*, expected declare: false in bridge.yaml where it is there already, or the user to have that permission/,
      );
    });
  });

  describe("messages", () => {
    /** What comes of one message. */
    const eventOf = async (
      routingKey: string,
      text: string,
      options: Options.Publish = {},
      yaml = "queueType: classic",
    ) => {
      const { open, publish, config } = setUp();
      const { connect } = open({
        decode: createSourceDecode({ ...config, rules: configOf(yaml).rules }),
      });
      const { first } = await connect();
      await publish(routingKey, text, options);
      return eventsOf(await first)[0]!;
    };

    it("the type is the routing key in lower case, also where other sources have a table", async () => {
      expect((await eventOf("Metrics.Calculated", body(1))).type).toBe("metrics.calculated");
      const yaml = "type: [{ header: type }, { value: other }]";
      expect((await eventOf("a.b", body(1), { type: "Paid" }, yaml)).type).toBe("paid");
    });

    it("the id is the property message-id", async () => {
      expect(await eventOf("a.b", '{"companyId":"acme","id":"field"}', { messageId: "m-1" })).toMatchObject({
        id: "m-1",
        source: "/rabbitmq/test",
        subject: "a.b",
      });
    });

    it("without an id: the same after redelivery", async () => {
      const { open, publish } = setUp();
      const one = open();
      const { first } = await one.connect();
      await publish("a.b", body(1));
      const { id } = eventsOf(await first)[0]!;
      one.abort();
      await one.next();
      expect(eventsOf(await open().next())[0]!.id).toBe(id);
    });

    it("headers of every kind and the properties reach the rules as text", async () => {
      const { open, publish } = setUp();
      const raw: Record<string, string>[] = [];
      const { connect, next } = open({
        decode(message) {
          raw.push(message.headers);
          return { undecodable: { reason: "kept", message } };
        },
      });
      const { first } = await connect();
      await publish("a.b", body(1), {
        contentType: "application/json",
        correlationId: "c-1",
        appId: "shop",
        type: "paid",
        timestamp: 1_700_000_000,
        userId: "guest",
        headers: {
          Tenant: "globex",
          number: 7,
          yes: true,
          bytes: Buffer.from("raw"),
          at: { "!": "timestamp", value: 1_700_000_000 },
          price: { "!": "decimal", value: { digits: 1999, places: 2 } },
          list: [1, "b"],
          nothing: null,
          "App-Id": "a header of that name",
        },
      });
      await first;
      expect(raw[0]).toEqual({
        "content-type": "application/json",
        "correlation-id": "c-1",
        "app-id": "shop",
        type: "paid",
        timestamp: "2023-11-14T22:13:20.000Z",
        "user-id": "guest",
        tenant: "globex",
        number: "7",
        yes: "true",
        bytes: "raw",
        at: "2023-11-14T22:13:20.000Z",
        price: "19.99",
        list: '[1,"b"]',
      });
      // Milliseconds, as many publishers write them; and a user no broker has checked.
      await publish("a.b", body(1), { timestamp: 1_700_000_000_123, headers: { "user-id": "root" } });
      await next();
      expect(raw[1]).toEqual({ timestamp: "2023-11-14T22:13:20.123Z" });
    });

    it.each(["cloudEvents:", "cloudEvents_"])("a CloudEvent by the AMQP binding: %s", async (prefix) => {
      const attributes = {
        ...{ specversion: "1.0", id: "ce-1", source: "/shop", type: "Order.Paid", companyid: "globex" },
        subject: "100%25 of all",
        time: "2026-01-02T03:04:05Z",
      };
      const headers = Object.fromEntries(Object.entries(attributes).map(([k, v]) => [prefix + k, v]));
      expect(await eventOf("a.b", '{"n":1}', { headers })).toMatchObject({
        id: "ce-1",
        source: "/shop",
        type: "order.paid",
        companyId: "globex",
        subject: "100%25 of all",
        time: "2026-01-02T03:04:05Z",
      });
    });

    it("poison among good ones: each is told from the others, and the queue gets empty", async () => {
      const { open, queue, exchange } = setUp();
      const { connect, next, abort } = open();
      const { first } = await connect();
      const good = { routingKey: "a.b", body: body(1) };
      await publishConfirmed(server.url, exchange, [
        good,
        { routingKey: "a.b", body: "{" },
        { routingKey: "a.b", body: new Uint8Array([0xff, 0xfe]) },
        { routingKey: "a.b", body: '{"n":1}' },
        { routingKey: "schlüssel with blanks", body: body(2) },
        { routingKey: "a".repeat(255), body: body(3) },
        { routingKey: "a.b", body: "" },
        { ...good, options: { headers: { ["__proto__"]: "x", constructor: "y", "": "z" } } },
        good,
      ]);
      const came: string[] = [];
      for (let batch = await first; batch; batch = came.length < 9 ? await next() : undefined) {
        came.push(...batch.deliveries.map((delivery) => ("event" in delivery ? "event" : "undecodable")));
        await batch.ack();
      }
      expect(came.map((kind, i) => kind === "event" && i)).toEqual([0, ...Array(6).fill(false), 7, 8]);
      abort();
      await next();
      expect(await queueDepth(server.url, queue)).toEqual({ ready: 0, consumers: 0 });
    });
  });

  describe("consumer", () => {
    it("an abort still hands out what was taken, whose acks arrive before the connection ends", async () => {
      const { open, exchange, queue } = setUp({ prefetch: 10 });
      const { connect, next, abort } = open();
      const { first } = await connect();
      const messages = Array.from({ length: 30 }, (_, n) => ({ routingKey: "a.b", body: body(n) }));
      await publishConfirmed(server.url, exchange, messages);
      const came = numbersOf(await first);
      const held = [await first];
      await waitFor(
        "the rest of the prefetch",
        async () => (await queueDepth(server.url, queue)).ready === 20,
      );
      abort();
      await waitFor("the cancel", async () => (await queueDepth(server.url, queue)).consumers === 0);
      for (let batch = await next(); batch; batch = await next()) {
        came.push(...numbersOf(batch));
        held.push(batch);
        if (came.length === 10) for (const each of held) await each!.ack();
      }
      expect(came).toEqual(Array.from({ length: 10 }, (_, n) => n));
      expect(await queueDepth(server.url, queue)).toEqual({ ready: 20, consumers: 0 });
    });

    it("a queue deleted: what was taken is handed out, then a retryable error, and the next connection declares it", async () => {
      const { open, publish, queue } = setUp();
      const { connect, next } = open();
      const { first } = await connect();
      await publish("a.b", body(1));
      const batch = await first;
      await publish("a.b", body(2));
      await waitFor("it to be taken", async () => (await queueDepth(server.url, queue)).ready === 0);
      await withChannel(server.url, (channel) => channel.deleteQueue(queue));
      await batch!.ack();
      const second = await next();
      expect(numbersOf(second)).toEqual([2]);
      await second!.ack();
      const error = await errorOf(next());
      expect(error).toMatchObject({ code: "unavailable", retryable: true });
      expect(error.message).toContain("the broker cancelled the consumer");
      const again = open();
      const { first: third } = await again.connect();
      await publish("a.b", body(3));
      expect(numbersOf(await third)).toEqual([3]);
    });

    it("a consumer timeout: a retryable error, and the message comes again", async () => {
      const setTimeouts = (timeout: number, tick: number) =>
        server.ctl(
          "eval",
          `application:set_env(rabbit, consumer_timeout, ${timeout}), application:set_env(rabbit, channel_tick_interval, ${tick}).`,
        );
      await setTimeouts(500, 100);
      onTestFinished(async () => {
        await setTimeouts(1_800_000, 60_000);
      });
      const { open, publish } = setUp();
      const { connect, next } = open();
      const { first } = await connect();
      await publish("a.b", body(1));
      const held = await first;
      const error = await errorOf(next());
      expect(error.code).toBe("unavailable");
      expect(error.message).toContain("timed out");
      await held!.ack();
      expect(numbersOf(await open().next())).toEqual([1]);
    });

    it("a broker that hangs: is noticed by its missing heartbeats", async () => {
      const { open } = setUp({ heartbeatSeconds: 1 });
      const { first } = await open().connect();
      const { pid } = server.process();
      process.kill(pid, "SIGSTOP");
      const error = await errorOf(first).finally(() => process.kill(pid, "SIGCONT"));
      expect(error.code).toBe("unavailable");
      expect(error.message).toContain("Heartbeat timeout");
    });

    it("a queue that answers nothing: a retryable error after openMs", async () => {
      const { open, queue } = setUp();
      const before = open();
      await before.connect();
      before.abort();
      const run = (what: string) =>
        server.ctl(
          "eval",
          `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"${queue}">>)), sys:${what}(amqqueue:get_pid(Q)).`,
        );
      await run("suspend");
      onTestFinished(async () => {
        await run("resume");
      });
      const error = await errorOf(open({ openMs: 300 }).next());
      expect(error.code).toBe("unavailable");
      expect(error.message).toContain("no answer within 300 ms");
    });

    it("lag: the messages that wait, undefined while that cannot be told, and no harm to the consumer", async () => {
      const { open, exchange, queue } = setUp({ prefetch: 2 });
      const { connect, source, next, abort } = open();
      expect(await source.lag!()).toBeUndefined();
      const { first } = await connect();
      expect(await source.lag!()).toBe(0);
      const messages = [1, 2, 3, 4, 5].map((n) => ({ routingKey: "a.b", body: body(n) }));
      await publishConfirmed(server.url, exchange, messages);
      const batch = await first;
      await waitFor("the lag", async () => (await source.lag!()) === 3);
      await Promise.all(Array.from({ length: 20 }, () => source.lag!()));
      await batch!.ack();
      expect(numbersOf(await next())).not.toEqual([]);
      await withChannel(server.url, (channel) => channel.deleteQueue(queue));
      expect(await source.lag!()).toBeUndefined();
      abort();
    });
  });

  describe("connection", () => {
    const url = (at: string) => `amqps://${at}localhost:${tlsPort}`;
    const pem = (name: string) => join(certificates, `${name}.pem`);

    it("refused credentials: an error that is not retryable and does not show them", async () => {
      const { open } = setUp({ url: server.urlOf({ password: "hunter2" }) });
      const error = await errorOf(open().next());
      expect(error.code).toBe("unauthorized");
      expect(error.message).toContain(`127.0.0.1:${server.port}`);
      expect(error.message).not.toContain("hunter2");
    });

    it("credentials in the URL: percent-encoded, and as they are", async () => {
      const rights = { configure: ".*", write: ".*", read: ".*" };
      const encoded = await server.addUser("u@x/y", { password: "p:/w", ...rights });
      await server.addUser("percent", { password: "100%", ...rights });
      for (const at of [encoded, `amqp://percent:100%@127.0.0.1:${server.port}`]) {
        const { seen, connect } = setUp({ url: at }).open();
        await connect();
        expect(seen.connected).toBe(true);
      }
    });

    it("a virtual host that is missing: an error that names it and is not retryable", async () => {
      const error = await errorOf(
        setUp({ url: server.urlOf({ vhost: "no where" }) })
          .open()
          .next(),
      );
      expect(error.code).toBe("forbidden");
      expect(error.message).toContain('virtual host "no where"');
    });

    it("TLS: by a certificate that tls.ca vouches for, and by no other", async () => {
      const { seen, connect } = setUp({ url: url("guest:guest@"), tls: { ca: pem("ca") } }).open();
      await connect();
      expect(seen.connected).toBe(true);
      for (const tls of [undefined, { ca: pem("client") }]) {
        const error = await errorOf(
          setUp({ url: url("guest:guest@"), tls })
            .open()
            .next(),
        );
        expect(error.code).toBe("invalid-settings");
        expect(error.message).toContain("expected a TLS port whose certificate tls.ca vouches for");
      }
    });

    it("TLS: without a user in the URL the broker knows us by our certificate", async () => {
      await server.addUser("millrace-bridge", {
        password: "unused",
        configure: ".*",
        write: ".*",
        read: ".*",
      });
      const tls = { ca: pem("ca"), cert: pem("client"), key: pem("client-key") };
      const { seen, connect } = setUp({ url: url(""), tls }).open();
      await connect();
      expect(seen.connected).toBe(true);
      expect(await server.ctl("list_connections", "user", "auth_mechanism")).toMatch(
        /millrace-bridge\s+EXTERNAL/,
      );
    });

    it("TLS: a file that is missing, and a port without TLS, are errors that are not retryable", async () => {
      const missingFile = setUp({ url: url("guest:guest@"), tls: { ca: pem("nowhere") } });
      const error = await errorOf(missingFile.open().next());
      expect(error.code).toBe("invalid-settings");
      expect(error.message).toContain(`Cannot read tls.ca "${pem("nowhere")}"`);
      const plain = await errorOf(
        setUp({ url: server.url.replace("amqp:", "amqps:") })
          .open()
          .next(),
      );
      expect(plain.retryable).toBe(false);
      expect(plain.message).toBe(
        `Cannot connect to RabbitMQ "127.0.0.1:${server.port}": the port speaks no TLS, expected one that does (mostly 5671), or amqp:// in the url`,
      );
    });
  });

  describe("definitions.json", () => {
    const passwords = { PUBLISHER_PASSWORD: "p&/ %1\\n", BRIDGE_PASSWORD: "b" };
    const vhost = "events";
    const publisherUrl = () =>
      server.urlOf({ user: "publisher", password: passwords.PUBLISHER_PASSWORD, vhost });
    const bridgeUrl = () => server.urlOf({ user: "bridge", password: passwords.BRIDGE_PASSWORD, vhost });
    const smoke = (args: string[], env: Record<string, string> = passwords) =>
      new Promise<{ code: unknown; text: string }>((resolve) => {
        const at = ["--address", `127.0.0.1:${server.port}`, ...args];
        execFile(
          join(ROOT, "infra/rabbitmq/smoke.sh"),
          at,
          { env: { ...process.env, ...server.environment, RABBITMQCTL: server.ctlCommand, ...env } },
          (error, stdout, stderr) => resolve({ code: error ? error.code : 0, text: stdout + stderr }),
        );
      });
    beforeAll(async () => {
      if (!why) expect(await smoke([])).toEqual({ code: 0, text: expect.stringContaining("ok: published") });
    });

    it("smoke.sh: again, and what it exits with when something is wrong", async () => {
      expect((await smoke([])).code).toBe(0);
      expect(await smoke(["--help"])).toMatchObject({ code: 0, text: expect.stringContaining("Usage:") });
      expect((await smoke(["--nothing"])).code).toBe(2);
      expect((await smoke([], { PUBLISHER_PASSWORD: "" })).code).toBe(2);
      const refused = await smoke(["--no-import"], { ...passwords, BRIDGE_PASSWORD: "wrong" });
      expect(refused).toMatchObject({ code: 1, text: expect.stringContaining("as bridge") });
    });

    it("bridge: reads the queue with declare false, and may neither write nor declare", async () => {
      const { open } = setUp({ url: bridgeUrl(), queue: "events.metrics", declare: false });
      const { connect, next, abort } = open();
      const { first } = await connect();
      await publishConfirmed(publisherUrl(), "events", [{ routingKey: "order.created", body: body(1) }]);
      const batch = await first;
      expect(eventsOf(batch)[0]!.type).toBe("order.created");
      await batch!.ack();
      abort();
      await next();
      const publishing = publishConfirmed(bridgeUrl(), "events", [{ routingKey: "a.b", body: "" }]);
      await expect(publishing).rejects.toThrow();
      const refusals = [
        () => withChannel(bridgeUrl(), (channel) => channel.assertQueue("mine")),
        () => withChannel(bridgeUrl(), (channel) => channel.get("events.metrics.dead")),
        () => withChannel(bridgeUrl(), (channel) => channel.purgeQueue("events.metrics.dead")),
      ];
      for (const refusal of refusals) await expect(refusal()).rejects.toThrow("ACCESS_REFUSED");
    });

    it("publisher: writes to the exchange, and may neither read, nor declare, nor write elsewhere", async () => {
      const refusals = [
        () => withChannel(publisherUrl(), (channel) => channel.get("events.metrics")),
        () => withChannel(publisherUrl(), (channel) => channel.assertQueue("mine")),
        () => withChannel(publisherUrl(), (channel) => channel.assertExchange("mine", "topic")),
        () => withChannel(publisherUrl(), (channel) => channel.bindQueue("events.metrics", "events", "x")),
      ];
      for (const refusal of refusals) await expect(refusal()).rejects.toThrow("ACCESS_REFUSED");
      const elsewhere = publishConfirmed(publisherUrl(), "events.dlx", [
        { routingKey: "events.metrics", body: "" },
      ]);
      await expect(elsewhere).rejects.toThrow();
    });

    it("declare true: finds everything as it would make it", async () => {
      await server.ctl("set_permissions", "-p", vhost, "guest", ".*", ".*", ".*");
      const config = configOf("", server.urlOf({ vhost }));
      const { connect, seen } = setUp(config).open();
      await connect();
      expect(seen.connected).toBe(true);
    });

    it("max length: what is too much is refused, so that the publisher keeps it", async () => {
      const policy = JSON.stringify({ "max-length": 3, overflow: "reject-publish" });
      await server.ctl("set_policy", "-p", vhost, "--priority", "9", "full", "^events.metrics$", policy);
      onTestFinished(async () => {
        await server.ctl("clear_policy", "-p", vhost, "full");
        await server.ctl("purge_queue", "-p", vhost, "events.metrics");
      });
      const messages = Array.from({ length: 50 }, (_, n) => ({ routingKey: "a.b", body: body(n) }));
      const send = () => publishConfirmed(publisherUrl(), "events", messages);
      await expect(send().then(send)).rejects.toThrow("message nacked");
    });
  });

  describe("probeRabbitMq", () => {
    const signal = AbortSignal.timeout(60_000);

    it("says what it found, and makes nothing", async () => {
      const { config, open, queue } = setUp();
      expect(await probeRabbitMq(config, signal)).toMatch(
        /^RabbitMQ 3\.\S+ answers, queue ".*" is not there yet/,
      );
      await expect(withChannel(server.url, (channel) => channel.checkQueue(queue))).rejects.toThrow(
        "NOT_FOUND",
      );
      await open().connect();
      expect(await probeRabbitMq(config, signal)).toMatch(/has 0 messages waiting and 1 consumer$/);
    });

    it("names a right that is missing, and no message counts as delivered", async () => {
      const { config, queue, exchange } = setUp({ queueType: "quorum", declare: false });
      const declares = { configure: ".*", write: ".*" };
      const [blind, reader] = [
        await server.addUser(`blind-${exchange}`, { password: "p", ...declares }),
        await server.addUser(`reader-${exchange}`, { password: "p", read: ".*" }),
      ];
      const refusal = async (more: Partial<RabbitMqConfig>) =>
        await errorOf(probeRabbitMq({ ...config, ...more }, signal));
      // Before there is a queue.
      for (const url of [blind, reader]) {
        const mayNotDeclare = await refusal({ url, declare: true });
        expect(mayNotDeclare.code).toBe("forbidden");
        expect(mayNotDeclare.message).toContain(`Cannot declare queue "${queue}": ACCESS_REFUSED`);
      }
      const like = { "x-queue-type": "quorum" };
      await withChannel(server.url, (channel) => channel.assertQueue(queue, { arguments: like }));
      await publishConfirmed(server.url, "", [{ routingKey: queue, body: body(1) }]);

      const mayNotRead = await refusal({ url: blind });
      expect(mayNotRead.code).toBe("forbidden");
      expect(mayNotRead.message).toContain(`Cannot read from RabbitMQ queue "${queue}": ACCESS_REFUSED`);
      const mayNotDeclare = await refusal({ url: reader, declare: true });
      expect(mayNotDeclare.message).toMatch(
        /^Cannot declare queue .*, expected declare: false in bridge.yaml/,
      );
      expect(await probeRabbitMq({ ...config, url: reader }, signal)).toContain(
        "has 1 message waiting and 0 consumers",
      );
      const message = await withChannel(server.url, (channel) => channel.get(queue, { noAck: true }));
      expect(message && { ...message.fields, ...message.properties.headers }).toMatchObject({
        redelivered: false,
        "x-delivery-count": 0,
      });
    });

    it("names what differs, what is missing, and a broker that is away", async () => {
      const { config, open } = setUp();
      await open().connect();
      const differs = await errorOf(probeRabbitMq({ ...config, queueType: "quorum" }, signal));
      expect(differs.message).toContain("its x-queue-type is 'classic'");
      const absent = await errorOf(probeRabbitMq({ ...config, queue: "nowhere", declare: false }, signal));
      expect(absent.message).toContain('Cannot find queue "nowhere"');
      const away = await errorOf(probeRabbitMq({ ...config, url: "amqp://127.0.0.1:1" }, signal));
      expect(away.retryable).toBe(true);
    });
  });
});

describe("kind: rabbitmq", () => {
  const problemsOf = (yaml: string, url?: string) => {
    try {
      configOf(yaml, url);
    } catch (error) {
      return (error as Error).message
        .split("\n")
        .slice(1)
        .map((line) => line.replace(/^.*test.: |^ *line \d+: /, ""));
    }
    return [];
  };

  it("has its defaults, and the address of AMQP_URL", () => {
    expect(configOf("", "amqp://h")).toEqual({
      name: "test",
      kind: "rabbitmq",
      enabled: true,
      url: "amqp://h",
      tls: undefined,
      heartbeatSeconds: 15,
      exchange: "events",
      queue: "events.metrics",
      bindings: ["#"],
      queueType: "quorum",
      deadLetterExchange: "events.dlx",
      declare: true,
      prefetch: 1000,
      rules: {},
    });
    expect(parseBridgeConfig("sources: []", { AMQP_URL: "amqp://h" }).sources).toHaveLength(1);
    expect(parseBridgeConfig("sources: []", {}).sources).toHaveLength(0);
  });

  it.each([
    ["url: http://h", "sources[0].url: expected a URL of amqp:// or amqps://"],
    ["prefetch: 65536", "sources[0].prefetch: expected a whole number from 1 to 65535"],
    ["bindings: [a..b]", "sources[0].bindings[0]: expected a topic pattern such as orders.*.created or #"],
    ["bindings: [a*.b]", "sources[0].bindings[0]: expected a topic pattern such as orders.*.created or #"],
    ["queueType: stream", "sources[0].queueType: expected quorum or classic"],
    [
      "declare: false, exchange: events",
      "sources[0].exchange: is for a queue that is declared, expected none with declare: false",
    ],
    ["tls: { ca: a.pem }", "sources[0].tls: is not used, expected a URL of amqps:// with it"],
    [
      "url: amqps://h, tls: { cert: a.pem }",
      "sources[0].tls: has one of cert and key, expected both or none",
    ],
  ])("refuses %s", (yaml, problem) => {
    expect(problemsOf(yaml)).toEqual([problem]);
  });

  it("refuses a source without an address", () => {
    expect(problemsOf("", "")).toEqual(["sources[0].url: missing, expected it here or in AMQP_URL"]);
  });
});

/** A certificate authority, and one certificate each for localhost and for the client `millrace-bridge`. */
function makeCertificates(): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-tls-"));
  const program = "openssl";
  const openssl = (...args: string[]) => execFileSync(program, args, { cwd: folder, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl(
    "req",
    "-x509",
    ...key,
    "-subj",
    "/CN=test",
    "-days",
    "2",
    "-keyout",
    "ca-key.pem",
    "-out",
    "ca.pem",
  );
  for (const [name, commonName] of [
    ["server", "localhost"],
    ["client", "millrace-bridge"],
  ]) {
    writeFileSync(join(folder, "ext"), `subjectAltName = DNS:${commonName}\n`);
    openssl("req", ...key, "-subj", `/CN=${commonName}`, "-keyout", `${name}-key.pem`, "-out", `${name}.csr`);
    const signing = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-days", "2"];
    openssl("x509", "-req", "-in", `${name}.csr`, ...signing, "-extfile", "ext", "-out", `${name}.pem`);
  }
  return folder;
}
