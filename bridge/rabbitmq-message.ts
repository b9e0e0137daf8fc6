/** A message of RabbitMQ as the rules of decode.ts see it. */
import type { ConsumeMessage, MessageProperties } from "amqplib";
import type { RawMessage } from "../functions/ports/broker-source.ts";

/** Timestamps from here on, some time in the year 5138 as seconds, are milliseconds: publishers write both. */
const FIRST_MILLISECONDS = 100_000_000_000;
/** CloudEvents AMQP binding 1.0.2, section 3.1.3.1: the colon, or the underscore where a client cannot write a colon. */
const CLOUD_EVENTS = /^cloudevents[:_]/;

/**
 * The subject is the routing key, the id the property `message-id`.
 *
 * The headers are the table `headers`, names in lower case and values as text: a timestamp is RFC 3339, a list or a table within is JSON,
 * an attribute of a CloudEvent (`cloudEvents:type`) is `ce-type`. The properties `content-type`, `correlation-id`, `app-id`, `type`,
 * `timestamp` and `user-id` are among them under these names, and win over a header of that name. RabbitMQ has checked `user-id` (it is
 * the user that published), so a header of that name is never taken for it.
 */
export function rawAmqpMessage({ fields, properties, content }: ConsumeMessage): RawMessage {
  const headers: Record<string, string> = {};
  for (const [given, value] of Object.entries(properties.headers ?? {})) {
    const text = textOf(value);
    if (text === undefined) continue;
    const name = given.toLowerCase();
    if (!CLOUD_EVENTS.test(name)) headers[name] ??= text;
    // decode.ts takes ce- headers for percent-encoded, as HTTP and NATS have them; AMQP has text.
    else headers[name.replace(CLOUD_EVENTS, "ce-")] = text.replaceAll("%", "%25");
  }
  delete headers["user-id"];
  for (const [name, value] of Object.entries(namedProperties(properties))) {
    if (value !== undefined) headers[name] = value;
  }
  return {
    subject: fields.routingKey,
    headers,
    body: content,
    messageId: textOf(properties.messageId) || undefined,
  };
}

function namedProperties(properties: MessageProperties): Record<string, string | undefined> {
  const { contentType, correlationId, appId, type, timestamp, userId } = properties;
  return {
    "content-type": textOf(contentType),
    "correlation-id": textOf(correlationId),
    "app-id": textOf(appId),
    type: textOf(type),
    timestamp: typeof timestamp === "number" ? timeOf(timestamp) : undefined,
    "user-id": textOf(userId),
  };
}

/** The library gives a timestamp and a decimal as `{"!": type, value}`. */
function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "object") return String(value);
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if ("!" in value && "value" in value) {
    if (value["!"] === "timestamp") return timeOf(Number(value.value));
    const { digits, places } = value.value as { readonly digits: number; readonly places: number };
    return (digits / 10 ** places).toFixed(Math.min(places, 20));
  }
  return JSON.stringify(value);
}

/** RFC 3339; undefined when it is no time there is. */
function timeOf(timestamp: number): string | undefined {
  const date = new Date(timestamp < FIRST_MILLISECONDS ? timestamp * 1000 : timestamp);
  return Number.isNaN(date.valueOf()) ? undefined : date.toISOString();
}
