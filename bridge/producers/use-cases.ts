/** The one table of what can be produced, and to which broker it goes. */
import { MillraceError } from "../../functions/core/errors.ts";
import { OPERATIONS_COMPANY, quote } from "../../functions/core/ids.ts";
import type { Logger } from "../../functions/core/logger.ts";
import { connectProducer } from "../broker/client.ts";
import { defaultBridgeConfig, type SourceConfigs } from "../config/config.ts";
import type { BrokerSetting, BrokerSettings } from "../config/kind.ts";
import { demoAudit, demoOrders, demoStock } from "./commerce.ts";
import { demoTelemetry } from "./dcgm.ts";
import { demoEvents } from "./events.ts";
import { connectIbmMqTarget } from "./ibm-mq-target.ts";
import { encodeBody, encodeCloudEvent, type GeneratorOptions, type Message } from "./message.ts";
import { demoMetrics } from "./metrics.ts";
import { connectNatsPublisher } from "./nats-publisher.ts";
import { openRabbitMqPublisher } from "./rabbitmq-publisher.ts";
import { connectRedisPublisher } from "./redis-publisher.ts";
import { demoServices } from "./services.ts";
import type { Target } from "./target.ts";
import { demoTickets } from "./tickets.ts";

interface UseCase {
  generate(options: GeneratorOptions): Generator<Message, never>;
  /** Its own; any use case goes to the framed-TCP broker too, as CloudEvents of the same types. */
  readonly broker: BrokerName;
  /** Whose it is, where no tenant's. */
  readonly company?: string;
}
interface Broker {
  readonly title: string;
  /** One of them names it. */
  readonly settings: readonly BrokerSetting[];
  /** What the first of them may be. */
  readonly example: string;
  connect(settings: BrokerSettings, logger: Logger): Target | Promise<Target>;
}

export const USE_CASES = {
  audit: { generate: demoAudit, broker: "ibm-mq" },
  ecom: { generate: demoOrders, broker: "ibm-mq" },
  retail: { generate: demoStock, broker: "ibm-mq" },
  events: { generate: demoEvents, broker: "rabbitmq" },
  metrics: { generate: demoMetrics, broker: "nats" },
  services: { generate: demoServices, broker: "redis", company: OPERATIONS_COMPANY },
  telemetry: { generate: demoTelemetry, broker: "tcp" },
  tickets: { generate: demoTickets, broker: "tcp" },
} as const satisfies Record<string, UseCase>;
export type UseCaseName = keyof typeof USE_CASES;

export const BROKERS: { readonly [Name in BrokerName]: Broker } = {
  "ibm-mq": {
    ...{ title: "IBM MQ", settings: ["MQ_HOST", "MQ_CCDT"], example: "the host of a queue manager" },
    connect: (settings) => connectIbmMqTarget(sourceOf("ibm-mq", settings)),
  },
  rabbitmq: {
    ...{ title: "RabbitMQ", settings: ["AMQP_URL"], example: "a URL such as amqp://127.0.0.1:5672" },
    connect: ({ AMQP_URL = "" }, logger) => openRabbitMqPublisher(AMQP_URL, logger),
  },
  nats: {
    ...{ title: "NATS", settings: ["NATS_URL"], example: "a URL such as nats://127.0.0.1:4222" },
    connect: (settings) => connectNatsPublisher(sourceOf("nats", settings)),
  },
  redis: {
    ...{ title: "Redis", settings: ["REDIS_URL"], example: "a URL such as redis://127.0.0.1:6379" },
    connect: ({ REDIS_URL = "" }, logger) => connectRedisPublisher(REDIS_URL, logger),
  },
  tcp: {
    ...{ title: "the framed-TCP broker", settings: ["BROKER_ADDR"] },
    example: "host:port such as 127.0.0.1:9080, where npm start has one",
    connect: ({ BROKER_ADDR = "" }) => connectTcp(BROKER_ADDR),
  },
};
export type BrokerName = "ibm-mq" | "rabbitmq" | "nats" | "redis" | "tcp";

/** How the bridge would reach the broker: the settings say it once for both. */
function sourceOf<Kind extends "ibm-mq" | "nats">(kind: Kind, settings: BrokerSettings): SourceConfigs[Kind] {
  const found = defaultBridgeConfig(settings).sources.find((source) => source.kind === kind);
  if (found) return found as SourceConfigs[Kind];
  throw new MillraceError("invalid-input", `Cannot produce to ${kind}: no setting names it`);
}

/** As CloudEvents; a row that names no company is sent as it is: whose it is, is for a rule of the bridge to say. */
async function connectTcp(addr: string): Promise<Target> {
  const [, bracketed, plain, port] = /^(?:\[([0-9A-Fa-f:]+)\]|([^:]+)):(\d{1,5})$/.exec(addr) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) {
    throw new MillraceError("invalid-input", `Cannot produce to broker ${quote(addr)}: expected host:port`);
  }
  const client = await connectProducer({ host, port: Number(port) });
  return {
    send: (message) =>
      client.send(message.companyId === undefined ? encodeBody(message) : encodeCloudEvent(message)),
    close: () => client.close(),
  };
}
