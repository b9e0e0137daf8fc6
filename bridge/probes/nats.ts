/** What `millrace doctor` asks of a NATS source: a connection, and the stream where it reads one. It makes nothing. */
import { DiscardPolicy, jetstreamManager, StorageType } from "@nats-io/jetstream";
import { describeError, MillraceError } from "../../functions/core/errors.ts";
import type { NatsConfig } from "../config/nats.ts";
import { closeNats, connectNats } from "../nats-connection.ts";
import { BACKLOG, counted, type Probed } from "./counted.ts";

/**
 * Resolves with what was found.
 * @throws MillraceError naming the server or the stream, what is wrong and what to do.
 */
export async function probeNats(config: NatsConfig, signal: AbortSignal): Promise<Probed> {
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
    const { state, config: kept } = await streams.info(stream).catch((cause: unknown) => {
      throw refuse(describeError(cause), `it to be there (nats stream add ${stream})`, cause);
    });
    // Missing is well: the bridge makes it.
    const consumer = await consumers.info(stream, durable).catch(() => undefined);
    const waiting = consumer
      ? `consumer "${durable}" has ${consumer.num_pending} waiting and ${consumer.num_ack_pending} unacked`
      : `consumer "${durable}" is not there yet: the bridge makes it when it starts`;
    const line = `${answers}, stream "${stream}" holds ${counted(state.messages, "message")}, ${waiting}`;
    const pending = consumer?.num_pending ?? 0;
    const limits = [
      [state.messages, kept.max_msgs, "max_msgs"],
      [state.bytes, kept.max_bytes, "max_bytes"],
    ] as const;
    const notes = [
      ...(kept.storage === StorageType.Memory
        ? [
            `stream "${stream}" is kept in memory: what is in it is lost when the server stops; make it anew with --storage=file`,
          ]
        : []),
      ...limits.flatMap(([now, most, name]) =>
        most > 0 && now >= 0.9 * most && pending > 0
          ? [
              `stream "${stream}" is near its ${name} (${now} of ${most}) with ${pending} unread, and then ${kept.discard === DiscardPolicy.New ? "refuses new messages" : "drops the oldest, read or not"}: raise it (nats stream edit ${stream})`,
            ]
          : [],
      ),
      ...(consumer !== undefined && pending >= BACKLOG && consumer.num_waiting === 0
        ? [`${pending} messages wait, and no bridge asks for them: start one (npx millrace bridge)`]
        : []),
      ...(consumer?.paused
        ? [`consumer "${durable}" is paused: nats consumer resume ${stream} ${durable}`]
        : []),
    ];
    return notes.length === 0 ? line : { found: line, notes };
  } finally {
    await closeNats(connection);
  }
}
