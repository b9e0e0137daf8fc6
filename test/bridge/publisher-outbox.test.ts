/** The outbox: its table and lease on SQLite alone, and createPublisher with it on a real RabbitMQ. */
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type ConsumeMessage, connect } from "amqplib";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildMessage } from "../../bridge/publisher/message.ts";
import { openOutboxTable } from "../../bridge/publisher/outbox-table.ts";
import {
  createPublisher,
  type OutboxDatabase,
  type PublisherOptions,
} from "../../bridge/publisher/publisher.ts";
import { temporaryFolder } from "../bin/cli.ts";
import { recordingLogger } from "../support/logger.ts";
import { freePort } from "../support/process.ts";
import { type RabbitMq, startRabbitMq, withChannel } from "../support/rabbitmq.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";

const reason = missing("rabbitmq-server");
const KEY = "orders.order.created";
const LEASE_MS = 60_000;
const message = (n: number, routingKey = KEY) => buildMessage(routingKey, { n }, { messageId: `m-${n}` }, {});
const idsOf = (rows: readonly { readonly message: { readonly messageId: string } }[]) =>
  rows.map((row) => row.message.messageId);

describe("openOutboxTable", () => {
  it("gives the rows back as they were, in the order they were added", () => {
    const table = openOutboxTable(new DatabaseSync(":memory:"), "outbox");
    const sent = buildMessage(KEY, { n: 1 }, { headers: { a: 1 }, expiration: 5, persistent: false }, {});
    table.add(sent);
    table.add(message(2));
    const rows = table.turn("me", LEASE_MS, []);
    expect(rows[0]?.message).toEqual({ ...sent, body: new Uint8Array(sent.body) });
    expect(idsOf(rows)).toEqual([sent.messageId, "m-2"]);
  });

  it("adds nothing for an id that is there, sent or not", () => {
    const table = openOutboxTable(new DatabaseSync(":memory:"), "outbox");
    table.add(message(1));
    table.add(message(1));
    const [row, ...more] = table.turn("me", LEASE_MS, []);
    expect(more).toEqual([]);
    expect(table.turn("me", LEASE_MS, [{ seq: row!.seq, isTaken: true }])).toEqual([]);
    table.add(message(1));
    expect(table.turn("me", LEASE_MS, [])).toEqual([]);
  });

  it("gives rows to the holder of the lease alone, until it is over or given back", async () => {
    const table = openOutboxTable(new DatabaseSync(":memory:"), "outbox");
    table.add(message(1));
    expect(table.hasWork("me")).toBe(true);
    expect(table.turn("me", 100, [])).toHaveLength(1);
    expect([table.hasWork("you"), table.turn("you", LEASE_MS, [])]).toEqual([false, []]);
    table.release("you");
    expect(table.turn("you", LEASE_MS, [])).toEqual([]);
    await waitFor("the lease to be over", () => table.hasWork("you"));
    expect(table.turn("you", LEASE_MS, [])).toHaveLength(1);
    expect(table.turn("me", LEASE_MS, [])).toEqual([]);
    table.release("you");
    expect(table.turn("me", LEASE_MS, [])).toHaveLength(1);
  });

  it("holds back a routing key whose first row was refused, and no other", () => {
    const table = openOutboxTable(new DatabaseSync(":memory:"), "outbox");
    table.add(message(1));
    table.add(message(2, "stock.item.moved"));
    table.add(message(3));
    const [first] = table.turn("me", LEASE_MS, []);
    const refused = { seq: first!.seq, isTaken: false, reason: "nack" } as const;
    expect(idsOf(table.turn("me", LEASE_MS, [{ ...refused, retryAt: Date.now() + 60_000 }]))).toEqual([
      "m-2",
    ]);
    const again = table.turn("me", LEASE_MS, [{ ...refused, retryAt: Date.now() - 1 }]);
    expect(idsOf(again)).toEqual(["m-1", "m-2", "m-3"]);
    expect(again[0]?.refusals).toBe(2);
  });

  it("reads nothing while a transaction is open on the connection, and leaves it open", () => {
    const database = new DatabaseSync(":memory:");
    const table = openOutboxTable(database, "outbox");
    database.exec("BEGIN");
    table.add(message(1));
    for (const call of [() => table.hasWork("me"), () => table.turn("me", LEASE_MS, [])]) {
      expect(call).toThrow(/within a transaction/);
    }
    expect(database.isTransaction).toBe(true);
    database.exec("ROLLBACK");
    expect(table.hasWork("me")).toBe(false);
  });

  it("deletes sent rows when they are old, and no others", async () => {
    const table = openOutboxTable(new DatabaseSync(":memory:"), "outbox");
    for (const n of [1, 2]) table.add(message(n));
    const [row] = table.turn("me", LEASE_MS, []);
    table.turn("me", LEASE_MS, [{ seq: row!.seq, isTaken: true }]);
    expect(table.purge(60_000)).toBe(true);
    table.add(message(1));
    expect(table.stats("me").pending).toBe(1);
    expect(table.purge(-1)).toBe(true);
    table.add(message(1));
    expect(table.stats("me")).toMatchObject({ pending: 2, isFlusher: true });
  });

  it("names what is wrong with a name or a database", () => {
    expect(() => openOutboxTable(new DatabaseSync(":memory:"), "a; DROP TABLE b")).toThrow(
      /outbox table "a; DROP/,
    );
    const closed = new DatabaseSync(":memory:");
    closed.close();
    expect(() => openOutboxTable(closed, "outbox")).toThrow(
      /^Cannot make outbox table "outbox": database is not open/,
    );
  });
});

describe("createPublisher with an outbox, without a broker", () => {
  it("writes the row at once; close leaves it for the next start", async () => {
    const database = new DatabaseSync(":memory:");
    const publisher = createPublisher({
      ...{ amqpUrl: `amqp://127.0.0.1:${await freePort()}`, appId: "shop", registry: new Registry() },
      ...{ reliability: "outbox", outbox: { database }, logger: recordingLogger() },
    });
    const published = publisher.publish(KEY, { n: 1 });
    expect(publisher.health().outbox).toMatchObject({ pending: 1 });
    expect(await published).toBe(true);
    await publisher.close({ timeoutMs: 100 });
    expect(publisher.health()).toMatchObject({ status: "closed", outbox: { pending: 1, isFlusher: false } });
    expect(() => publisher.publish(KEY, {})).toThrow(/the publisher is closed/);
  });

  it("throws where the row cannot be written, so that a transaction function is rolled back", async () => {
    const database = new DatabaseSync(":memory:");
    await using publisher = createPublisher({
      ...{ amqpUrl: `amqp://127.0.0.1:${await freePort()}`, appId: "shop", registry: new Registry() },
      ...{ reliability: "outbox", outbox: { database }, logger: recordingLogger() },
    });
    database.exec("PRAGMA query_only = 1");
    expect(() => publisher.publish(KEY, {}, { messageId: "m-1" })).toThrow(
      `Cannot publish "${KEY}" m-1: attempt to write a readonly database, expected an outbox that can be written to`,
    );
    database.exec("PRAGMA query_only = 0");
    expect(() => publisher.publish("bad", {})).toThrow(/routing key "bad"/);
  });
});

describe.skipIf(reason)(
  `createPublisher with an outbox on RabbitMQ${reason ? ` (${reason})` : ""}`,
  { timeout: 60_000 },
  () => {
    let rabbit: RabbitMq;
    let exchanges = 0;
    beforeAll(async () => {
      rabbit = await startRabbitMq();
    }, 90_000);
    afterAll(() => rabbit?.[Symbol.asyncDispose]());

    /** An exchange with a queue of the same name that takes what `pattern` says. */
    async function topology(pattern = "#") {
      const exchange = `outbox-${++exchanges}`;
      await withChannel(rabbit.url, async (channel) => {
        await channel.assertExchange(exchange, "topic");
        await channel.assertQueue(exchange);
        await channel.bindQueue(exchange, exchange, pattern);
      });
      return exchange;
    }
    function open(database: OutboxDatabase, exchange: string, options: Partial<PublisherOptions> = {}) {
      const registry = new Registry();
      const publisher = createPublisher({
        ...{ amqpUrl: rabbit.url, appId: "shop", exchange, reliability: "outbox", registry },
        ...{ outbox: { database, pollMs: 50 }, logger: recordingLogger(), ...options },
      });
      return Object.assign(publisher, { registry });
    }
    const allSent = (publisher: ReturnType<typeof open>) =>
      waitFor("the outbox to be empty", () => publisher.health().outbox?.pending === 0, {
        timeoutMs: 30_000,
      });
    async function take(queue: string, count: number): Promise<ConsumeMessage[]> {
      const connection = await connect(rabbit.url);
      try {
        const channel = await connection.createChannel();
        const taken: ConsumeMessage[] = [];
        await channel.consume(queue, (given) => given && taken.push(given), { noAck: true });
        await waitFor(`${count} messages`, () => taken.length >= count);
        return taken;
      } finally {
        await connection.close();
      }
    }
    const numbersOf = (messages: readonly ConsumeMessage[]) =>
      messages.map(({ content }) => JSON.parse(content.toString()).n as number);

    it("sends what was committed, once and in order, and nothing that was rolled back or is not committed yet", async () => {
      const exchange = await topology();
      const database = new DatabaseSync(":memory:");
      await using publisher = open(database, exchange);
      const expected: number[] = [];
      for (let n = 0; n < 300; n++) {
        database.exec("BEGIN");
        void publisher.publish(KEY, { n });
        // The flusher gets its turns while the transaction is open.
        if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
        const isKept = n % 3 !== 0;
        database.exec(isKept ? "COMMIT" : "ROLLBACK");
        if (isKept) expected.push(n);
      }
      await allSent(publisher);
      expect(numbersOf(await take(exchange, expected.length))).toEqual(expected);
      expect(await publisher.registry.metrics()).toContain(
        `events_published_total{routing_key="${KEY}"} ${expected.length}`,
      );
    });

    it("close sends what was committed just before", async () => {
      const exchange = await topology();
      const publisher = open(new DatabaseSync(":memory:"), exchange);
      void publisher.publish(KEY, { n: 1 });
      await publisher.close();
      expect(publisher.health().outbox).toMatchObject({ pending: 0, isFlusher: false });
      expect(numbersOf(await take(exchange, 1))).toEqual([1]);
    });

    it("asks no more of a database than prepare, run and all", async () => {
      const exchange = await topology();
      const real = new DatabaseSync(":memory:");
      const database: OutboxDatabase = {
        prepare(sql) {
          const statement = real.prepare(sql);
          return { run: (...given) => statement.run(...given), all: (...given) => statement.all(...given) };
        },
      };
      await using publisher = open(database, exchange, { outbox: { database, table: "mine" } });
      await publisher.publish(KEY, { n: 1 });
      await allSent(publisher);
      expect(numbersOf(await take(exchange, 1))).toEqual([1]);
      expect(real.prepare("SELECT count(*) AS rows FROM mine").get()).toEqual({ rows: 1 });
    });

    it("two processes on one file: one sends, so nothing is sent twice; the other goes on when the lease is given back", async () => {
      const exchange = await topology();
      using folder = temporaryFolder();
      const databases = [1, 2].map(() => new DatabaseSync(join(folder.path, "shop.db"), { timeout: 5000 }));
      databases[0]!.exec("PRAGMA journal_mode = WAL");
      const [one, other] = databases.map((database) => open(database, exchange));
      for (let n = 0; n < 400; n++) {
        await (n % 2 === 0 ? one! : other!).publish(KEY, { n });
        if (n === 200) {
          expect([one, other].filter((publisher) => publisher!.health().outbox!.isFlusher)).toHaveLength(1);
        }
      }
      await allSent(one!);
      expect(numbersOf(await take(exchange, 400))).toEqual(Array.from({ length: 400 }, (_, n) => n));
      // Whoever it is that holds it.
      const [holder, waiter] = one!.health().outbox!.isFlusher ? [one!, other!] : [other!, one!];
      await holder.close();
      await waiter.publish(KEY, { n: 400 });
      await allSent(waiter);
      expect(numbersOf(await take(exchange, 1))).toEqual([400]);
      await waiter.close();
      for (const database of databases) database.close();
    });

    it("a message the broker refuses waits with those of its key behind it, and no others do", async () => {
      const exchange = await topology("orders.#");
      const database = new DatabaseSync(":memory:");
      await using publisher = open(database, exchange);
      await publisher.publish("stock.item.moved", { n: 1 });
      await waitFor("it to be refused", () =>
        publisher.health().outbox?.lastError?.includes("no queue is bound"),
      );
      await publisher.publish("stock.item.moved", { n: 2 });
      await publisher.publish(KEY, { n: 3 });
      expect(numbersOf(await take(exchange, 1))).toEqual([3]);
      expect(publisher.health().outbox).toMatchObject({ pending: 2 });
      await withChannel(rabbit.url, (channel) => channel.bindQueue(exchange, exchange, "#"));
      await allSent(publisher);
      expect(numbersOf(await take(exchange, 2))).toEqual([1, 2]);
      expect(publisher.health().outbox?.lastError).toBeUndefined();
    });

    it("keeps what it has while it cannot connect, and sends it in order when it can", async () => {
      const exchange = await topology();
      const user = { user: exchange, password: "x" };
      const database = new DatabaseSync(":memory:");
      const retry = { timeoutMs: 200, maxMs: 100 };
      await using publisher = open(database, exchange, { amqpUrl: rabbit.urlOf(user), retry });
      for (let n = 0; n < 250; n++) await publisher.publish(KEY, { n });
      await waitFor("it to be tried", () =>
        publisher.health().lastError?.includes("refused the credentials"),
      );
      expect(publisher.health().outbox).toMatchObject({ pending: 250 });
      await rabbit.addUser(exchange, { password: "x", write: ".*" });
      await allSent(publisher);
      expect(numbersOf(await take(exchange, 250))).toEqual(Array.from({ length: 250 }, (_, n) => n));
    });
  },
);
