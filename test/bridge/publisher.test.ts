/** What createPublisher does before a broker is asked, and without one. */
import { type Context, context, propagation, type TextMapPropagator } from "@opentelemetry/api";
import { Registry } from "prom-client";
import { afterEach, describe, expect, it } from "vitest";
import { buildMessage } from "../../bridge/publisher/message.ts";
import { createPublisher, type PublisherOptions } from "../../bridge/publisher/publisher.ts";
import { recordingLogger } from "../support/logger.ts";
import { freePort } from "../support/process.ts";

const KEY = "orders.order.created";

async function open(options: Partial<PublisherOptions> = {}) {
  const logger = recordingLogger();
  const registry = new Registry();
  const publisher = createPublisher({
    ...{ amqpUrl: `amqp://user:secret@127.0.0.1:${await freePort()}`, appId: "shop", logger, registry },
    ...options,
  });
  return { publisher, logger, registry, [Symbol.asyncDispose]: () => publisher.close() };
}

describe("publish, whatever the reliability", () => {
  it.each([
    [
      "two segments",
      "orders.created",
      {},
      {},
      /routing key "orders.created": expected <domain>.<entity>.<action>/,
    ],
    ["four segments", "a.b.c.d", {}, {}, /expected <domain>/],
    ["capitals", "Orders.order.created", {}, {}, /expected <domain>/],
    ["version 0", `${KEY}.v0`, {}, {}, /expected <domain>/],
    ["a wildcard", "orders.#.created", {}, {}, /expected <domain>/],
    ["a long key", `a.b.${"c".repeat(252)}`, {}, {}, /256 bytes, expected at most 255/],
    ["a payload that is a list", KEY, [], {}, /payload: an array, expected a JSON object/],
    ["a payload that is null", KEY, null, {}, /payload: null, expected a JSON object/],
    [
      "a payload over 128 KiB",
      KEY,
      { x: "y".repeat(128 * 1024) },
      {},
      /bytes of JSON, expected at most 131072/,
    ],
    ["a payload that is no JSON", KEY, { x: 1n }, {}, /BigInt.*expected one that can be JSON/],
    ["a ts that is no time", KEY, { ts: "yesterday" }, {}, /payload.ts: "yesterday", expected/],
    ["an empty id", KEY, {}, { messageId: "" }, /messageId: "", expected 1-255 bytes/],
    ["an id over 255 bytes", KEY, {}, { messageId: "é".repeat(128) }, /messageId: .*expected 1-255 bytes/],
    ["an id of two lines", KEY, {}, { messageId: "a\nb" }, /none of them a control character/],
    ["a timestamp that is none", KEY, {}, { timestamp: "soon" }, /timestamp: "soon", expected/],
    ["an expiration below 0", KEY, {}, { expiration: -1 }, /expiration: -1, expected whole milliseconds/],
    ["a header that is an object", KEY, {}, { headers: { a: {} } }, /header "a": an object, expected/],
    ["headers over 16 KiB", KEY, {}, { headers: { a: "b".repeat(17_000) } }, /headers too large, expected/],
  ])("throws for %s, at once and before anything is sent", async (_, key, payload, options, message) => {
    await using opened = await open({ reliability: "confirm" });
    expect(() => opened.publisher.publish(key, payload as never, options as never)).toThrow(message);
    expect(opened.publisher.health()).toMatchObject({ status: "idle", held: 0 });
    expect(await opened.registry.metrics()).toContain('events_publish_failed_total{reason="invalid"} 1');
  });

  it("throws what validate says, which sees the payload with its ts", async () => {
    await using opened = await open({
      validate(payload, routingKey) {
        if (typeof payload.ts !== "string") throw new Error("no ts");
        throw new Error(`not for ${routingKey}`);
      },
    });
    expect(() => opened.publisher.publish(KEY, {})).toThrow(
      `Cannot publish "${KEY}": payload: not for ${KEY}, expected one that validate takes`,
    );
  });

  it("throws for a validate that answers later", async () => {
    await using opened = await open({ validate: async () => Promise.reject(new Error("late")) });
    expect(() => opened.publisher.publish(KEY, {})).toThrow(/validate returned a promise/);
  });
});

describe("buildMessage", () => {
  afterEach(() => propagation.disable());
  const build = (payload = {}, options = {}, defaults = {}) =>
    buildMessage(`${KEY}.v2`, payload, options, { messageDefaults: defaults });
  const bodyOf = ({ body }: { body: Uint8Array }) => JSON.parse(new TextDecoder().decode(body));

  it("fills in messageId, timestamp and ts", () => {
    const before = Date.now();
    const message = build({ total: 5 });
    const { ts, ...rest } = bodyOf(message);
    expect(rest).toEqual({ total: 5 });
    expect(Date.parse(ts)).toBeGreaterThanOrEqual(before);
    expect(message.messageId).toMatch(/^[0-9a-f-]{36}$/);
    expect(message.properties).toMatchObject({ isPersistent: true, headers: {} });
    expect(message.properties.timestampSeconds).toBe(Math.floor(Date.parse(ts) / 1000));
  });

  it("keeps the ts of the payload, and takes it from timestamp where there is none", () => {
    const ts = "2026-01-31T12:00:00Z";
    expect(bodyOf(build({ ts }, { timestamp: 1000 })).ts).toBe(ts);
    for (const timestamp of [new Date(1500), 1500, "1970-01-01T00:00:01.5Z"]) {
      const message = build({}, { timestamp });
      expect(bodyOf(message).ts).toBe("1970-01-01T00:00:01.500Z");
      expect(message.properties.timestampSeconds).toBe(1);
    }
  });

  it("lets the message's own options win over the defaults, header by header", () => {
    const defaults = { headers: { companyid: "acme", a: 1 }, expiration: 1000, persistent: false };
    expect(build({}, { headers: { a: 2 }, expiration: 5 }, defaults).properties).toMatchObject({
      ...{ headers: { companyid: "acme", a: 2 }, expirationMs: 5, isPersistent: false },
    });
  });

  it("puts the trace context into the headers where a propagator is registered, and nothing else", () => {
    expect(build().properties.headers).toEqual({});
    const propagator: TextMapPropagator = {
      inject: (_: Context, carrier, setter) => setter.set(carrier, "traceparent", "00-1-2-01"),
      extract: (given: Context) => given,
      fields: () => ["traceparent"],
    };
    propagation.setGlobalPropagator(propagator);
    context.with(context.active(), () => {
      expect(build().properties.headers).toEqual({ traceparent: "00-1-2-01" });
      expect(build({}, { headers: { traceparent: "mine" } }).properties.headers).toEqual({
        traceparent: "mine",
      });
    });
  });

  it("takes bytes and text of serialize", () => {
    for (const serialize of [() => '{"a":1}', () => new TextEncoder().encode('{"a":1}')]) {
      expect(bodyOf(buildMessage(KEY, {}, {}, { serialize }))).toEqual({ a: 1 });
    }
    expect(() => buildMessage(KEY, {}, {}, { serialize: () => undefined as never })).toThrow(
      /neither a string/,
    );
  });
});

describe("createPublisher", () => {
  it.each([
    [{ amqpUrl: "http://user:secret@host" }, /amqpUrl: expected an amqp:\/\/ or amqps:\/\/ URL$/],
    [{ appId: "" }, /appId: "", expected/],
    [{ exchange: "a b" }, /exchange: "a b", expected/],
    [
      { reliability: "sometimes" as never },
      /reliability: "sometimes", expected best-effort, confirm, outbox/,
    ],
    [{ reliability: "outbox" as const }, /outbox: missing, expected a database/],
    [{ outbox: { database: {} as never } }, /outbox: given, expected/],
    [{ retry: { timeoutMs: 0 } }, /timeoutMs: 0, expected milliseconds/],
  ])("refuses %j", (options, message) => {
    expect(() => createPublisher({ amqpUrl: "amqp://host", appId: "shop", ...options })).toThrow(message);
  });

  it("shares the counters of a registry with other publishers", async () => {
    const registry = new Registry();
    await using one = await open({ registry });
    await using other = await open({ registry });
    for (const { publisher } of [one, other]) expect(() => publisher.publish("bad", {})).toThrow();
    expect(await registry.metrics()).toContain('events_publish_failed_total{reason="invalid"} 2');
  });
});

describe("a broker that is away", () => {
  it("best-effort: false and a log line, never an error, and no secret", async () => {
    await using opened = await open();
    const { publisher, logger, registry } = opened;
    expect(await publisher.publish(KEY, {}, { messageId: "m-1" })).toBe(false);
    // The first waits for the first connection, the next for nothing.
    expect(await publisher.publish(KEY, {}, { messageId: "m-2" })).toBe(false);
    expect(publisher.health()).toMatchObject({
      status: "down",
      held: 0,
      lastError: expect.stringMatching(/ECONNREFUSED/),
    });
    const lines = logger.lines.filter(({ message }) => message === "Message not published");
    expect(lines.map(({ fields }) => fields)).toEqual([
      expect.objectContaining({ routingKey: KEY, messageId: "m-1", reason: "away" }),
      expect.objectContaining({ routingKey: KEY, messageId: "m-2", reason: "away" }),
    ]);
    expect(JSON.stringify(logger.lines)).not.toContain("secret");
    expect(await registry.metrics()).toContain('events_publish_failed_total{reason="away"} 2');
  });

  it("confirm: rejects as unavailable when the time is over, saying why", async () => {
    await using opened = await open({ reliability: "confirm", retry: { timeoutMs: 200 } });
    await expect(opened.publisher.publish(KEY, {}, { messageId: "m-1" })).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(
        /^Cannot publish "orders.order.created" m-1: no connection within 200 ms: .*ECONNREFUSED/,
      ),
    });
    expect(opened.publisher.health().held).toBe(0);
  });

  it("holds no more than so many messages and so many bytes", async () => {
    await using opened = await open({ reliability: "confirm", retry: { timeoutMs: 30_000 } });
    const { publisher } = opened;
    const outcomes = Array.from({ length: 300 }, () =>
      publisher.publish(KEY, { x: "y".repeat(120_000) }).then(
        () => "sent",
        ({ message }) => (/wait for the broker, expected at most/.test(message) ? "full" : message),
      ),
    );
    const { held } = publisher.health();
    expect(held).toBeGreaterThan(200);
    expect(held).toBeLessThan(300);
    await publisher.close({ timeoutMs: 1 });
    const all = await Promise.all(outcomes);
    expect(all.filter((outcome) => outcome === "full")).toHaveLength(300 - held);
    expect(all.filter((outcome) => /was closed before/.test(outcome))).toHaveLength(held);
  });
});

describe("close", () => {
  it("is the end: best-effort says false, the others throw, health says closed", async () => {
    for (const reliability of ["best-effort", "confirm"] as const) {
      const { publisher } = await open({ reliability });
      await Promise.all([publisher.close(), publisher.close()]);
      expect(publisher.health().status).toBe("closed");
      const published = publisher.publish(KEY, {});
      if (reliability === "best-effort") expect(await published).toBe(false);
      else await expect(published).rejects.toThrow(/the publisher is closed/);
    }
  });
});
