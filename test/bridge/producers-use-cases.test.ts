/** Every use case of the demo producers: what it sends, and that the bridge makes the same of it whichever broker it came by. */
import { describe, expect, test } from "vitest";
import { defaultBridgeConfig } from "../../bridge/config/config.ts";
import { createDecode } from "../../bridge/decode.ts";
import { ROUTING_KEYS } from "../../bridge/producers/events.ts";
import { encodeBody, encodeCloudEvent, type Message } from "../../bridge/producers/message.ts";
import { USE_CASES, type UseCaseName } from "../../bridge/producers/use-cases.ts";
import { createSourceDecode } from "../../bridge/registry.ts";
import { mendChannelData } from "../../bridge/service-channels.ts";
import { encodeRecord, type MillraceEvent } from "../../functions/core/event.ts";
import { type CompanyId, LOGS_COMPANY, OPERATIONS_COMPANY } from "../../functions/core/ids.ts";
import { parseServiceStatus } from "../../functions/core/service-status.ts";
import { readTicketEvent, type TicketNews, ticketEvent } from "../../functions/graphql/ticket-events.ts";
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

function randomOf(state: number): () => number {
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function take(useCase: UseCaseName, count: number): Message[] {
  const companies = useCase === "services" ? [OPERATIONS_COMPANY] : ["acme", "globex"];
  const messages = USE_CASES[useCase].generate({ companies, random: randomOf(1) });
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
      // Some have no broker but the framed-TCP one, whose messages have no subject.
      const body = kind === "framed-tcp" ? encodeCloudEvent(message) : encodeBody(message);
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

describe("tickets", () => {
  const messages = take("tickets", 2_000);
  const news = messages.map((message) => {
    const { type, source, data } = overTcp(message);
    const record = encodeRecord(overTcp(message));
    const read = readTicketEvent(record);
    if (read === undefined) throw new Error(`no news of a ticket: ${type} of ${source}, ${data}`);
    return { company: message.companyId!, ...read };
  });

  test("are events as the mutations of GraphQL store them", () => {
    for (const [at, { kind, company, ...data }] of news.entries()) {
      const { id, type, source, subject } = overTcp(messages[at]!);
      const own = ticketEvent(company as CompanyId, { kind, ...data } as TicketNews, id.split("/")[2]!);
      expect({ id, type, source, subject }).toEqual(
        (({ id, type, source, subject }) => ({ id, type, source, subject }))(own),
      );
    }
  });

  test("are few at a time, each created, talked over by two and closed in the end", () => {
    const open = new Map<string, { company: string; authors: Set<string | null> }>();
    let closed = 0;
    for (const one of news) {
      if (one.kind === "created") {
        open.set(one.ticket.id, { company: one.company, authors: new Set() });
      } else if (one.kind === "message") {
        open.get(one.message.ticketId)!.authors.add(one.message.author);
        expect(one.message.text).not.toMatch(/#|undefined/);
      } else if (one.ticket.status === "CLOSED") {
        expect(open.get(one.ticket.id)!.authors.size).toBe(2);
        open.delete(one.ticket.id);
        closed++;
      }
      for (const company of ["acme", "globex"]) {
        expect([...open.values()].filter((ticket) => ticket.company === company).length).toBeLessThan(5);
      }
    }
    expect(closed).toBeGreaterThan(150);
  });
});

describe("services", () => {
  /** Ten minutes of them, two messages a second. */
  const live = () => {
    let nowMs = Date.parse("2026-01-31T12:00:00Z");
    const messages = USE_CASES.services.generate({ random: randomOf(1), now: () => nowMs });
    return Array.from({ length: 1_200 }, () => {
      nowMs += 500;
      return messages.next().value;
    });
  };
  const messages = live();
  const names = ["balance-sync", "account-discovery", "account-enrichment", "sms"];
  const statuses = (name: string) =>
    messages.flatMap(({ subject, body }) =>
      subject === "service:all" && body.service === name ? [parseServiceStatus(body)!] : [],
    );

  test("are the operator's, lines apart from the rest, and their bodies name no company", () => {
    for (const { companyId, subject, body } of messages) {
      expect(companyId).toBe(subject === "service:all" ? OPERATIONS_COMPANY : LOGS_COMPANY);
      expect(body).not.toHaveProperty("companyId");
    }
  });

  test("say their status on service:all and their lines on logs:<service>, as they are stored", () => {
    const bySubject = Map.groupBy(messages, ({ subject }) => subject);
    expect([...bySubject.keys()].sort()).toEqual(
      ["service:all", ...names.map((name) => `logs:${name}`)].sort(),
    );
    for (const { subject, body } of messages) {
      expect(mendChannelData(JSON.stringify(body), subject)).toBe(JSON.stringify(body));
      if (subject === "service:all") continue;
      expect(subject).toBe(`logs:${body.service}`);
      expect(body.message).not.toMatch(/undefined|NaN|\[object/);
    }
  });

  test("have queues that fill and drain, progress, failures that pass, and run again", () => {
    for (const name of names) {
      const seen = statuses(name);
      expect(seen.length).toBeGreaterThan(15);
      expect(new Set(seen.map(({ queueSize }) => queueSize)).size).toBeGreaterThan(5);
      expect(new Set(seen.map(({ lastRun }) => lastRun)).size).toBeGreaterThan(5);
      expect(seen.map(({ processed }) => processed!)).toEqual(
        seen.map(({ processed }) => processed!).toSorted((a, b) => a - b),
      );
    }
    const states = (name: string) => statuses(name).map(({ state }) => state);
    for (const name of ["balance-sync", "account-enrichment"]) {
      expect(states(name).lastIndexOf("running")).toBeGreaterThan(states(name).indexOf("failed"));
      expect(states(name)).toContain("failed");
    }
    for (const name of ["balance-sync", "account-discovery"]) {
      const done = statuses(name).map(({ progress }) => progress!.done / progress!.total);
      expect([Math.min(...done), Math.max(...done)]).toEqual([0, 1]);
    }
    const levels = new Set(messages.map(({ body }) => body.level));
    expect([...levels].filter(Boolean).sort()).toEqual(["debug", "error", "info", "warn"]);
  });

  test("say how they are within three intervals, but for account-discovery, which pauses", () => {
    for (const name of names) {
      const seen = statuses(name);
      const intervalMs = seen[0]!.interval! * 1000;
      const gaps = seen.slice(1).map(({ ts }, at) => Date.parse(ts) - Date.parse(seen[at]!.ts));
      const isPausing = name === "account-discovery";
      expect(Math.max(...gaps) > 3 * intervalMs, `${name} ${Math.max(...gaps)} ms`).toBe(isPausing);
    }
  });

  test("sms: statistics every 30 seconds, by provider too", () => {
    const seen = statuses("sms");
    for (const [at, { sms, ts }] of seen.entries()) {
      expect(sms!.sent).toBe(sms!.delivered + sms!.failed);
      const sum = Object.values(sms!.providers).reduce((total, { sent }) => total + sent, 0);
      expect(sms!.sent).toBe(sum);
      const before = seen[at - 1];
      if (before) expect(Date.parse(ts) - Date.parse(before.ts)).toBeGreaterThanOrEqual(30_000);
      if (before) expect(Date.parse(ts) - Date.parse(before.ts)).toBeLessThan(40_000);
    }
    expect(messages.filter(({ body }) => "sms" in body)).toHaveLength(seen.length);
  });
});
