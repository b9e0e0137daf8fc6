/** What `millrace doctor` asks of a NATS source: a connection, and the stream where it reads one. It makes nothing. */
import { jetstreamManager } from "@nats-io/jetstream";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { NatsConfig } from "../config/nats.ts";
import { closeNats, connectNats } from "../nats-connection.ts";
import { counted } from "./counted.ts";

/**
 * Resolves with one line of what was found.
 * @throws MillraceError naming the server or the stream, what is wrong and what to do.
 */
export async function probeNats(config: NatsConfig, signal: AbortSignal): Promise<string> {
  const connection = await connectNats(config, "millrace doctor", signal);
  if (!connection) {
    const what = `Cannot connect to NATS "${new URL(config.url).host}"`;
    throw new MillraceError("unavailable", `${what}: no answer, expected a server that answers`);
  }
  try {
    const { version, jetstream } = connection.info ?? {};
    const answers = `nats-server ${version} answers`;
    if (config.jetstream === undefined) return answers;
    const { stream, durable } = config.jetstream;
    const refuse = (was: string, expected: string, cause?: unknown) =>
      new MillraceError(
        "invalid-settings",
        `Cannot read from JetStream stream "${stream}": ${was}, expected ${expected}`,
        { cause },
      );
    if (jetstream !== true) throw refuse("JetStream is off", "it on (nats-server -js)");
    const { streams, consumers } = await jetstreamManager(connection, { checkAPI: false });
    const { state } = await streams.info(stream).catch((cause: unknown) => {
      throw refuse(describeError(cause), `it to be there (nats stream add ${stream})`, cause);
    });
    // Missing is well: the bridge makes it.
    const consumer = await consumers.info(stream, durable).catch(() => undefined);
    const waiting = consumer
      ? `consumer "${durable}" has ${consumer.num_pending} waiting and ${consumer.num_ack_pending} unacked`
      : `consumer "${durable}" is not there yet: the bridge makes it when it starts`;
    return `${answers}, stream "${stream}" holds ${counted(state.messages, "message")}, ${waiting}`;
  } finally {
    await closeNats(connection);
  }
}
