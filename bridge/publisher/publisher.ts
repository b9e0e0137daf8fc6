/**
 * `millrace/publisher`: publishing to RabbitMQ in one line. The rest of Millrace takes what a service publishes here to live pages; this
 * file needs none of it.
 */
import { sleep } from "../../functions/core/backoff.ts";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import { quote } from "../../functions/core/ids.ts";
import { createLogger } from "../../functions/runtimes/node/logger.ts";
import { createCounters, type FailureReason, isRefusal } from "./counters.ts";
import { createLink } from "./link.ts";
import { buildMessage, type OutgoingMessage } from "./message.ts";
import type { OutboxOptions, Publisher, PublisherHealth, PublisherOptions } from "./options.ts";
import { startFlusher } from "./outbox.ts";
import { openOutboxTable } from "./outbox-table.ts";
import { failed, type Outcome } from "./outcome.ts";
import { createSender } from "./sender.ts";

export { MillraceError } from "../../functions/core/errors.ts";
export type { Logger } from "../../functions/core/logger.ts";
export type { AmqpTls } from "../rabbitmq-connection.ts";
export type {
  JsonObject,
  MessageHeaders,
  OutboxDatabase,
  OutboxOptions,
  Publisher,
  PublisherHealth,
  PublisherOptions,
  PublishOptions,
  Reliability,
  RetryOptions,
} from "./options.ts";

const RELIABILITIES = ["best-effort", "confirm", "outbox"];
const DAY_MS = 86_400_000;
const CLOSED = "the publisher is closed, expected an open one";
/** How long `close` takes at most by default, in milliseconds. */
const CLOSE_MS = 5_000;

/**
 * A publisher with one connection, made at the first message and again, with back-off, whenever it is lost.
 * @throws MillraceError `invalid-input` for options that cannot be, `invalid-settings` when the outbox's tables cannot be made.
 */
export function createPublisher(options: PublisherOptions): Publisher {
  const { amqpUrl, exchange = "events", appId, reliability = "best-effort", retry = {} } = options;
  checkOptions(options);
  const { timeoutMs = 10_000, baseMs = 100, maxMs = 10_000 } = retry;
  const logger = options.logger ?? createLogger({ level: "info" });
  const counters = createCounters(options.registry);
  const isPatient = reliability !== "best-effort";
  const sender = createSender({
    openLink: (events) =>
      createLink(
        {
          amqp: { url: amqpUrl, clientName: appId, tls: options.tls },
          ...{ exchange, backoff: { baseMs, maxMs }, logger },
        },
        events,
      ),
    ...{ exchange, appId, isPatient, timeoutMs },
    mandatory: isPatient && (options.mandatory ?? true),
  });

  const count = ({ routingKey }: OutgoingMessage, outcome: Outcome) => {
    if (outcome.isTaken) counters.published(routingKey);
    else counters.failed(outcome.reason);
  };
  const warn = ({ routingKey, messageId }: OutgoingMessage, reason: FailureReason, error: MillraceError) =>
    logger.warn({ routingKey, messageId, reason, error: error.message }, "Message not published");
  const outbox = options.outbox && openOutbox(options.outbox);
  let closing: Promise<void> | undefined;

  function openOutbox(given: OutboxOptions) {
    const leaseMs = given.leaseMs ?? 2 * timeoutMs;
    if (!(leaseMs >= 2 * timeoutMs)) {
      throw invalid("outbox.leaseMs", String(leaseMs), `at least twice retry.timeoutMs, ${2 * timeoutMs}`);
    }
    const table = openOutboxTable(given.database, given.table ?? "millrace_outbox");
    const flusher = startFlusher({
      ...{ table, leaseMs, logger, owner: crypto.randomUUID() },
      ...{ pollMs: given.pollMs ?? 1_000, keepSentMs: given.keepSentMs ?? DAY_MS },
      send: (message) => sender.send(message),
      onOutcome(message, outcome) {
        count(message, outcome);
        if (!outcome.isTaken && isRefusal(outcome.reason)) warn(message, outcome.reason, outcome.error);
      },
    });
    return { table, flusher };
  }

  /** Throws at once, so that the transaction the caller is in is rolled back. */
  const build = (...[routingKey, payload, given]: Parameters<Publisher["publish"]>) => {
    try {
      return buildMessage(routingKey, payload, given ?? {}, options);
    } catch (error) {
      counters.failed("invalid");
      throw error;
    }
  };

  const add = (message: OutgoingMessage, { table, flusher }: NonNullable<typeof outbox>) => {
    const refuse = (reason: FailureReason, was: string, cause?: unknown) => {
      counters.failed(reason);
      return failed(reason, message, was, cause).error;
    };
    if (closing) throw refuse("closed", CLOSED);
    try {
      table.add(message);
    } catch (cause) {
      throw refuse("storage", `${describeError(cause)}, expected an outbox that can be written to`, cause);
    }
    flusher.wake();
  };

  const sendOrThrow = async (message: OutgoingMessage): Promise<boolean> => {
    const outcome = closing ? failed("closed", message, CLOSED) : await sender.send(message);
    count(message, outcome);
    if (!outcome.isTaken) throw outcome.error;
    return true;
  };

  /** Says true when it is handed over; what becomes of it after that is logged and counted. */
  const sendOrLog = (message: OutgoingMessage): Promise<boolean> =>
    new Promise((resolve) => {
      const sent = closing
        ? Promise.resolve(failed("closed", message, CLOSED))
        : sender.send(message, () => resolve(true));
      void sent.then((outcome) => {
        count(message, outcome);
        if (!outcome.isTaken) warn(message, outcome.reason, outcome.error);
        resolve(outcome.isTaken);
      });
    });

  const close = async (closeMs: number) => {
    const until = Date.now() + closeMs;
    const flushed = new AbortController();
    const flushing = outbox?.flusher.close(closeMs).then(() => flushed.abort());
    // What the flusher waits for then fails, so that it ends too.
    if (flushing) await sleep(closeMs, flushed.signal);
    await sender.close(Math.max(0, until - Date.now()));
    await flushing;
  };

  return {
    publish(routingKey, payload, given) {
      const message = build(routingKey, payload, given);
      if (!outbox) return isPatient ? sendOrThrow(message) : sendOrLog(message);
      add(message, outbox);
      return Promise.resolve(true);
    },
    health(): PublisherHealth {
      const health = sender.health();
      return outbox ? { ...health, outbox: outbox.flusher.health() } : health;
    },
    close({ timeoutMs: closeMs = CLOSE_MS } = {}) {
      closing ??= close(closeMs);
      return closing;
    },
    [Symbol.asyncDispose]() {
      return this.close();
    },
  };
}

function checkOptions({ amqpUrl, appId, exchange, reliability, outbox, retry = {} }: PublisherOptions): void {
  const protocol = URL.canParse(amqpUrl) ? new URL(amqpUrl).protocol : "";
  // Not shown: it holds a password.
  if (protocol !== "amqp:" && protocol !== "amqps:") {
    throw new MillraceError(
      "invalid-input",
      "Cannot create a publisher: amqpUrl: expected an amqp:// or amqps:// URL",
    );
  }
  if (typeof appId !== "string" || !/^[\x21-\x7e]{1,255}$/.test(appId)) {
    throw invalid("appId", quote(String(appId)), "1-255 visible ASCII characters");
  }
  if (exchange !== undefined && !/^[\w.:-]{1,255}$/.test(exchange)) {
    throw invalid("exchange", quote(exchange), "1-255 characters of A-Z a-z 0-9 _ . : -");
  }
  if (reliability !== undefined && !RELIABILITIES.includes(reliability)) {
    throw invalid("reliability", quote(reliability), RELIABILITIES.join(", "));
  }
  if ((reliability === "outbox") !== (outbox !== undefined)) {
    throw invalid(
      "outbox",
      outbox ? "given" : "missing",
      "a database with reliability outbox, and only then",
    );
  }
  for (const [name, ms] of Object.entries({
    ...retry,
    pollMs: outbox?.pollMs,
    keepSentMs: outbox?.keepSentMs,
  })) {
    if (ms !== undefined && !(ms > 0 && ms < 2 ** 31))
      throw invalid(name, String(ms), "milliseconds from 1 to 2147483647");
  }
}

function invalid(name: string, was: string, expected: string): MillraceError {
  return new MillraceError(
    "invalid-input",
    `Cannot create a publisher: ${name}: ${was}, expected ${expected}`,
  );
}
