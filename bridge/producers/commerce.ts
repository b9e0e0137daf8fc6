/** Demo messages of a bank, a shop and its stores, as their applications put them on IBM MQ. The subject is the stream queue the bridge reads. */
import type { GeneratorOptions, Message } from "./message.ts";
import { between, numbered, pick, round } from "./walk.ts";

const CURRENCIES = ["EUR", "USD", "GBP", "PKR"] as const;
const MERCHANTS = [
  "Corner Bakery",
  "City Transit",
  "Green Grocer",
  "Book Nook",
  "Fuel Stop",
  "Night Pharmacy",
] as const;
const STORES = ["lahore-01", "karachi-02", "berlin-03", "austin-04"] as const;
/** What is sold, and its price. */
const SKUS = [
  ...[["SKU-1001", 4.5] as const, ["SKU-1002", 12.99] as const, ["SKU-2001", 39.9] as const],
  ...[["SKU-2002", 7.25] as const, ["SKU-3001", 149] as const, ["SKU-3002", 0.99] as const],
];

/** Card payments: what the auditors want to see, each one. */
export function demoAudit(options: GeneratorOptions): Generator<Message, never> {
  return messagesOf("AUDIT.TXN", options, (random, newId) => ({
    txn_id: newId(),
    account: numbered("AC-", 8, random),
    amount: round(0.5 + random() ** 3 * 900, 2),
    currency: pick(CURRENCIES, random),
    merchant: pick(MERCHANTS, random),
  }));
}

/** Orders of the shop, some by people who want to hear of offers. */
export function demoOrders(options: GeneratorOptions): Generator<Message, never> {
  return messagesOf("PROMO.FEED", options, (random, newId) => {
    const items = Array.from({ length: between(1, 4, random) }, () => {
      const [sku, price] = pick(SKUS, random);
      return { sku, quantity: between(1, 3, random), price };
    });
    const total = items.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
    return {
      order_id: newId(),
      customer_id: numbered("CU-", 6, random),
      items,
      total: round(total, 2),
      promo_opt_in: random() < 0.4,
    };
  });
}

/** Changes of a store's stock: mostly a sale, now and then a delivery. */
export function demoStock(options: GeneratorOptions): Generator<Message, never> {
  return messagesOf("CENTRAL.SYNC", options, (random) => ({
    sku: pick(SKUS, random)[0],
    delta: random() < 0.85 ? -between(1, 3, random) : between(10, 60, random),
    store: pick(STORES, random),
  }));
}

/** Messages without end, the companies taking turns. */
function* messagesOf(
  subject: string,
  { companies, random = Math.random, now = Date.now, newId = () => crypto.randomUUID() }: GeneratorOptions,
  fieldsOf: (random: () => number, newId: () => string) => Readonly<Record<string, unknown>>,
): Generator<Message, never> {
  const source = `/demo/${subject.toLowerCase()}`;
  for (let turn = 0; ; turn++) {
    const companyId = companies[turn % companies.length]!;
    const time = new Date(now()).toISOString();
    const body = { companyId, ...fieldsOf(random, newId), ts: time };
    yield { id: newId(), source, subject, time, companyId, body };
  }
}
