/** The connection the NATS sources share the making of: credentials from the URL, errors of the one table, no reconnecting of its own. */
import {
  AuthorizationError,
  type ConnectionOptions,
  connect,
  type MsgHdrs,
  type NatsConnection,
  PermissionViolationError,
  UserAuthenticationExpiredError,
  wsconnect,
} from "@nats-io/transport-node";
import { describeError, MillraceError } from "../functions/core/errors.ts";
import type { RawMessage } from "../functions/ports/broker-source.ts";

/** Milliseconds for the server to answer a new connection. */
const CONNECT_MS = 10_000;
/** Milliseconds between pings; two without an answer end the connection, so a dead peer is noticed within half a minute. */
const PING_MS = 10_000;
/** Milliseconds a connection that is given up has to send what it holds. */
const FLUSH_MS = 1000;

/**
 * Connects once, and never again by itself: reconnecting is `run`'s.
 * @param url `nats://`, `tls://`, `ws://` or `wss://`, with `user:password@` or `token@` where needed (the client library does not
 * read them from a URL).
 * @returns undefined when the signal aborted first.
 * @throws MillraceError `unauthorized` when the credentials are refused, else `unavailable`.
 */
export async function connectNats(
  url: string,
  clientName: string,
  signal: AbortSignal,
): Promise<NatsConnection | undefined> {
  const { protocol, host, username, password } = new URL(url);
  const isWeb = protocol === "ws:" || protocol === "wss:";
  const user = unescaped(username);
  const options: ConnectionOptions = {
    servers: isWeb ? `${protocol}//${host}` : host,
    name: clientName,
    reconnect: false,
    timeout: CONNECT_MS,
    pingInterval: PING_MS,
    ...(protocol === "tls:" ? { tls: {} } : {}),
    ...(password ? { user, pass: unescaped(password) } : user ? { token: user } : {}),
  };
  const connecting = (isWeb ? wsconnect : connect)(options).catch((cause: unknown) => {
    throw natsError(`Cannot connect to NATS "${host}"`, cause);
  });
  // The library cannot be told to stop; a connection that comes too late is closed.
  const aborted = Promise.withResolvers<undefined>();
  const onAbort = () => aborted.resolve(undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([connecting, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (signal.aborted)
      connecting.then(
        (connection) => connection.close(),
        () => {},
      );
  }
}

/** Percent-decoded; as it is when it holds a percent sign that escapes nothing. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What both kinds of message have in common. The id that the publisher gave wins over the broker's. */
export function rawNatsMessage(
  message: { readonly subject: string; readonly data: Uint8Array; readonly headers?: MsgHdrs | undefined },
  brokerId?: string,
): RawMessage {
  const headers: Record<string, string> = {};
  for (const [name, [value]] of message.headers ?? []) {
    if (value !== undefined) headers[name.toLowerCase()] ??= value;
  }
  return {
    subject: message.subject,
    headers,
    body: message.data,
    messageId: headers["nats-msg-id"] || brokerId,
  };
}

/** What the client library threw, as one of ours. */
export function natsError(what: string, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause;
  if (cause instanceof AuthorizationError || cause instanceof UserAuthenticationExpiredError) {
    const message = `${what}: the server refused the credentials, expected those in the source's url to be valid`;
    return new MillraceError("unauthorized", message, { cause });
  }
  if (cause instanceof PermissionViolationError) {
    const { operation, subject } = cause;
    const message = `${what}: no permission for ${operation} of "${subject}", expected the account to allow it`;
    return new MillraceError("forbidden", message, { cause });
  }
  return new MillraceError(
    "unavailable",
    `${what}: ${describeError(cause)}, expected a server that answers`,
    {
      cause,
    },
  );
}

/** Sends what is held, for at most a second, and closes. Never throws. */
export async function closeNats(connection: NatsConnection): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, FLUSH_MS);
  // A flush whose connection is lost stays pending for good.
  await Promise.race([connection.flush(), connection.closed(), late.promise]).catch(() => {});
  clearTimeout(timer);
  await connection.close().catch(() => {});
}
