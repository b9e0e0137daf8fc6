/**
 * Hands messages to the link in the order they were given, and tells of each what became of it. While the link is down they wait; what
 * was sent and not confirmed is sent again first, in the same order. What is held is bounded, in time by `timeoutMs` and in memory.
 */
import { type Channel, IllegalOperationError } from "amqplib";
import { describeError, type MillraceError } from "../../functions/core/errors.ts";
import type { Link, LinkEvents } from "./link.ts";
import type { OutgoingMessage } from "./message.ts";
import type { PublisherHealth } from "./options.ts";
import { failed, type Outcome, TAKEN } from "./outcome.ts";
import { createReturns } from "./returns.ts";

/** Messages held: what a caller that does not wait for its promises may pile up. */
const MAX_HELD_MESSAGES = 10_000;
/** Milliseconds an impatient sender waits for the first connection, and for the socket. */
const HAND_OVER_MS = 1_000;
/** Messages sent and not confirmed: paces a caller that waits for each hand-over, and is what a broken connection makes come twice. */
const MAX_IN_FLIGHT = 2_000;
/** Bytes of bodies held: 256 of the largest messages. */
const MAX_HELD_BYTES = 32 * 1024 * 1024;

export interface SenderOptions {
  readonly openLink: (events: LinkEvents) => Link;
  readonly exchange: string;
  readonly appId: string;
  /** Whether a message waits for a broker that is away or blocked. If not it fails at once, unless it was handed over before. */
  readonly isPatient: boolean;
  readonly mandatory: boolean;
  /** Milliseconds from `send` to the outcome, at most. For an impatient sender from the hand-over. */
  readonly timeoutMs: number;
}

export interface Sender {
  /** Resolves with what the broker says of it, and never rejects. `onHandedOver`: it was written to the connection. */
  send(message: OutgoingMessage, onHandedOver?: () => void): Promise<Outcome>;
  health(): Pick<PublisherHealth, "status" | "held" | "lastError">;
  /** Waits for what is held, for at most so long, and closes the link. What is left fails as `closed`. */
  close(timeoutMs: number): Promise<void>;
}

interface Entry {
  readonly message: OutgoingMessage;
  /** Its number on the channel, while it is sent and not confirmed. */
  tag: number | undefined;
  /** It was written to the connection. */
  readonly handedOver: () => void;
  /** Ends it, once. */
  readonly settle: (outcome: Outcome) => void;
}

export function createSender(options: SenderOptions): Sender {
  const { exchange, appId, isPatient, mandatory, timeoutMs } = options;
  const waiting = new Set<Entry>();
  const inFlight = new Map<number, Entry>();
  /** In flight when the broker closed the channel over one of them: sent alone, so that it shows which. */
  const suspects = new Set<Entry>();
  const returns = createReturns();
  let status: PublisherHealth["status"] = "idle";
  let lastError: MillraceError | undefined;
  let channel: Channel | undefined;
  let isBufferFull = false;
  let lastTag = 0;
  let heldMessages = 0;
  let heldBytes = 0;
  let onEmpty: (() => void) | undefined;

  const pump = () => {
    for (const entry of waiting) {
      const isHeldUp = !channel || status !== "up" || isBufferFull;
      if (isHeldUp || inFlight.size >= (suspects.size > 0 ? 1 : MAX_IN_FLIGHT)) return;
      if (!write(channel!, entry)) return;
    }
  };

  /** False when the channel is closed, and its end about to be told. */
  const write = (open: Channel, entry: Entry): boolean => {
    const { routingKey, messageId, body, properties } = entry.message;
    try {
      isBufferFull = !open.publish(
        exchange,
        routingKey,
        Buffer.from(body.buffer, body.byteOffset, body.byteLength),
        {
          messageId,
          appId,
          contentType: "application/json",
          timestamp: properties.timestampSeconds,
          headers: properties.headers,
          persistent: properties.isPersistent,
          mandatory,
          ...(properties.expirationMs === undefined ? {} : { expiration: properties.expirationMs }),
        },
      );
    } catch (cause) {
      if (cause instanceof IllegalOperationError) return false;
      const was = `the client library cannot encode it (${describeError(cause)}), expected smaller headers`;
      entry.settle(failed("refused", entry.message, was));
      return true;
    }
    waiting.delete(entry);
    entry.tag = ++lastTag;
    inFlight.set(entry.tag, entry);
    entry.handedOver();
    return true;
  };

  const confirm = (deliveryTag: number, isMultiple: boolean, isAck: boolean) => {
    const confirmed: Entry[] = [];
    if (!isMultiple) confirmed.push(...present(inFlight.get(deliveryTag)));
    else {
      for (const [tag, entry] of inFlight) {
        if (tag > deliveryTag) break;
        confirmed.push(entry);
      }
    }
    for (const entry of confirmed) {
      const { message } = entry;
      if (!isAck) {
        const was = "the broker refused it (nack), expected a queue that takes it";
        entry.settle(failed("nack", message, was));
      } else if (returns.take(message)) {
        const was = `no queue is bound to exchange "${exchange}" for it, expected one`;
        entry.settle(failed("unroutable", message, was));
      } else entry.settle(TAKEN);
    }
    pump();
  };

  const link = options.openLink({
    onUp(opened) {
      if (status === "closed") return;
      channel = opened;
      status = "up";
      lastError = undefined;
      lastTag = 0;
      opened.on("drain", () => {
        isBufferFull = false;
        pump();
      });
      opened.on("return", ({ fields, properties }) => returns.add(fields.routingKey, properties.messageId));
      opened.on("ack", ({ deliveryTag, multiple }) => confirm(Number(deliveryTag), multiple, true));
      opened.on("nack", ({ deliveryTag, multiple }) => confirm(Number(deliveryTag), multiple, false));
      pump();
    },
    onDown(error, isRefusal) {
      if (status === "closed") return;
      channel = undefined;
      status = "down";
      lastError = error;
      isBufferFull = false;
      returns.clear();
      const unconfirmed = [...inFlight.values()];
      const rest = [...waiting];
      inFlight.clear();
      waiting.clear();
      for (const entry of [...unconfirmed, ...rest]) {
        entry.tag = undefined;
        waiting.add(entry);
      }
      if (!isPatient) {
        for (const entry of rest) entry.settle(failed("away", entry.message, error.message, error));
      }
      if (isRefusal) {
        const [only] = unconfirmed;
        if (unconfirmed.length === 1) only!.settle(failed("refused", only!.message, error.message, error));
        else for (const entry of unconfirmed) suspects.add(entry);
      }
    },
    onBlocked(isBlocked) {
      if (!channel) return;
      status = isBlocked ? "blocked" : "up";
      pump();
    },
  });

  /** Why a message cannot be taken on now; undefined when it can. */
  const refusal = (message: OutgoingMessage): Outcome | undefined => {
    if (status === "closed")
      return failed("closed", message, "the publisher is closed, expected an open one");
    if (heldMessages >= MAX_HELD_MESSAGES || heldBytes + message.body.byteLength > MAX_HELD_BYTES) {
      const was = `${heldMessages} messages of ${heldBytes} bytes wait for the broker`;
      return failed("full", message, `${was}, expected at most ${MAX_HELD_MESSAGES} and ${MAX_HELD_BYTES}`);
    }
    if (isPatient) return undefined;
    if (status === "down") return failed("away", message, lastError!.message, lastError);
    if (status === "blocked") return failed("blocked", message, "the broker takes no messages now");
    return undefined;
  };

  /** What kept an entry waiting until its time was over. */
  const late = (entry: Entry): Outcome => {
    const { message, tag } = entry;
    const within = `within ${timeoutMs} ms`;
    if (tag !== undefined)
      return failed("timeout", message, `the broker did not confirm it ${within}, expected an answer`);
    if (status === "blocked") return failed("blocked", message, `the broker took no messages ${within}`);
    if (status === "up") return failed("timeout", message, `the connection took nothing ${within}`);
    const why = lastError ? `: ${lastError.message}` : "";
    return failed("away", message, `no connection ${within}${why}`, lastError);
  };

  return {
    send(message, onHandedOver) {
      const refused = refusal(message);
      if (refused) return Promise.resolve(refused);
      if (status === "idle") status = "connecting";
      link.open();
      heldMessages++;
      heldBytes += message.body.byteLength;
      return new Promise((resolve) => {
        const giveUp = () => {
          entry.settle(late(entry));
          pump();
        };
        let isHandedOver = isPatient;
        let timer = setTimeout(giveUp, isPatient ? timeoutMs : HAND_OVER_MS);
        let isSettled = false;
        const entry: Entry = {
          message,
          tag: undefined,
          handedOver() {
            onHandedOver?.();
            if (isHandedOver) return;
            isHandedOver = true;
            clearTimeout(timer);
            timer = setTimeout(giveUp, timeoutMs);
          },
          settle(outcome) {
            if (isSettled) return;
            isSettled = true;
            clearTimeout(timer);
            waiting.delete(entry);
            suspects.delete(entry);
            if (entry.tag !== undefined) inFlight.delete(entry.tag);
            heldMessages--;
            heldBytes -= message.body.byteLength;
            resolve(outcome);
            if (heldMessages === 0) onEmpty?.();
          },
        };
        waiting.add(entry);
        pump();
      });
    },
    health: () => ({ status, held: heldMessages, lastError: lastError?.message }),
    async close(closeMs) {
      if (heldMessages > 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, closeMs);
          onEmpty = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      status = "closed";
      for (const entry of [...inFlight.values(), ...waiting]) {
        entry.settle(failed("closed", entry.message, "the publisher was closed before it was confirmed"));
      }
      await link.close();
    },
  };
}

function present<T>(value: T | undefined): T[] {
  return value === undefined ? [] : [value];
}
