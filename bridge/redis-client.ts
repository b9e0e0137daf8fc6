/** The connection the Redis channels source, its probe and the producer share the making of: one try, errors of the one table. */
import { createClient, ErrorReply } from "redis";
import { describeError, MillraceError } from "../functions/core/errors.ts";

/** Milliseconds for the server to answer a new connection. */
const CONNECT_MS = 10_000;

export interface ConnectOptions {
  /**
   * It keeps no process alive. What cannot be let go of is a connection that is neither taken nor refused yet: a process that has ended
   * otherwise waits for it, up to CONNECT_MS. Default false.
   */
  readonly isBackground?: boolean;
}

export type RedisClient = ReturnType<typeof createRedisClient>;

/**
 * Connects once, and never again by itself: reconnecting is `run`'s.
 * @param url `redis://` or `rediss://`, with the credentials.
 * @param onLost Called with what ended the connection, possibly more than once.
 * @returns undefined when the signal aborted first.
 * @throws MillraceError `unauthorized` when the credentials are refused, else `unavailable`.
 */
export async function connectRedisOnce(
  url: string,
  onLost: (cause: unknown) => void,
  signal: AbortSignal,
  { isBackground = false }: ConnectOptions = {},
): Promise<RedisClient | undefined> {
  if (signal.aborted) return undefined;
  const what = `Cannot connect to Redis "${new URL(url).host}"`;
  const client = createRedisClient(url);
  // Before there is a socket, so that it is made like that.
  if (isBackground) client.unref();
  let late: MillraceError | undefined;
  client.on("error", onLost);
  client.on("end", () => onLost(new Error("the connection was closed")));
  const onAbort = () => client.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = setTimeout(() => {
    late = redisError(what, new Error(`no answer in ${CONNECT_MS} ms`));
    client.destroy();
  }, CONNECT_MS);
  if (isBackground) timer.unref();
  try {
    await client.connect();
    // A server that reads its data from disk takes connections, and answers everything with LOADING.
    await client.ping();
    return client;
  } catch (cause) {
    client.destroy();
    if (signal.aborted) return undefined;
    throw late ?? redisError(what, cause);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

function createRedisClient(url: string) {
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    socket: { reconnectStrategy: false, connectTimeout: CONNECT_MS },
  });
}

/** What the client library threw, as one of ours. */
export function redisError(what: string, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const reply = cause instanceof ErrorReply ? cause.message : "";
  if (/^(WRONGPASS|NOAUTH)\b|invalid password|no password is set/.test(reply)) {
    const message = `${what}: the server refused the credentials, expected those in the URL to be valid`;
    return new MillraceError("unauthorized", message, { cause });
  }
  if (reply.startsWith("NOPERM")) {
    const message = `${what}: no permission (${reply}), expected the user to have it`;
    return new MillraceError("forbidden", message, { cause });
  }
  const was =
    cause instanceof AggregateError ? cause.errors.map(describeError).join(", ") : describeError(cause);
  return new MillraceError("unavailable", `${what}: ${was}, expected a server that answers`, { cause });
}
