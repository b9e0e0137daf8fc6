/** Messages to NATS core: the JSON body on the subject, the id as `Nats-Msg-Id` (by which JetStream drops duplicates). */
import { setImmediate as nextTurn } from "node:timers/promises";
import { headers } from "@nats-io/transport-node";
import { MillraceError } from "../../functions/core/errors.ts";
import { connectNats, type NatsServer, natsError } from "../nats-connection.ts";
import { encodeBody, type Message, type Send } from "./message.ts";

/** Messages between two waits for the server: bounds what is held here when it reads slowly. */
const FLUSH_EVERY = 256;
/** Milliseconds the server has to read what it was sent. */
const FLUSH_MS = 5000;

export interface NatsPublisher {
  /**
   * Resolves when there is room for the next. Core NATS has no acks, so it does not mean that the server has the message.
   * @throws MillraceError `forbidden` when the server refused an earlier one, `unavailable` once the connection is lost.
   */
  readonly send: Send;
  /** Waits until the server has read everything, and closes. Throws as `send` does. */
  close(): Promise<void>;
}

/** @throws MillraceError `invalid-input` for no URL, and as `connectNats`. */
export async function connectNatsPublisher(server: NatsServer): Promise<NatsPublisher> {
  const { url } = server;
  if (!URL.canParse(url)) {
    throw new MillraceError(
      "invalid-input",
      "Cannot connect to NATS: expected a URL such as nats://host:4222",
    );
  }
  const what = `Cannot publish to NATS "${new URL(url).host}"`;
  const connection = await connectNats(server, "millrace produce", NEVER);
  if (!connection) throw natsError(what, new Error("not connected"));

  let refused: MillraceError | undefined;
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === "error") refused ??= natsError(what, status.error);
    }
  })();

  let unflushed = 0;
  const flush = async () => {
    unflushed = 0;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(late.reject, FLUSH_MS, new Error(`no answer in ${FLUSH_MS} ms`));
    // A flush whose connection is lost stays pending for good.
    const lost = connection.closed().then((cause) => Promise.reject(cause ?? new Error("closed connection")));
    lost.catch(() => {});
    try {
      await Promise.race([connection.flush(), lost, late.promise]);
    } catch (cause) {
      throw natsError(what, cause);
    } finally {
      clearTimeout(timer);
    }
    // A refusal comes before the answer, but is told a turn later.
    await nextTurn();
    if (refused) throw refused;
  };

  return {
    async send(message: Message) {
      if (refused) throw refused;
      const head = headers();
      head.set("Nats-Msg-Id", message.id);
      try {
        connection.publish(message.subject, encodeBody(message), { headers: head });
      } catch (cause) {
        throw natsError(what, cause);
      }
      if (++unflushed >= FLUSH_EVERY) await flush();
    },
    async close() {
      try {
        await flush();
      } finally {
        await connection.close();
      }
    },
  };
}

/** There is nothing to abort: connecting is bounded as it is. */
const NEVER = new AbortController().signal;
