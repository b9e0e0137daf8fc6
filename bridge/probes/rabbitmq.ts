/** What `millrace doctor` asks of a RabbitMQ source: a connection, and the queue as the source would have it. It makes nothing. */
import { MillraceError } from "../../functions/core/errors.ts";
import type { RabbitMqConfig } from "../config/rabbitmq.ts";
import { closeAmqp, connectAmqp, withChannel } from "../rabbitmq-connection.ts";
import { checkQueue, declareQueue } from "../rabbitmq-topology.ts";

/**
 * Resolves with one line of what was found.
 * @throws MillraceError naming the server or the queue, what is wrong and what to do.
 */
export async function probeRabbitMq(config: RabbitMqConfig, signal: AbortSignal): Promise<string> {
  const { url, tls, heartbeatSeconds, queue, declare } = config;
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
    if (!found) return `${broker}, queue "${queue}" is not there yet: the bridge declares it when it starts`;
    // As it is there already nothing is made; what differs is named.
    if (declare) await withChannel(connection, (channel) => declareQueue(channel, config));
    const { messageCount, consumerCount } = found;
    return `${broker}, queue "${queue}" has ${messageCount} messages waiting and ${consumerCount} consumers`;
  } finally {
    await closeAmqp(connection);
  }
}
