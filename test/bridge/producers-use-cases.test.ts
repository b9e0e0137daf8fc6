/** Every use case of the demo producers: what it sends, and that the bridge makes the same of it whichever broker it came by. */
import { describe, expect, test } from "vitest";
import { defaultBridgeConfig } from "../../bridge/config/config.ts";
import { createDecode } from "../../bridge/decode.ts";
import { ROUTING_KEYS } from "../../bridge/producers/events.ts";
import { encodeBody, encodeCloudEvent, type Message } from "../../bridge/producers/message.ts";
import { USE_CASES, type UseCaseName } from "../../bridge/producers/use-cases.ts";
import { createSourceDecode } from "../../bridge/registry.ts";
import type { MillraceEvent } from "../../functions/core/event.ts";
import { OPERATIONS_COMPANY } from "../../functions/core/ids.ts";
import type { Decode } from "../../functions/ports/broker-source.ts";

const names = Object.keys(USE_CASES) as UseCaseName[];
const KINDS = {
  "ibm-mq": "ibm-mq",
  rabbitmq: "rabbitmq",
  nats: "nats",
  redis: "redis-pubsub",
  tcp: "framed-tcp",
};
const settings = {
  ...{ NATS_URL: "nats://h", REDIS_URL: "redis://h", AMQP_URL: "amqp://h", BROKER_ADDR: "h:1" },
  ...{ MQ_HOST: "h", MQ_PORT: 1414, MQ_QMGR: "QM1", MQ_CHANNEL: "C", MQ_USER: "app" },
};

function take(useCase: UseCaseName, count: number): Message[] {
  const companies = useCase === "services" ? [OPERATIONS_COMPANY] : ["acme", "globex"];
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  const messages = USE_CASES[useCase].generate({ companies, random });
  return Array.from({ length: count }, () => messages.next().value);
}

const eventOf = (decode: Decode, subject: string, body: Uint8Array, messageId?: string): MillraceEvent => {
  const decoded = decode({ subject, headers: {}, body, messageId });
  if ("undecodable" in decoded) throw new Error(decoded.undecodable.reason);
  return decoded.event;
};
const overTcp = (message: Message) =>
  eventOf(
    createDecode({ source: "/framed-tcp/test", rules: {}, lastResortId: "random" }),
    "",
    encodeCloudEvent(message),
  );

describe.each(names)("use case %s", (useCase) => {
  test("comes by its own broker as it comes by the framed-TCP broker: company, type, data, time", () => {
    const kind = KINDS[USE_CASES[useCase].broker];
    const source = defaultBridgeConfig(settings).sources.find((config) => config.kind === kind)!;
    const decode = createSourceDecode(source);
    for (const message of take(useCase, 500)) {
      // Telemetry has no broker but the framed-TCP one, whose messages have no subject.
      const body = useCase === "telemetry" ? encodeCloudEvent(message) : encodeBody(message);
      const { companyId, type, data, time } = eventOf(decode, message.subject, body, message.id);
      expect({ companyId, type, data, time }).toEqual(
        (({ companyId, type, data, time }) => ({ companyId, type, data, time }))(overTcp(message)),
      );
    }
  });

  test("has an id a message, and says when in ts", () => {
    const messages = take(useCase, 300);
    expect(new Set(messages.map(({ id }) => id)).size).toBe(300);
    for (const { body, time } of messages) expect(body.ts ?? body.timestamp).toBe(time);
  });
});

const bodies = (useCase: UseCaseName, count = 200) => take(useCase, count).map(({ body }) => body);
const types = (useCase: UseCaseName, count = 500) =>
  new Set(take(useCase, count).map((message) => overTcp(message).type as string));

test("the business' messages have the fields its applications give them, and the stream queues' types", () => {
  const text = expect.any(String);
  const number = expect.any(Number);
  const companyId = expect.stringMatching(/^(acme|globex)$/);
  for (const body of bodies("audit")) {
    expect(body).toEqual({
      ...{ companyId, txn_id: text, account: text, amount: number, currency: text, ts: text, merchant: text },
    });
  }
  for (const body of bodies("ecom")) {
    const { items, total } = body as { items: { quantity: number; price: number }[]; total: number };
    expect(body).toEqual({
      ...{ companyId, order_id: text, customer_id: text, items, total, ts: text },
      promo_opt_in: expect.any(Boolean),
    });
    expect(total).toBeCloseTo(items.reduce((sum, { quantity, price }) => sum + quantity * price, 0));
  }
  for (const body of bodies("retail")) {
    expect(body).toEqual({ companyId, sku: text, delta: number, store: text, ts: text });
    expect(body.delta).not.toBe(0);
  }
  expect([types("audit"), types("ecom"), types("retail")]).toEqual([
    new Set(["audit.txn"]),
    new Set(["promo.feed"]),
    new Set(["central.sync"]),
  ]);
});

test("events: about fifty routing keys a publisher takes, each one's type itself", () => {
  expect(ROUTING_KEYS.length).toBeGreaterThanOrEqual(45);
  for (const key of ROUTING_KEYS) expect(key).toMatch(/^[a-z]+\.[a-z]+\.[a-z]+$/);
  expect(ROUTING_KEYS).toEqual(
    expect.arrayContaining([
      "auth.user.login",
      "auth.user.failed",
      "media.image.uploaded",
      "billing.invoice.paid",
    ]),
  );
  expect(types("events", 5000)).toEqual(new Set(ROUTING_KEYS));
});

describe("services", () => {
  const messages = take("services", 600);

  test("are the operator's, and their bodies name no company", () => {
    expect(new Set(messages.map(({ companyId }) => companyId))).toEqual(new Set([OPERATIONS_COMPANY]));
    for (const { body } of messages) expect(body).not.toHaveProperty("companyId");
  });

  test("say their status on service:all and their lines on logs:<service>", () => {
    const bySubject = Map.groupBy(messages, ({ subject }) => subject);
    const services = ["balance-sync", "account-discovery", "account-enrichment", "sms"];
    expect([...bySubject.keys()].sort()).toEqual(
      ["service:all", ...services.map((name) => `logs:${name}`)].sort(),
    );
    const statuses = bySubject.get("service:all")!.map(({ body }) => body);
    expect(new Set(statuses.map(({ service }) => service))).toEqual(new Set(services));
    for (const status of statuses) {
      expect(status).toMatchObject({
        ...{ state: expect.stringMatching(/^(running|idle)$/), queueSize: expect.any(Number) },
        ...{ processed: expect.any(Number), interval: expect.any(Number) },
        ...{ lastRun: status.ts, ts: expect.any(String) },
      });
      expect(status.queueSize).toBeGreaterThanOrEqual(0);
    }
    const { sms } = statuses.findLast(({ service }) => service === "sms") as Record<
      string,
      Record<string, number>
    >;
    expect(sms!.sent).toBe(sms!.delivered! + sms!.failed!);
    const lines = messages.filter(({ subject }) => subject.startsWith("logs:"));
    for (const { subject, body } of lines) {
      const { service, level, ts, message, ...rest } = body;
      expect(subject).toBe(`logs:${service}`);
      expect(["debug", "info", "warn", "error"]).toContain(level);
      expect([typeof ts, typeof message, rest]).toEqual(["string", "string", {}]);
      expect(message).not.toContain("{");
    }
  });
});
