/** What is particular to the IBM MQ source; what it has in common with the others is in its contract. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { parseBridgeConfig } from "../../bridge/config/config.ts";
import type { IbmMqConfig } from "../../bridge/config/ibm-mq.ts";
import { probeIbmMq } from "../../bridge/probes/ibm-mq.ts";
import { useStandIn } from "../support/mq/fixture.ts";
import { BRIDGE } from "../support/mq/stand-in.ts";
import { waitFor } from "../support/wait.ts";
import {
  connectionsOf,
  errorOf,
  eventsOf,
  idsOf,
  numbersOf,
  openSource,
  readFrom,
  reasonsOf,
} from "./ibm-mq-reader.ts";

const body = (n: number, more: object = {}) => JSON.stringify({ companyId: "acme", n, ...more });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe("IBM MQ source", () => {
  const fixture = useStandIn();
  beforeEach(() => {
    Object.assign(process.env, fixture.standIn.env);
  });
  const open = (...[queue, options, rules]: [string, object?, object?]) =>
    openSource(fixture.standIn, queue, options, rules);
  const read = (...args: Parameters<typeof open>) => readFrom(open(...args).source);

  const end = async (reader: ReturnType<typeof read>) => {
    reader.abort();
    expect(await reader.next()).toBeUndefined();
  };

  describe("messages", () => {
    it("an event has the MsgId as id, the queue as subject and type, and the time of the payload", async () => {
      const { standIn } = fixture;
      await standIn.put("APP.TXN.IN", body(1, { ts: "2026-01-31T12:00:00Z" }));
      const [copy] = await standIn.messages("AUDIT.TXN");
      const [event] = eventsOf(await read("AUDIT.TXN").take(1));
      expect(event).toEqual({
        ...{ companyId: "acme", source: "/ibm-mq/AUDIT.TXN", id: copy!.msgId, type: "audit.txn" },
        ...{ subject: "AUDIT.TXN", time: "2026-01-31T12:00:00Z" },
        data: body(1, { ts: "2026-01-31T12:00:00Z" }),
      });
      await waitFor("the commit", async () => (await standIn.messages("AUDIT.TXN")).length === 0);
      // The application's own message is untouched.
      expect(await standIn.depth("APP.TXN.IN")).toBe(1);
    });

    it("properties are headers, in lower case: the company may be one", async () => {
      const queue = await fixture.define();
      const properties = { companyId: "globex", Priority: "high" };
      await fixture.standIn.putWith({ queue, properties }, '{"n":1}', '{"n":2}');
      await fixture.standIn.put(queue, '{"n":3}');
      const deliveries = await read(queue, {}, { type: [{ header: "PRIORITY" }] }).take(3);
      expect(eventsOf(deliveries).map(({ companyId, type, data }) => [companyId, type, data])).toEqual([
        ["globex", "high", '{"companyId":"globex","n":1}'],
        ["globex", "high", '{"companyId":"globex","n":2}'],
      ]);
      // No property of the message before is left.
      expect(reasonsOf(deliveries)).toEqual([expect.stringContaining("no company")]);
    });

    it("without a time in the payload: that of the put, for a config of bridge.yaml", async () => {
      const queue = await fixture.define();
      const config = configOf(queue);
      const before = Date.now();
      await fixture.standIn.put(queue, body(1));
      const [event] = eventsOf(await read(queue, {}, config.rules).take(1));
      const at = Date.parse(event!.time);
      expect(event!.time).toMatch(/\.\d\dZ$/);
      expect(at).toBeGreaterThanOrEqual(before - 20);
      expect(at).toBeLessThanOrEqual(Date.now());
    });

    it("a body that is not JSON is an event with a preview, of the company of a property or a rule", async () => {
      const queue = await fixture.define();
      const ebcdic = Uint8Array.from([0xc0, 0x7f, 0x95, 0x7f, 0x7a, 0xf1, 0xd0]);
      const long = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) % 256);
      await fixture.standIn.putWith(
        { queue, ccsid: 500, format: "MQSTR", properties: { companyid: "acme" } },
        ebcdic,
      );
      await fixture.standIn.putWith({ queue, properties: { companyid: "acme" } }, long, "", "{ not json");
      const reader = read(queue);
      const events = eventsOf(await reader.take(4));
      expect(events.map(({ data }) => JSON.parse(data))).toEqual([
        { companyId: "acme", encoding: "hex", bytes: 7, preview: "c07f957f7af1d0" },
        {
          companyId: "acme",
          encoding: "hex",
          bytes: 200_000,
          preview: Buffer.from(long.subarray(0, 128)).toString("hex"),
        },
        { companyId: "acme", encoding: "hex", bytes: 0, preview: "" },
        { companyId: "acme", encoding: "hex", bytes: 10, preview: Buffer.from("{ not json").toString("hex") },
      ]);
      await end(reader);
      await fixture.standIn.put(queue, "plain");
      const [ruled] = eventsOf(await read(queue, {}, { company: [{ value: "globex" }] }).take(1));
      expect(ruled!.data).toBe('{"companyId":"globex","encoding":"hex","bytes":5,"preview":"706c61696e"}');
    });

    it("a body that is not JSON, of no company: a dead letter that says both, with what tells how to read it", async () => {
      const queue = await fixture.define();
      await fixture.standIn.putWith({ queue, ccsid: 273, format: "MYFORMAT" }, Uint8Array.from([0xff, 0xfe]));
      const [delivery] = await read(queue).take(1);
      expect(delivery).toMatchObject({
        undecodable: {
          reason: expect.stringMatching(/not UTF-8.*no company/),
          message: {
            ...{
              subject: queue,
              body: Buffer.from([0xff, 0xfe]),
              messageId: expect.stringMatching(/^[0-9a-f]{48}$/),
            },
            headers: { "mq-format": "MYFORMAT", "mq-ccsid": "273" },
          },
        },
      });
    });

    it("a message larger than the buffer is neither cut nor lost, nor are those around it", async () => {
      const queue = await fixture.define("MAXMSGL(4194304)");
      const sizes = [100, 300_000, 4_194_304, 100, 2_000_000, 100];
      for (const bytes of sizes) await fixture.standIn.put(queue, `"${"x".repeat(bytes - 2)}"`);
      const deliveries = await read(queue, {}, { company: [{ value: "acme" }] }).take(sizes.length);
      const lengths = deliveries.map((delivery) =>
        "event" in delivery ? "event" : delivery.undecodable.message.body.byteLength,
      );
      // Over the limit of an event: a dead letter, whole.
      expect(lengths).toEqual(["event", 300_000, 4_194_304, "event", 2_000_000, "event"]);
      expect(reasonsOf(deliveries)[0]).toContain("131072 bytes");
    });

    it("a get that ends in a warning has taken its message, so it is handed on", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, body(1), body(2));
      await fixture.standIn.inject({ verb: "MQGET", action: "warn", reason: 2110 });
      expect(numbersOf(await read(queue).take(2))).toEqual([1, 2]);
    });

    it("batches: at most batchMessages, bounded in bytes, and nothing waits for a full one", async () => {
      const queue = await fixture.define("MAXMSGL(4194304)");
      await fixture.standIn.put(queue, ...range(0, 120).map((n) => body(n)));
      const reader = read(queue, { batchMessages: 50 });
      const sizes: number[] = [];
      for (let count = 0; count < 120; ) {
        const batch = await reader.next();
        sizes.push(batch!.deliveries.length);
        count += batch!.deliveries.length;
        await batch!.ack();
      }
      expect(sizes).toEqual([50, 50, 20]);
      const megabyte = JSON.stringify("x".repeat(1024 * 1024));
      await fixture.standIn.put(queue, ...range(0, 6).map(() => megabyte));
      expect((await reader.next())!.deliveries).toHaveLength(4);
    });
  });

  describe("units of work", () => {
    it("nothing is taken beyond the batch in hand, and nothing committed before its ack", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, ...range(0, 30).map((n) => body(n)));
      const reader = read(queue, { batchMessages: 10 });
      const batch = await reader.next();
      expect(batch!.deliveries).toHaveLength(10);
      const hidden = async () =>
        (await fixture.standIn.messages(queue)).filter(({ isHidden }) => isHidden).length;
      expect([await fixture.standIn.depth(queue), await hidden()]).toEqual([20, 10]);
      await batch!.ack();
      await waitFor("the commit", async () => (await fixture.standIn.messages(queue)).length === 20);
    });

    it("an ack while the next batch is waited for commits what was acked and no more", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, body(1));
      const reader = read(queue);
      const first = await reader.next();
      const second = reader.next();
      // The fetch is under way, in the unit of work of the first batch.
      const calls = async () => (await fixture.standIn.calls()).MQGET ?? 0;
      const before = await calls();
      await waitFor("a get to wait", async () => (await calls()) > before);
      await first!.ack();
      await waitFor("the commit", async () => (await fixture.standIn.messages(queue)).length === 0);
      await fixture.standIn.put(queue, body(2));
      expect(numbersOf((await second)!.deliveries)).toEqual([2]);
      await end(reader);
      await waitFor(
        "the second to be back",
        async () => (await fixture.standIn.messages(queue))[0]?.isHidden === false,
      );
    });

    it("after a nack messages come alone, so that only the count of the one at fault goes on rising", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, ...range(0, 4).map((n) => body(n)));
      const reader = read(queue);
      const refused = await reader.next();
      expect(numbersOf(refused!.deliveries)).toEqual([0, 1, 2, 3]);
      await refused!.nack(new Error("the log is away"));
      const sizes: number[] = [];
      for (const n of [0, 1, 2, 3]) {
        const batch = await reader.next();
        sizes.push(batch!.deliveries.length);
        expect(numbersOf(batch!.deliveries)).toEqual([n]);
        if (n === 1) {
          await batch!.nack(new Error("this one"));
          const again = await reader.next();
          expect(numbersOf(again!.deliveries)).toEqual([1]);
          const rest = (await fixture.standIn.messages(queue)).map(({ backoutCount }) => backoutCount);
          expect(rest).toEqual([2, 1, 1]);
          await again!.ack();
        } else {
          await batch!.ack();
        }
      }
      expect(sizes).toEqual([1, 1, 1, 1]);
      // Fresh ones come together again.
      await fixture.standIn.put(queue, ...range(4, 8).map((n) => body(n)));
      expect(numbersOf((await reader.next())!.deliveries)).toEqual([4, 5, 6, 7]);
    });

    it("in doubt: a commit that was done and not answered ends the iteration, and nothing comes again", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, body(1));
      const reader = read(queue);
      const batch = await reader.next();
      await fixture.standIn.inject({ verb: "MQCMIT", action: "break-after" });
      await batch!.ack();
      const error = await errorOf(reader.next());
      expect(error.retryable).toBe(true);
      expect(error.message).toContain("2009");
      expect(await fixture.standIn.messages(queue)).toEqual([]);
    });

    it("in doubt: a commit that was neither done nor answered brings the messages again, with their ids", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, body(1), body(2));
      const reader = read(queue);
      const batch = await reader.next();
      await fixture.standIn.inject({ verb: "MQCMIT", action: "break-before" });
      await batch!.ack();
      expect((await errorOf(reader.next())).retryable).toBe(true);
      const again = await read(queue).take(2);
      expect(idsOf(again)).toEqual(idsOf(batch!.deliveries));
    });

    it("a unit of work that the queue manager backed out (2003) brings its messages again", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, body(1));
      const reader = read(queue);
      const batch = await reader.next();
      await fixture.standIn.inject({ verb: "MQCMIT", action: "fail", reason: 2003 });
      await batch!.ack();
      expect((await errorOf(reader.next())).message).toContain("2003");
      expect(numbersOf(await read(queue).take(1))).toEqual([1]);
    });
  });

  describe("backout", () => {
    /** Reads and refuses until the first message has been backed out so often. */
    const wearOut = async (queue: string, times: number) => {
      const reader = read(queue);
      for (let n = 0; n < times; n++) await (await reader.next())!.nack(new Error("again"));
      return reader;
    };

    it("at the threshold a message goes to the backout queue, with its id and properties, and those behind it come", async () => {
      const backout = await fixture.define();
      const queue = await fixture.define(`BOTHRESH(2) BOQNAME(${backout})`);
      await fixture.standIn.putWith({ queue, properties: { companyid: "acme" } }, '{"n":0}');
      const [poison] = await fixture.standIn.messages(queue);
      const { source, lines } = open(queue);
      const reader = readFrom(source);
      for (const _ of [1, 2]) await (await reader.next())!.nack(new Error("again"));
      await fixture.standIn.put(queue, body(1));
      expect(numbersOf(await reader.take(1))).toEqual([1]);
      const [moved] = await fixture.standIn.messages(backout);
      expect(moved).toMatchObject({
        ...{ msgId: poison!.msgId, body: poison!.body, isHidden: false },
      });
      expect(moved!.properties).toEqual({ companyid: "acme" });
      expect(lines).toContainEqual(
        expect.objectContaining({
          level: "warn",
          fields: expect.objectContaining({ to: backout, backoutCount: 2 }),
        }),
      );
      await waitFor("the commit", async () => (await fixture.standIn.messages(queue)).length === 0);
    });

    it("of the project's own queues: the backed-out message keeps who put it", async () => {
      await fixture.standIn.put("ORDERS.IN", body(0));
      const [copy] = await fixture.standIn.messages("PROMO.FEED");
      const reader = await wearOut("PROMO.FEED", 20);
      await fixture.standIn.put("ORDERS.IN", body(1));
      expect(numbersOf(await reader.take(1))).toEqual([1]);
      expect(await fixture.standIn.messages("PROMO.FEED.BACKOUT")).toEqual([
        expect.objectContaining({ msgId: copy!.msgId, user: copy!.user, applName: copy!.applName }),
      ]);
    });

    it("moved in the unit of work: a message moved in the middle of a batch is on one queue only, ack or not", async () => {
      const backout = await fixture.define();
      const queue = await fixture.define(`BOTHRESH(1) BOQNAME(${backout}) MSGDLVSQ(PRIORITY)`);
      await fixture.standIn.putWith({ queue, priority: 1 }, body(0));
      await end(await wearOut(queue, 1));
      await fixture.standIn.putWith({ queue, priority: 9 }, body(1));
      const reader = read(queue);
      const batch = await reader.next();
      // The worn one was got behind it, in the same unit of work.
      expect(numbersOf(batch!.deliveries)).toEqual([1]);
      await batch!.nack(new Error("no"));
      await waitFor("both to be back", async () => (await fixture.standIn.depth(queue)) === 2);
      expect(await fixture.standIn.messages(backout)).toEqual([]);
    });

    it("without a backout queue it is a dead letter", async () => {
      const queue = await fixture.define("BOTHRESH(1)");
      await fixture.standIn.put(queue, body(0), body(1));
      const reader = await wearOut(queue, 1);
      const deliveries = await reader.take(2);
      expect(reasonsOf(deliveries)).toEqual([
        expect.stringMatching(
          /backed out 1 times, expected fewer than the 1 of BOTHRESH \(there is no BOQNAME\)/,
        ),
        expect.stringContaining("BOTHRESH"),
      ]);
      await waitFor("the commit", async () => (await fixture.standIn.messages(queue)).length === 0);
    });

    it("a backout queue that does not take it (missing, full, no right): a dead letter, and nothing is stuck", async () => {
      const full = await fixture.define("MAXDEPTH(1)");
      await fixture.standIn.put(full, "there");
      for (const [backout, reason] of [
        ["NO.SUCH.QUEUE", "2085"],
        [full, "2053"],
        ["APP.TXN.IN", "2035"],
      ] as const) {
        const queue = await fixture.define(`BOTHRESH(1) BOQNAME(${backout})`);
        await fixture.standIn.put(queue, body(0));
        const reader = await wearOut(queue, 1);
        expect(reasonsOf(await reader.take(1))).toEqual([
          expect.stringContaining(`${backout} did not take it: ${reason}`),
        ]);
      }
    });
  });

  describe("lost connections and processes", () => {
    it.each(["quiescing", "stopping"] as const)(
      "a queue manager that is %s: retryable, and read again after",
      async (how) => {
        const queue = await fixture.define();
        const { source, seen } = open(queue);
        const reader = readFrom(source);
        const first = errorOf(reader.next());
        await waitFor("the connection", () => seen.connected === 1);
        await fixture.standIn.quiesce(how);
        const error = await first;
        expect(error.retryable).toBe(true);
        expect(error.message).toMatch(/216[12]/);
        await fixture.standIn.restart();
        await fixture.standIn.put(queue, body(1));
        expect(numbersOf(await read(queue).take(1))).toEqual([1]);
      },
    );

    it("a queue manager that is quiescing: the batch in hand is committed", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, body(1));
      const reader = read(queue);
      const batch = await reader.next();
      await fixture.standIn.quiesce();
      await batch!.ack();
      expect((await errorOf(reader.next())).message).toContain("2161");
      await fixture.standIn.restart();
      expect(await fixture.standIn.messages(queue)).toEqual([]);
    });

    it("kill -9 of the process that holds the connection: retryable, and what it held comes again", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, body(1));
      const { source } = open(queue);
      const reader = readFrom(source);
      const children = await childrenOf(process.pid);
      const batch = await reader.next();
      const [child] = (await childrenOf(process.pid)).filter((pid) => !children.includes(pid));
      process.kill(child!, "SIGKILL");
      await batch!.ack();
      const error = await errorOf(reader.next());
      expect(error.retryable).toBe(true);
      expect(error.message).toContain("SIGKILL");
      expect(idsOf(await read(queue).take(1))).toEqual(idsOf(batch!.deliveries));
    });

    it("Ctrl-C reaches the process too, and does not end it", async () => {
      const queue = await fixture.define();
      const children = await childrenOf(process.pid);
      const reader = read(queue);
      await fixture.standIn.put(queue, body(1));
      const batch = await reader.next();
      const [child] = (await childrenOf(process.pid)).filter((pid) => !children.includes(pid));
      for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.kill(child!, signal);
      await batch!.ack();
      await fixture.standIn.put(queue, body(2));
      expect(numbersOf(await reader.take(1))).toEqual([2]);
    });

    it("abort: a queue manager that takes the connection and says nothing holds nobody up", async () => {
      const { createServer } = await import("node:net");
      const server = createServer().listen(0, "127.0.0.1");
      try {
        await waitFor("the port", () => server.listening);
        const { port } = server.address() as { port: number };
        const reader = read("AUDIT.TXN", { port });
        const next = reader.next();
        await waitFor("the connection", async () => {
          const { promise, resolve } = Promise.withResolvers<number>();
          server.getConnections((_, count) => resolve(count));
          return (await promise) === 1;
        });
        const before = performance.now();
        reader.abort();
        expect(await next).toBeUndefined();
        expect(performance.now() - before).toBeLessThan(4000);
      } finally {
        server.close();
      }
    });

    it("a reader that is going is outlasted: what it held comes first", async () => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, body(1), body(2));
      const old = read(queue);
      await old.next();
      await fixture.standIn.put(queue, body(3));
      const { source, seen } = open(queue);
      const reader = readFrom(source);
      const deliveries = reader.take(3);
      await waitFor("both to be connected", async () => (await connectionsOf(fixture.standIn, queue)) === 2);
      expect(seen.connected).toBe(0);
      old.abort();
      await old.next();
      expect(numbersOf(await deliveries)).toEqual([1, 2, 3]);
    });

    it("two readers that stay share the queue: every message goes to one", async () => {
      const queue = await fixture.define();
      const readers = [open(queue), open(queue)].map(({ source, seen }) => ({
        seen,
        reader: readFrom(source),
      }));
      const numbers: number[] = [];
      const all = readers.map(async ({ reader }) => {
        for (let batch = await reader.next(); batch; batch = await reader.next()) {
          numbers.push(...numbersOf(batch.deliveries));
          await batch.ack();
        }
      });
      await waitFor("both", () => readers.every(({ seen }) => seen.connected === 1));
      for (const n of range(0, 50)) await fixture.standIn.put(queue, body(n));
      await waitFor("all of them", () => numbers.length >= 50);
      for (const { reader } of readers) reader.abort();
      await Promise.all(all);
      expect(numbers.sort((a, b) => a - b)).toEqual(range(0, 50));
    });
  });

  describe("ways to connect", () => {
    const reads = async (options: object) => {
      const queue = await fixture.define();
      await fixture.standIn.put(queue, body(1));
      expect(numbersOf(await read(queue, options).take(1))).toEqual([1]);
    };
    const file = (name: string, text: string) => {
      const folder = mkdtempSync(join(tmpdir(), "millrace-ibm-mq-"));
      onTestFinished(() => rmSync(folder, { recursive: true }));
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };

    it("a password file, with a line break at its end", async () => {
      await reads({ password: "wrong", passwordFile: file("password", `${BRIDGE.password}\n`) });
    });

    it("a client channel definition table", async () => {
      const { host, port } = fixture.standIn;
      const channel = {
        ...{ name: BRIDGE.channel, type: "clientConnection" },
        clientConnection: { connection: [{ host, port }], queueManager: "QM1" },
      };
      const ccdt = file("ccdt.json", JSON.stringify({ channel: [channel] }));
      await reads({ host: undefined, ccdt });
    });

    it("TLS: cipher and key repository reach the client library", async () => {
      const cipher = (name: string) =>
        fixture.standIn.run(`ALTER CHANNEL(MILLRACE.BRIDGE) CHLTYPE(SVRCONN) SSLCIPH('${name}')`);
      onTestFinished(async () => void (await cipher("")));
      expect(await cipher("ANY_TLS12_OR_HIGHER")).toMatchObject([{ isOk: true }]);
      await reads({ tlsCipher: "ANY_TLS12_OR_HIGHER", tlsKeyRepository: "/k.p12", tlsKeyPassword: "k" });
      const error = await errorOf(read("AUDIT.TXN").next());
      expect([error.code, error.message]).toEqual([
        "invalid-settings",
        expect.stringContaining("MQ_TLS_CIPHER"),
      ]);
    });
  });

  describe("what an operator is told", () => {
    const refused = async (queue: string, options: object) => await errorOf(read(queue, options).next());

    it.each([
      [
        "a wrong password",
        { password: "hunter2" },
        "unauthorized",
        /2035 .*channel "MILLRACE.BRIDGE".*user "mrbridge".*MQ_PASSWORD\) to be right.*CHLAUTH.*SET AUTHREC/,
      ],
      ["no password", { password: undefined }, "unauthorized", /2035 .*none was given/],
      ["another queue manager", { queueManager: "QM9" }, "invalid-settings", /2058 .*"QM9".*MQ_QMGR/],
      ["another channel", { channel: "NO.SUCH" }, "invalid-settings", /2540 .*"NO.SUCH".*MQ_CHANNEL/],
      ["nobody there", { port: 1 }, "unavailable", /2538 .*port 1 .*MQ_HOST, MQ_PORT/],
      [
        "a cipher where the channel has none",
        { tlsCipher: "ANY_TLS12_OR_HIGHER", tlsKeyRepository: "/k" },
        "invalid-settings",
        /2393 .*MQ_TLS_CIPHER/,
      ],
      [
        "a channel table that is not there",
        { host: undefined, ccdt: "/no/such/ccdt.json" },
        "invalid-settings",
        /2600 .*\/no\/such\/ccdt.json.*MQ_CCDT/,
      ],
      ["a port behind the host", { host: "mq:1414" }, "invalid-settings", /"mq:1414".*MQ_PORT/],
      [
        "a password file that is not there",
        { passwordFile: "/no/such/file" },
        "invalid-settings",
        /password file "\/no\/such\/file"/,
      ],
    ])("%s", async (_, options, code, text) => {
      const error = await refused("AUDIT.TXN", options);
      expect(error.message).toMatch(text);
      expect(error.code).toBe(code);
      expect(error.message).not.toContain("hunter2");
    });

    it("a queue that does not exist: run the MQSC", async () => {
      const error = await refused("NO.SUCH.QUEUE", {});
      expect(error.code).toBe("invalid-settings");
      expect(error.message).toMatch(/open queue "NO.SUCH.QUEUE".*2085 .*infra\/mq\/configure.sh/);
    });

    it("a queue that may not be read: the right that is missing", async () => {
      const error = await refused("APP.TXN.IN", {});
      expect(error.code).toBe("forbidden");
      expect(error.message).toMatch(
        /2035 .*expected a stream queue, .*is it one\?.*STREAMQ EQ 'APP.TXN.IN'.*SET AUTHREC PROFILE\('APP.TXN.IN'\).*AUTHADD\(GET,INQ\)/,
      );
    });

    it("a queue with a stream queue of its own is an application's: refused before anything is taken", async () => {
      const queue = await fixture.define("STREAMQ(AUDIT.TXN)");
      await fixture.standIn.put(queue, body(1));
      const error = await refused(queue, {});
      expect(error.code).toBe("invalid-settings");
      expect(error.message).toMatch(/its application's, expected that stream queue, "AUDIT.TXN"/);
      expect(await fixture.standIn.depth(queue)).toBe(1);
    });

    it("IBM's client is not there: what to get and where to put it", async () => {
      process.env.LD_LIBRARY_PATH = "/no/such/folder";
      const error = await refused("AUDIT.TXN", {});
      expect(error.code).toBe("invalid-settings");
      expect(error.message).toMatch(/libmqm_r.so.*redistributable client.*\/opt\/mqm/);
    });

    it("lag: messages on the queue, while one waits and while a batch is held; undefined while not connected", async () => {
      const queue = await fixture.define();
      const { source, seen } = open(queue, { batchMessages: 50 });
      expect(await source.lag!()).toBeUndefined();
      const reader = readFrom(source);
      const first = reader.next();
      await waitFor("the connection", () => seen.connected === 1);
      expect(await source.lag!()).toBe(0);
      await fixture.standIn.put(queue, ...range(0, 60).map((n) => body(n)));
      const batch = await first;
      expect(await source.lag!()).toBe(60 - batch!.deliveries.length);
      await batch!.ack();
      reader.abort();
      await reader.next();
      expect(await source.lag!()).toBeUndefined();
    });

    it("probe: one line of what is there, and nothing is taken", async () => {
      const backout = await fixture.define();
      const queue = await fixture.define(`BOTHRESH(3) BOQNAME(${backout})`);
      await fixture.standIn.put(queue, body(1));
      const line = await probeIbmMq(configOf(queue), AbortSignal.timeout(10_000));
      expect(line).toMatch(
        new RegExp(`QM1 answers, queue "${queue}" holds 1 message, backout at 3 to ${backout}$`),
      );
      expect(await fixture.standIn.messages(queue)).toMatchObject([{ isHidden: false, backoutCount: 0 }]);
      const wrong = { ...configOf(queue), password: "wrong" };
      expect((await errorOf(probeIbmMq(wrong, AbortSignal.timeout(10_000)))).code).toBe("unauthorized");
    });
  });

  function configOf(queue: string): IbmMqConfig {
    const { host, port } = fixture.standIn;
    const config = parseBridgeConfig(`sources: [{ name: test, kind: ibm-mq, queue: ${queue} }]`, {
      ...{ MQ_HOST: host, MQ_PORT: port, MQ_QMGR: "QM1", MQ_CHANNEL: BRIDGE.channel },
      ...{ MQ_USER: BRIDGE.user, MQ_PASSWORD: BRIDGE.password },
    });
    return config.sources[0] as IbmMqConfig;
  }
});

/** Processes started by this one and still there. */
async function childrenOf(pid: number): Promise<number[]> {
  const { readFile } = await import("node:fs/promises");
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  return text.split(" ").filter(Boolean).map(Number);
}
