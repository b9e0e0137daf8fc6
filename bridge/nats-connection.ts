/** The connection everything of NATS shares the making of: credentials, TLS, errors of the one table, no reconnecting of its own. */
import {
  AuthorizationError,
  ConnectionError,
  type ConnectionOptions,
  connect,
  type MsgHdrs,
  type NatsConnection,
  PermissionViolationError,
  UserAuthenticationExpiredError,
  wsconnect,
} from "@nats-io/transport-node";
import { describeError, type ErrorCode, MillraceError } from "../functions/core/errors.ts";
import { quote } from "../functions/core/ids.ts";
import type { RawMessage } from "../functions/ports/broker-source.ts";
import { unescaped, unlessAborted } from "./connect-once.ts";
import { type NatsFiles, readNatsFiles } from "./nats-files.ts";

/** Milliseconds for the server to answer a new connection. */
const CONNECT_MS = 10_000;
/** Milliseconds between pings; two without an answer end the connection, so a dead peer is noticed within half a minute. */
const PING_MS = 10_000;
/** Milliseconds a connection that is given up has to send what it holds. */
const FLUSH_MS = 1000;

/** A server, and how it is to know us. Files are read at every connection, so that new ones need no restart. */
export interface NatsServer extends NatsFiles {
  /**
   * `nats://`, `tls://`, `ws://` or `wss://`, with `user:password@` or `token@` where needed (the client library does not read them from
   * a URL).
   */
  readonly url: string;
}

/**
 * Connects once, and never again by itself: reconnecting is `run`'s.
 * @returns undefined when the signal aborted first.
 * @throws MillraceError `invalid-settings` naming a file that cannot be used, `unauthorized` when the credentials are refused or the
 * server's certificate is not trusted, else `unavailable`.
 */
export async function connectNats(
  { url, ...files }: NatsServer,
  clientName: string,
  signal: AbortSignal,
): Promise<NatsConnection | undefined> {
  if (signal.aborted) return undefined;
  const { protocol, host, username, password } = new URL(url);
  const isWeb = protocol === "ws:" || protocol === "wss:";
  const user = unescaped(username);
  const { tls, authenticator } = readNatsFiles(files);
  const options: ConnectionOptions = {
    servers: isWeb ? `${protocol}//${host}` : host,
    name: clientName,
    reconnect: false,
    timeout: CONNECT_MS,
    pingInterval: PING_MS,
    ...(protocol === "tls:" || tls ? { tls: tls ?? {} } : {}),
    ...(authenticator ? { authenticator } : {}),
    ...(password ? { user, pass: unescaped(password) } : user ? { token: user } : {}),
  };
  const connecting = (isWeb ? wsconnect : connect)(options).catch((cause: unknown) => {
    const file = files.credentials ?? files.nkey;
    const by = file === undefined ? "" : ` with ${quote(file)}`;
    const what = `Cannot connect to NATS "${host}"${by}`;
    // A certificate of ours may be what we are known by.
    const isNobody = !user && !password && file === undefined && files.tls?.cert === undefined;
    if (isNobody && cause instanceof AuthorizationError) {
      const expected = "user:password@ or token@ in the url, NATS_CREDS or NATS_NKEY";
      const message = `${what}: the server wants credentials and none were given, expected ${expected}`;
      throw new MillraceError("unauthorized", message, { cause });
    }
    // A server that refuses our certificate, or misses it, says so and resets the connection: the reset may overtake what it says.
    if (options.tls && codeOf(cause) === "ECONNRESET") {
      const certificate =
        files.tls?.cert === undefined ? "asks for a certificate of ours" : "refused our certificate";
      const expected = `a server that lets us in (perhaps it ${certificate}: tls.cert and tls.key)`;
      throw new MillraceError("unavailable", `${what}: connection reset, expected ${expected}`, { cause });
    }
    // The library says so whatever the reason is, of TLS too.
    if (isWeb && cause instanceof ConnectionError && cause.message === "connection refused") {
      const expected = "a WebSocket listener there, wss:// where it has TLS and ws:// where it has none";
      throw new MillraceError("unavailable", `${what}: connection refused, expected ${expected}`, { cause });
    }
    throw natsError(what, cause);
  });
  return unlessAborted(connecting, signal, (connection) => connection.close());
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
    const message = `${what}: the server refused the credentials, expected valid ones`;
    return new MillraceError("unauthorized", message, { cause });
  }
  const tls = tlsProblem(cause);
  if (tls !== undefined) return new MillraceError(tls.code, `${what}: ${tls.text}`, { cause });
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

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | undefined)?.code ?? "");
}

/** What TLS failed of, in words of ours: OpenSSL's name source files. */
function tlsProblem(cause: unknown): { readonly code: ErrorCode; readonly text: string } | undefined {
  for (let error = cause; error instanceof Error; error = error.cause) {
    const code = codeOf(error);
    if (/ALERT/.test(code)) {
      const expected = "tls.cert and tls.key of an authority it trusts";
      return {
        code: "unauthorized",
        text: `the server refused our certificate (${code}), expected ${expected}`,
      };
    }
    if (/^ERR_OSSL|KEY_VALUES_MISMATCH/.test(code)) {
      const expected = "tls.cert and tls.key in PEM that belong together";
      return { code: "invalid-settings", text: `the TLS files do not work (${code}), expected ${expected}` };
    }
    if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(code)) {
      const expected = "one that tls.ca (NATS_TLS_CA) vouches for, for this host";
      return {
        code: "unauthorized",
        text: `the server's certificate is not trusted (${code}), expected ${expected}`,
      };
    }
    if (/^ERR_SSL|^EPROTO$/.test(code)) {
      const expected = "a server that speaks TLS there, or nats:// in the url and no tls";
      return { code: "invalid-settings", text: `TLS failed (${code}), expected ${expected}` };
    }
    if (error.message.includes("does not support 'tls'")) {
      return { code: "invalid-settings", text: "the server has no TLS, expected tls:// only where it has" };
    }
  }
  return undefined;
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
