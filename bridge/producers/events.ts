/** Demo events of a company's web platform, as its services publish them to RabbitMQ: the subject is the routing key. */
import type { GeneratorOptions, Message } from "./message.ts";
import { between, numbered, pick, round } from "./walk.ts";

type Fields = Readonly<Record<string, unknown>>;

/** `<entity>.<action>` by domain, and what such an event carries. */
const DOMAINS: Readonly<Record<string, { keys: readonly string[]; fields(random: () => number): Fields }>> = {
  auth: {
    keys: [
      ...["user.login", "user.login", "user.login", "user.failed", "user.logout", "user.registered"],
      ...["password.changed", "mfa.enabled", "token.refreshed", "session.expired"],
    ],
    fields: (random) => ({ userId: user(random), method: pick(["password", "sso", "passkey"], random) }),
  },
  media: {
    keys: [
      ...["image.uploaded", "image.uploaded", "image.resized", "image.deleted", "video.uploaded"],
      ...["video.transcoded", "audio.uploaded", "file.scanned"],
    ],
    fields: (random) => ({
      userId: user(random),
      mediaId: numbered("m-", 7, random),
      bytes: between(9e3, 9e6, random),
    }),
  },
  billing: {
    keys: [
      ...["invoice.created", "invoice.paid", "invoice.overdue", "payment.failed", "payment.refunded"],
      ...["subscription.started", "subscription.renewed", "subscription.cancelled"],
    ],
    fields: (random) => ({
      invoiceId: numbered("INV-", 6, random),
      amount: round(5 + random() * 400, 2),
      currency: "EUR",
    }),
  },
  shop: {
    keys: [
      "cart.updated",
      "order.placed",
      "order.shipped",
      "order.returned",
      "product.viewed",
      "review.posted",
    ],
    fields: (random) => ({ userId: user(random), orderId: numbered("O-", 6, random) }),
  },
  chat: {
    keys: ["message.sent", "message.sent", "message.read", "room.created", "room.joined"],
    fields: (random) => ({ userId: user(random), roomId: numbered("room-", 3, random) }),
  },
  support: {
    keys: ["ticket.opened", "ticket.assigned", "ticket.replied", "ticket.resolved", "ticket.reopened"],
    fields: (random) => ({
      ticketId: numbered("T-", 5, random),
      priority: pick(["low", "normal", "high"], random),
    }),
  },
  email: {
    keys: ["campaign.started", "message.delivered", "message.opened", "message.bounced"],
    fields: (random) => ({ campaignId: numbered("c-", 3, random), userId: user(random) }),
  },
  jobs: {
    keys: ["export.started", "export.finished", "export.failed", "backup.finished"],
    fields: (random) => ({ jobId: numbered("j-", 6, random), ms: between(20, 90_000, random) }),
  },
};

/** As often as they stand above. */
const WEIGHTED = Object.entries(DOMAINS).flatMap(([domain, { keys, fields }]) =>
  keys.map((key) => ({ routingKey: `${domain}.${key}`, fields })),
);
/** Every routing key there is. */
export const ROUTING_KEYS: readonly string[] = [...new Set(WEIGHTED.map(({ routingKey }) => routingKey))];

/** Messages without end, the companies taking turns. */
export function* demoEvents({
  companies,
  random = Math.random,
  now = Date.now,
  newId = () => crypto.randomUUID(),
}: GeneratorOptions): Generator<Message, never> {
  for (let turn = 0; ; turn++) {
    const companyId = companies[turn % companies.length]!;
    const { routingKey, fields } = pick(WEIGHTED, random);
    const time = new Date(now()).toISOString();
    const body = { companyId, ...fields(random), ts: time };
    yield { id: newId(), source: "/demo/events", subject: routingKey, time, companyId, body };
  }
}

function user(random: () => number): string {
  return numbered("u-", 4, random);
}
