/** From what the caller passes to a message that the broker, the outbox and the bridge can take. All of it is checked here, once. */
import { context, propagation } from "@opentelemetry/api";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import { isTime } from "../../functions/core/event.ts";
import { quote } from "../../functions/core/ids.ts";
import { MAX_DATA_BYTES } from "../../functions/core/limits.ts";
import type { JsonObject, MessageHeaders, PublisherOptions, PublishOptions } from "./options.ts";

/** Bytes of a short string (AMQP 0-9-1 section 4.2.5.3): routing keys, ids and names of headers. */
const SHORT_STRING_BYTES = 255;
/** Bytes of all headers as JSON: with the trace context they fit the 64 KiB the client library encodes in. */
const MAX_HEADER_BYTES = 16 * 1024;
/** The largest expiration RabbitMQ takes, in milliseconds. */
const MAX_EXPIRATION_MS = 2 ** 32 - 1;

const ROUTING_KEY = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+){2}(?:\.v[1-9]\d*)?$/;
const CONTROL = /[\u0000-\u001f\u007f]/;

/** A message that is fit to be sent. All but its body is JSON. */
export interface OutgoingMessage {
  readonly routingKey: string;
  readonly messageId: string;
  readonly properties: MessageProperties;
  readonly body: Uint8Array;
}

export interface MessageProperties {
  /** Seconds since 1970, the unit of AMQP. */
  readonly timestampSeconds: number;
  readonly headers: MessageHeaders;
  readonly expirationMs?: number | undefined;
  readonly isPersistent: boolean;
}

export type BuildOptions = Pick<PublisherOptions, "messageDefaults" | "serialize" | "validate">;

/** @throws MillraceError `invalid-input`, naming what is wrong and what is expected. */
export function buildMessage(
  routingKey: string,
  payload: JsonObject,
  options: PublishOptions,
  { messageDefaults = {}, serialize = JSON.stringify, validate }: BuildOptions,
): OutgoingMessage {
  checkRoutingKey(routingKey);
  const at = parseTimestamp(routingKey, options.timestamp ?? Date.now());
  const stamped = stampPayload(routingKey, payload, at);
  runValidate(routingKey, stamped, validate);
  return {
    routingKey,
    messageId: parseMessageId(routingKey, options.messageId ?? crypto.randomUUID()),
    properties: {
      timestampSeconds: Math.floor(at.getTime() / 1000),
      headers: buildHeaders(routingKey, { ...messageDefaults.headers, ...options.headers }),
      expirationMs: parseExpiration(routingKey, options.expiration ?? messageDefaults.expiration),
      isPersistent: options.persistent ?? messageDefaults.persistent ?? true,
    },
    body: encodePayload(routingKey, stamped, serialize),
  };
}

function checkRoutingKey(routingKey: string): void {
  const isFit = typeof routingKey === "string" && ROUTING_KEY.test(routingKey);
  if (!isFit) {
    throw new MillraceError(
      "invalid-input",
      `Cannot publish to routing key ${show(routingKey)}: expected <domain>.<entity>.<action> of a-z 0-9 _ -, with an optional version ` +
        "such as .v2 (orders.order.created.v2)",
    );
  }
  if (routingKey.length > SHORT_STRING_BYTES) {
    throw new MillraceError(
      "invalid-input",
      `Cannot publish to routing key ${show(routingKey)}: ${routingKey.length} bytes, expected at most ${SHORT_STRING_BYTES}`,
    );
  }
}

function stampPayload(routingKey: string, payload: JsonObject, at: Date): JsonObject {
  if (payload === null || typeof payload !== "object" || Array.isArray(payload)) {
    throw invalid(routingKey, `payload: ${show(payload)}`, "a JSON object");
  }
  const { ts } = payload;
  if (ts === undefined) return { ...payload, ts: at.toISOString() };
  if (isTime(ts) || Number.isFinite(ts instanceof Date ? ts.getTime() : ts)) return payload;
  throw invalid(routingKey, `payload.ts: ${show(ts)}`, "a date and time of RFC 3339, or a number");
}

function runValidate(routingKey: string, payload: JsonObject, validate: PublisherOptions["validate"]): void {
  if (!validate) return;
  let result: unknown;
  try {
    result = validate(payload, routingKey);
  } catch (cause) {
    throw invalid(routingKey, `payload: ${describeError(cause)}`, "one that validate takes", cause);
  }
  if (result instanceof Promise) {
    result.catch(() => {});
    throw invalid(routingKey, "validate returned a promise", "one that throws before it returns");
  }
}

function encodePayload(
  routingKey: string,
  payload: JsonObject,
  serialize: NonNullable<PublisherOptions["serialize"]>,
): Uint8Array {
  let serialized: unknown;
  try {
    serialized = serialize(payload);
  } catch (cause) {
    throw invalid(routingKey, `payload: ${describeError(cause)}`, "one that can be JSON", cause);
  }
  const body = typeof serialized === "string" ? new TextEncoder().encode(serialized) : serialized;
  if (!(body instanceof Uint8Array)) {
    throw invalid(routingKey, "serialize gave neither a string nor bytes", "JSON as one of them");
  }
  if (body.byteLength > MAX_DATA_BYTES) {
    throw invalid(routingKey, `payload: ${body.byteLength} bytes of JSON`, `at most ${MAX_DATA_BYTES}`);
  }
  return body;
}

function parseMessageId(routingKey: string, id: string): string {
  const isId = typeof id === "string" && id !== "" && isShort(id) && !CONTROL.test(id);
  if (!isId)
    throw invalid(routingKey, `messageId: ${show(id)}`, "1-255 bytes, none of them a control character");
  return id;
}

function parseTimestamp(routingKey: string, given: Date | number | string): Date {
  const isTimestamp = given instanceof Date || typeof given === "number" || isTime(given);
  const at = new Date(isTimestamp ? given : Number.NaN);
  // What toISOString and the seconds of AMQP can both say.
  if (!(at.getTime() >= 0)) {
    throw invalid(
      routingKey,
      `timestamp: ${show(given)}`,
      "a Date, milliseconds since 1970 or a date and time of RFC 3339",
    );
  }
  return at;
}

function parseExpiration(routingKey: string, ms: number | undefined): number | undefined {
  if (ms === undefined || (Number.isInteger(ms) && ms >= 0 && ms <= MAX_EXPIRATION_MS)) return ms;
  throw invalid(routingKey, `expiration: ${show(ms)}`, `whole milliseconds from 0 to ${MAX_EXPIRATION_MS}`);
}

/** With the trace of the caller, where an OpenTelemetry SDK is registered. What the caller says itself wins. */
function buildHeaders(routingKey: string, given: MessageHeaders): MessageHeaders {
  for (const [name, value] of Object.entries(given)) {
    const isValue =
      typeof value === "string" ||
      typeof value === "boolean" ||
      (typeof value === "number" && Number.isFinite(value));
    if (!isValue || name === "" || !isShort(name)) {
      throw invalid(
        routingKey,
        `header ${quote(name)}: ${show(value)}`,
        "a name of 1-255 bytes and a string, number or boolean",
      );
    }
  }
  if (new TextEncoder().encode(JSON.stringify(given)).byteLength > MAX_HEADER_BYTES) {
    throw invalid(routingKey, "headers too large", `at most ${MAX_HEADER_BYTES} bytes of JSON`);
  }
  const trace: Record<string, string> = {};
  propagation.inject(context.active(), trace);
  return { ...trace, ...given };
}

/** In bytes of UTF-8; a character is at most 3 of them. */
function isShort(text: string): boolean {
  return (
    text.length * 3 <= SHORT_STRING_BYTES || new TextEncoder().encode(text).byteLength <= SHORT_STRING_BYTES
  );
}

/** Any value, short and on one line. */
function show(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (value === null || typeof value !== "object") return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}

function invalid(routingKey: string, was: string, expected: string, cause?: unknown): MillraceError {
  return new MillraceError("invalid-input", `Cannot publish "${routingKey}": ${was}, expected ${expected}`, {
    cause,
  });
}
