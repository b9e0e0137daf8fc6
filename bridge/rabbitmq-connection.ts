/**
 * The connection everything that speaks to RabbitMQ shares the making of: credentials from the URL, TLS from files, heartbeats, errors of
 * the one table, no reconnecting of its own. AMQP 0-9-1 by the library amqplib.
 */
import { readFile } from "node:fs/promises";
import type { Duplex } from "node:stream";
import { type Channel, type ChannelModel, connect, credentials } from "amqplib";
import { sleep } from "../functions/core/backoff.ts";
import { describeError, MillraceError } from "../functions/core/errors.ts";
import { unescaped, unlessAborted } from "./connect-once.ts";
import { connectError } from "./rabbitmq-errors.ts";

/** Milliseconds for the broker to answer a new connection. */
const CONNECT_MS = 10_000;
/** Milliseconds a connection that is given up has to send what it holds. */
const CLOSE_MS = 1000;
/** Seconds between heartbeats where nothing says otherwise: RabbitMQ advises 5 to 20 (rabbitmq.com, Heartbeats). */
const HEARTBEAT_SECONDS = 15;

/** Paths of PEM files, read at each connection, so that renewed ones are taken up. */
export interface AmqpTls {
  /** Who vouches for the broker's certificate. Default: those Node trusts. */
  readonly ca?: string | undefined;
  /** Our certificate and its key, where the broker asks for one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

export interface AmqpOptions {
  /**
   * `amqp://` or `amqps://`, with `user:password@` (default guest, whom RabbitMQ takes from its own host alone) and the virtual host as
   * path. With a certificate of ours and no user the broker is to know us by the certificate (SASL EXTERNAL).
   */
  readonly url: string;
  /** What the broker's list of connections shows. */
  readonly clientName: string;
  readonly tls?: AmqpTls | undefined;
  /** The broker may ask for less. A dead peer is noticed after two to three of them. Default 15. */
  readonly heartbeatSeconds?: number | undefined;
}

export interface AmqpConnection {
  readonly model: ChannelModel;
  /** Resolves when it is closed: with why, or with undefined when it was closed on our side. Never rejects. */
  readonly closed: Promise<Error | undefined>;
}

/**
 * Connects once, and never again by itself.
 * @returns undefined when the signal aborted first.
 * @throws MillraceError `unauthorized` when the credentials are refused, `forbidden` when the virtual host is, `invalid-settings` for TLS
 * that cannot work, else `unavailable`.
 */
export async function connectAmqp(
  options: AmqpOptions,
  signal: AbortSignal,
): Promise<AmqpConnection | undefined> {
  if (signal.aborted) return undefined;
  const { host, pathname } = new URL(options.url);
  const connecting = open(options).catch((cause: unknown) => {
    throw connectError(`Cannot connect to RabbitMQ "${host}"`, unescaped(pathname.slice(1)) || "/", cause);
  });
  return unlessAborted(connecting, signal, closeAmqp);
}

/** Resolves when the channel is closed: with why, or with undefined when it was closed on our side or with its connection. */
export function channelClosed(channel: Channel): Promise<Error | undefined> {
  const { promise, resolve } = Promise.withResolvers<Error | undefined>();
  // An error nobody listens for would end the process.
  channel.on("error", resolve);
  channel.on("close", () => resolve(undefined));
  return promise;
}

/** A channel that lasts as long as `use`: what the broker refuses closes it, and no other one. */
export async function withChannel<T>(
  connection: AmqpConnection,
  use: (channel: Channel) => Promise<T>,
): Promise<T> {
  const channel = await connection.model.createChannel();
  void channelClosed(channel);
  try {
    return await use(channel);
  } finally {
    await closeChannel(connection, channel);
  }
}

/**
 * Closes, for at most a second. Never throws.
 * @param channel Closed first, with what it has still to send: the library would let the end of the connection overtake it.
 */
export async function closeAmqp(connection: AmqpConnection, channel?: Channel): Promise<void> {
  const close = async () => {
    if (channel) await closeChannel(connection, channel);
    await connection.model.close().catch(() => {});
  };
  // An answer that never comes must not hold the process.
  const late = new AbortController();
  await Promise.race([close(), connection.closed, sleep(CLOSE_MS, late.signal)]);
  late.abort();
  // After a heartbeat that was missed the library leaves the socket half open.
  (connection.model.connection as unknown as { readonly stream: Duplex }).stream.destroy();
}

/** Also when the connection ends meanwhile, which the library's promise does not notice. */
async function closeChannel({ closed }: AmqpConnection, channel: Channel): Promise<void> {
  await Promise.race([channel.close().catch(() => {}), closed]);
}

async function open({
  url,
  clientName,
  tls,
  heartbeatSeconds = HEARTBEAT_SECONDS,
}: AmqpOptions): Promise<AmqpConnection> {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  const isExternal = tls?.cert !== undefined && username === "";
  const model = await connect(
    {
      protocol: protocol.slice(0, -1),
      hostname: hostname.replace(/^\[|\]$/g, ""),
      heartbeat: heartbeatSeconds,
      // Unescaped by the library, unlike the rest.
      vhost: pathname.slice(1),
      ...(port ? { port: Number(port) } : {}),
      ...(username || password ? { username: unescaped(username), password: unescaped(password) } : {}),
    },
    {
      ...(await readTls(tls)),
      ...(isExternal ? { credentials: credentials.external() } : {}),
      // Acks are small and must not wait for each other.
      noDelay: true,
      timeout: CONNECT_MS,
      clientProperties: { connection_name: clientName },
    },
  );
  const { promise: closed, resolve } = Promise.withResolvers<Error | undefined>();
  // An error nobody listens for would end the process; `close` follows and says the same.
  model.on("error", () => {});
  model.on("close", (cause?: Error) => resolve(cause));
  return { model, closed };
}

async function readTls(tls: AmqpTls = {}): Promise<{ ca?: Buffer; cert?: Buffer; key?: Buffer }> {
  const named = Object.entries(tls).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const read = named.map(async ([name, path]) => {
    const bytes = await readFile(path).catch((cause: unknown) => {
      throw new MillraceError(
        "invalid-settings",
        `Cannot read tls.${name} "${path}": ${describeError(cause)}, expected a PEM file`,
        { cause },
      );
    });
    return [name, bytes] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}
