/** Messages that are no events, and frames that are no frames: a reason for each, and the next message unharmed. */
import { once } from "node:events";
import { type AddressInfo, connect as connectTcp, createServer } from "node:net";
import { connect, headers } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { encodeFrame } from "../../bridge/broker/framing.ts";
import { missing, startNats, startRedis } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { expectAll, upTo } from "./lib/compare.ts";
import { idOf, message, openFramedTcp } from "./lib/load.ts";
import { framedTcpSource, mintToken, startBridge, startBroker, startServe } from "./lib/millrace.ts";
import { openReader } from "./lib/reader.ts";
import { deadLetters } from "./lib/redis.ts";

const noRedis = missing("redis-server");
const noServer = noRedis ?? missing("nats-server");

const EVIL = "\n\nevent: evil\nid: evil\ndata: evil\n\n";
const json = (value: object) => JSON.stringify(value);
const acme = (more: object) => json({ companyId: "acme", ...more });
const cloudEvent = (more: object) =>
  json({
    ...{ specversion: "1.0", id: "1", source: "/s", type: "t", companyid: "acme", data: { n: -1 } },
    ...more,
  });

/** What is sent, and what its dead letter must say. */
const BAD: readonly (readonly [name: string, body: string | Uint8Array, reason: RegExp])[] = [
  ["half a JSON object", '{"companyId":"acme"', /data: not JSON/],
  ["text", "evil", /data: not JSON/],
  ["text with line breaks", EVIL, /data: not JSON/],
  ["no UTF-8", Uint8Array.of(0x22, 0xc3, 0x28, 0x22), /not UTF-8/],
  ["JSON with a byte behind it", `${acme({})}\0`, /not JSON/],
  ["no company", json({ n: -1 }), /companyId: no company/],
  ["a JSON value that is no object", "17", /companyId: no company/],
  ["an empty company", json({ companyId: "" }), /companyId/],
  ["a company that is an object", json({ companyId: { evil: 1 } }), /companyId/],
  ["a company that is a number", json({ companyId: 5 }), /companyId/],
  ["a company of 65 characters", json({ companyId: "c".repeat(65) }), /companyId/],
  ["a company with line breaks", json({ companyId: `acme${EVIL}` }), /companyId/],
  ["a company with a carriage return", json({ companyId: "acme\revent: evil" }), /companyId/],
  ["a company with a Redis tag", json({ companyId: "{acme}:x" }), /companyId/],
  ["a type with line breaks", acme({ type: `t${EVIL}` }), /type/],
  ["a type with a carriage return", acme({ type: "t\rdata: evil" }), /type/],
  ["a type of 65 characters", acme({ type: "t".repeat(65) }), /type/],
  ["a type of the stream's own", acme({ type: "gap" }), /type/],
  ["an id with line breaks", acme({ messageId: `i${EVIL}` }), /event id/],
  ["an id with U+0000", acme({ messageId: "i\0" }), /event id/],
  ["an id with half a surrogate pair", `{"companyId":"acme","messageId":"i\\ud800"}`, /event id/],
  ["an id of 257 characters", acme({ messageId: "i".repeat(257) }), /event id/],
  ["a CloudEvent of two companies", cloudEvent({ data: { companyId: "globex" } }), /data\.companyId/],
  ["a CloudEvent without an id", cloudEvent({ id: undefined }), /event id/],
  ["a CloudEvent whose source has line breaks", cloudEvent({ source: `/s${EVIL}` }), /source/],
  ["a CloudEvent whose subject has line breaks", cloudEvent({ subject: `s${EVIL}` }), /subject/],
  ["a CloudEvent whose time is none", cloudEvent({ time: `2026-01-01${EVIL}` }), /time/],
  ["a payload over 128 KiB", acme({ pad: "x".repeat(128 * 1024) }), /over 131072 bytes/],
  ["a frame of 1 MiB", acme({ pad: "x".repeat(1024 * 1024 - 30) }).slice(0, 1024 * 1024), /data/],
];

/** Good, and made to look bad: `n` is in its place. */
const TRICKY: readonly ((n: number) => string)[] = [
  (n) => `{\n"companyId":"acme",\r\n\r\n"n":${n},\r"messageId":"${idOf(n)}"\n\n}`,
  (n) => acme({ n, messageId: idOf(n), text: EVIL }),
  (n) => acme({ n, messageId: idOf(n), text: "\r\revent: evil\r\r", "\n\ndata: evil": 1 }),
  (n) => acme({ n, messageId: idOf(n), text: "\u2028data: evil\u2029\u0085\u001e" }),
  (n) => `\n\n${acme({ n, messageId: idOf(n) })}\r\n\r\n`,
];

describe("bad messages", { timeout: 60_000 }, () => {
  it("framed TCP: each is a dead letter with its reason and body, none is a frame, the next one arrives", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    const client = await openFramedTcp(broker.port);
    await using serve = await startServe({ REDIS_URL: redis.url });
    const source = { ...framedTcpSource(broker.port), type: [{ field: "type" }, { value: "t" }] };
    await using bridge = await startBridge(redis.url, [source]);
    using reader = openReader({ urls: [serve.url], company: "acme", token: await mintToken("acme") });
    using globex = openReader({ urls: [serve.url], company: "globex", token: await mintToken("globex") });
    await Promise.all([reader.opened(), globex.opened()]);
    await using raw = await openRawProducer(broker.port);
    let n = 0;
    for (const [, body] of BAD) {
      raw.send(typeof body === "string" ? Buffer.from(body) : body);
      raw.send(Buffer.from(message("acme", ++n).body));
    }
    for (const tricky of TRICKY) raw.send(Buffer.from(tricky(++n)));
    await expectAll(reader, upTo(n));
    await client.send([message("globex", 1)]);
    await expectAll(globex, [1]);
    await client[Symbol.asyncDispose]();

    const letters = await deadLetters(redis.url);
    for (const [index, [name, body, reason]] of BAD.entries()) {
      const letter = letters[index]!;
      expect({ name, reason: letter.reason, source: letter.source }).toEqual({
        ...{ name, reason: expect.stringMatching(reason), source: "tcp" },
      });
      expect(Buffer.from(letter.bodyBase64, "base64").equals(Buffer.from(body as string))).toBe(true);
      // A reason is one line, whatever it quotes.
      expect(letter.reason).not.toMatch(/[\r\n]/);
    }
    expect(letters).toHaveLength(BAD.length);
    expect(bridge.output()).not.toMatch(/^event: evil/m);
  });

  it("NATS: headers cannot forge a company, a type or an id; over the server's limit nothing is sent", async (context) => {
    if (noServer) context.skip(noServer);
    await using redis = await startRedis();
    await using nats = await startNats();
    await using serve = await startServe({ REDIS_URL: redis.url });
    const source = { name: "core", kind: "nats", url: nats.url, subjects: [">"] };
    await using _bridge = await startBridge(redis.url, [source]);
    using reader = openReader({ urls: [serve.url], company: "acme", token: await mintToken("acme") });
    await reader.opened();
    const connection = await connect({ servers: nats.url });
    const encoded = encodeURIComponent(EVIL);
    const ce = { "ce-id": "1", "ce-source": "/s", "ce-type": "t", "ce-companyid": "acme" };
    const bad: [subject: string, fields: Record<string, string>, body: string, reason: RegExp][] = [
      ["metrics.a", { companyid: "acme" }, json({ companyId: "globex" }), /data\.companyId/],
      ["metrics.a", { companyid: "ac me" }, "{}", /companyId/],
      ["metrics.a", { ...ce, "ce-companyid": `acme${encoded}` }, "{}", /companyId/],
      ["metrics.a", { ...ce, "ce-type": `t${encoded}` }, "{}", /type/],
      ["metrics.a", { ...ce, "ce-id": `i${encoded}` }, "{}", /event id/],
      ["metrics.a", { ...ce, "ce-subject": `s${encoded}` }, "{}", /subject/],
      ["metrics.a", { ...ce, "ce-source": "%00" }, "{}", /source/],
      ["metrics.a", { "Nats-Msg-Id": "i".repeat(257), companyid: "acme" }, "{}", /event id/],
      ["metrics.a", { "content-type": "application/cloudevents+json" }, "{}", /specversion/],
      ["gap", {}, acme({}), /type/],
      ["Ünsinn", {}, acme({}), /type/],
      ["metrics.a", {}, acme({ pad: "x".repeat(128 * 1024) }), /over 131072 bytes/],
    ];
    let n = 0;
    for (const [subject, fields, body] of bad) {
      const own = headers();
      for (const [name, value] of Object.entries(fields)) own.set(name, value);
      connection.publish(subject, body, { headers: own });
      connection.publish("metrics.calculated", message("acme", ++n).body);
    }
    expect(() => connection.publish("metrics.a", new Uint8Array(1024 * 1024 + 1))).toThrow(/payload/i);
    connection.publish("metrics.calculated", message("acme", ++n).body);
    await connection.flush();
    await connection.close();
    await expectAll(reader, upTo(n));
    const letters = await deadLetters(redis.url);
    expect(letters.map(({ reason }) => reason)).toEqual(
      bad.map(([, , , reason]) => expect.stringMatching(reason)),
    );
    expect(letters.map(({ subject }) => subject)).toEqual(bad.map(([subject]) => subject));
  });
});

describe("bad frames", { timeout: 60_000 }, () => {
  it("sent to the broker: that connection alone is closed, with its reason in the log", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    await using broker = await startBroker("queue");
    await using serve = await startServe({ REDIS_URL: redis.url });
    await using _bridge = await startBridge(redis.url, [framedTcpSource(broker.port)]);
    using reader = openReader({ urls: [serve.url], company: "acme", token: await mintToken("acme") });
    await reader.opened();
    const good = await openFramedTcp(broker.port);
    const frame = (n: number) => encodeFrame(Buffer.from(message("acme", n).body));
    const hello = Buffer.from("PRODUCER\n");
    // What came whole before the bad frame counts: those have a number.
    const cases: [bytes: Uint8Array[], accepted: number, reason: string][] = [
      [[hello, frame(1), Buffer.alloc(4)], 1, 'frame of length \\"0\\"'],
      [[hello, frame(3), Buffer.of(0, 16, 0, 1)], 1, 'frame of length \\"1048577\\"'],
      [[hello, Buffer.of(255, 255, 255, 255)], 0, 'frame of length \\"4294967295\\"'],
      [[Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n")], 0, "Cannot read handshake"],
      [[Buffer.from("producer\n"), frame(-1)], 0, "Cannot read handshake"],
      [[Buffer.from("\n")], 0, "Cannot read handshake"],
      [[Buffer.alloc(100_000, 0x41)], 0, "Cannot read handshake"],
      [[Buffer.from(`PRODUCER${EVIL}`)], 0, "frame of length"],
    ];
    let n = 0;
    for (const [bytes, accepted, reason] of cases) {
      const before = broker.output().split(reason).length;
      const socket = connectTcp(broker.port, "127.0.0.1");
      socket.on("error", () => {}).resume();
      socket.write(Buffer.concat(bytes));
      await new Promise((resolve) => socket.once("close", resolve));
      n += accepted;
      await good.send([message("acme", ++n)]);
      await expectAll(reader, upTo(n));
      await waitFor("the reason to be logged", () => broker.output().split(reason).length > before);
    }
    await good[Symbol.asyncDispose]();
    expect(await deadLetters(redis.url)).toEqual([]);
    expect((await broker.stats()).consumers).toBe(1);
  });

  it("sent to the bridge: it says why, connects again, and what was whole is stored", async (context) => {
    if (noRedis) context.skip(noRedis);
    await using redis = await startRedis();
    const tails = [
      Buffer.alloc(4),
      Buffer.of(0, 16, 0, 1),
      Buffer.of(255, 0, 0, 0),
      Buffer.of(0, 0, 0, 9, 123),
    ];
    let taken = 0;
    const rogue = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => {
        const tail = tails[taken++];
        socket.write(encodeFrame(Buffer.from(message("acme", taken).body)));
        if (tail) socket.end(tail);
      });
    }).listen(0, "127.0.0.1");
    await once(rogue, "listening");
    try {
      await using serve = await startServe({ REDIS_URL: redis.url });
      using reader = openReader({ urls: [serve.url], company: "acme", token: await mintToken("acme") });
      await reader.opened();
      const source = framedTcpSource((rogue.address() as AddressInfo).port);
      await using bridge = await startBridge(redis.url, [source]);
      await expectAll(reader, upTo(tails.length + 1));
      await bridge.connected(tails.length + 1);
      expect(bridge.output()).toContain('Cannot read frame of length \\"0\\"');
      expect(await deadLetters(redis.url)).toEqual([]);
    } finally {
      rogue.close();
    }
  });
});

/** A producer that sends whatever it is given as a frame. */
async function openRawProducer(port: number): Promise<AsyncDisposable & { send(body: Uint8Array): void }> {
  const socket = connectTcp(port, "127.0.0.1").resume();
  await once(socket, "connect");
  socket.write("PRODUCER\n");
  return {
    send: (body) => void socket.write(encodeFrame(body)),
    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
}
