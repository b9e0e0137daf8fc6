/** What `millrace doctor` asks of a RabbitMQ source: a connection, and the queue as the source would have it. It makes nothing. */
import type { Channel } from "amqplib";
import { MillraceError } from "../../functions/core/errors.ts";
import type { RabbitMqConfig } from "../config/rabbitmq.ts";
import { closeAmqp, connectAmqp, withChannel } from "../rabbitmq-connection.ts";
import { amqpError } from "../rabbitmq-errors.ts";
import { checkQueue, declareQueue } from "../rabbitmq-topology.ts";
import { BACKLOG, counted, type Probed } from "./counted.ts";

/** A reply code of AMQP 0-9-1: among others, of an argument that cannot be. */
const PRECONDITION_FAILED = 406;

/**
 * Resolves with what was found. No message is taken, and so none counts as delivered: see `askInVain`.
 * @throws MillraceError naming the server or the queue, what is wrong and what to do.
 */
export async function probeRabbitMq(config: RabbitMqConfig, signal: AbortSignal): Promise<Probed> {
  const { url, tls, heartbeatSeconds, queue, queueType, declare } = config;
  const connection = await connectAmqp({ url, clientName: "millrace doctor", tls, heartbeatSeconds }, signal);
  if (!connection) {
    const what = `Cannot connect to RabbitMQ "${new URL(url).host}"`;
    throw new MillraceError("unavailable", `${what}: no answer, expected a broker that answers`);
  }
  try {
    const { product, version } = connection.model.connection.serverProperties;
    const broker = `${product} ${version} answers`;
    const found = await withChannel(connection, (channel) => checkQueue(channel, queue)).catch(
      (error: unknown) => {
        const isMissing = error instanceof MillraceError && error.code === "invalid-settings";
        if (isMissing && declare) return undefined;
        throw error;
      },
    );
    if (!found) {
      await withChannel(connection, (channel) => checkMayDeclare(channel, config));
      return `${broker}, queue "${queue}" is not there yet: the bridge declares it when it starts`;
    }
    // As it is there already nothing is made; what differs is named.
    if (declare) await withChannel(connection, (channel) => declareQueue(channel, config));
    await withChannel(connection, (channel) => checkMayRead(channel, queue));
    const { messageCount, consumerCount } = found;
    const waiting = counted(messageCount, "message");
    // Declared as it is: so it is of that type.
    const type = declare ? `${queueType} ` : "";
    const line = `${broker}, ${type}queue "${queue}" has ${waiting} waiting and ${counted(consumerCount, "consumer")}`;
    const dead = await withChannel(connection, (channel) => checkQueue(channel, `${queue}.dead`)).catch(
      () => undefined,
    );
    const notes = [
      ...(messageCount >= BACKLOG && consumerCount === 0
        ? [`${waiting} wait, and no bridge reads them: start one (npx millrace bridge)`]
        : []),
      ...(dead !== undefined && dead.messageCount > 0
        ? [
            `${counted(dead.messageCount, "message")} that the broker gave up on in "${queue}.dead": look why (rabbitmqadmin get), then shovel them back`,
          ]
        : []),
    ];
    return notes.length === 0 ? line : { found: line, notes };
  } finally {
    await closeAmqp(connection);
  }
}

/**
 * Whether the user may, without doing it: asked with an argument of the wrong type, as RabbitMQ looks at the permission first and refuses
 * the argument then (tried with 3.10; rabbit_channel.erl). To read and give back would raise the message's delivery count towards a quorum
 * queue's limit, and take it out of the order of a bridge that runs. The broker's log gets a line of each refusal.
 * @throws MillraceError `forbidden` when the user may not.
 */
async function askInVain(what: string, ask: () => Promise<unknown>): Promise<void> {
  try {
    await ask();
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== PRECONDITION_FAILED) throw amqpError(what, cause);
  }
}

async function checkMayRead(channel: Channel, queue: string): Promise<void> {
  // A broker that would not mind the argument gets what it gave back when the channel closes: one message.
  await channel.prefetch(1);
  await askInVain(`Cannot read from RabbitMQ queue "${queue}"`, () =>
    channel.consume(queue, () => {}, { arguments: { "x-priority": "none" } }),
  );
}

async function checkMayDeclare(
  channel: Channel,
  { queue, deadLetterExchange }: RabbitMqConfig,
): Promise<void> {
  // An exclusive one would be gone with the connection.
  const options = { exclusive: true, deadLetterExchange, arguments: { "x-expires": "never" } };
  await askInVain(`Cannot declare queue "${queue}"`, () => channel.assertQueue(queue, options));
}
