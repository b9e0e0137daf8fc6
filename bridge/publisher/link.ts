/** The publisher's one connection with its one channel, with confirms: made at the first message, made again with back-off when it is lost. */
import type { Channel } from "amqplib";
import { type BackoffOptions, backoffMs, sleep } from "../../functions/core/backoff.ts";
import type { MillraceError } from "../../functions/core/errors.ts";
import type { Logger } from "../../functions/core/logger.ts";
import {
  type AmqpConnection,
  type AmqpOptions,
  channelClosed,
  closeAmqp,
  connectAmqp,
} from "../rabbitmq-connection.ts";
import { amqpError } from "../rabbitmq-errors.ts";

/** Frames the client library holds when the socket takes none: of the largest messages, 128 KiB each, 16 MiB. */
const BUFFERED_FRAMES = 128;

export interface LinkOptions {
  readonly amqp: AmqpOptions;
  readonly exchange: string;
  readonly backoff: BackoffOptions;
  readonly logger: Logger;
}

export interface LinkEvents {
  onUp(channel: Channel): void;
  /** The channel is gone, or could not be made. `isRefusal`: the broker closed it over something that was published on it. */
  onDown(error: MillraceError, isRefusal: boolean): void;
  /** The broker stopped taking messages, or takes them again. */
  onBlocked(isBlocked: boolean): void;
}

export interface Link {
  /** Connects, if that was not asked for yet. */
  open(): void;
  /** Ends the connection. What the broker has not confirmed may be lost. Never rejects. */
  close(): Promise<void>;
}

export function createLink(options: LinkOptions, events: LinkEvents): Link {
  const { amqp, exchange, backoff, logger } = options;
  const what = `Cannot publish to exchange "${exchange}"`;
  const stopping = new AbortController();
  const { signal } = stopping;
  const aborted = new Promise<undefined>((resolve) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
  });
  let running: Promise<void> | undefined;

  /** Resolves when the connection is over: with whether there was one. Never rejects. */
  const connectOnce = async (): Promise<boolean> => {
    let connection: AmqpConnection | undefined;
    let isUp = false;
    let refusal: Error | undefined;
    try {
      connection = await connectAmqp(amqp, signal);
      if (!connection) return false;
      const { model, closed } = connection;
      const channel = await model.createConfirmChannel({ highWaterMark: BUFFERED_FRAMES });
      const refused = channelClosed(channel);
      // Needs no permission. Without it the first message would find out, and take the channel with it.
      await channel.checkExchange(exchange);
      model.on("blocked", (reason: string) => {
        logger.warn({ exchange, reason }, "The broker takes no messages");
        events.onBlocked(true);
      });
      model.on("unblocked", () => {
        logger.info({ exchange }, "The broker takes messages again");
        events.onBlocked(false);
      });
      isUp = true;
      logger.info({ exchange }, "Publisher is connected");
      events.onUp(channel);
      refusal = await Promise.race([refused, aborted]);
      if (signal.aborted) return true;
      throw refusal ?? (await closed) ?? new Error("the connection was closed");
    } catch (cause) {
      if (signal.aborted) return isUp;
      const error = amqpError(what, cause);
      logger.warn(
        { exchange, reason: error.message },
        isUp ? "Publisher lost its channel" : "Publisher cannot connect",
      );
      events.onDown(error, refusal !== undefined);
      return isUp;
    } finally {
      if (connection) await closeAmqp(connection);
    }
  };

  const run = async () => {
    for (let attempt = 0; !signal.aborted; attempt++) {
      if (await connectOnce()) attempt = 0;
      await sleep(backoffMs(attempt, backoff), signal);
    }
  };

  return {
    open() {
      running ??= run();
    },
    async close() {
      stopping.abort();
      await running;
    },
  };
}
