/**
 * One connection to Redis that comes back by itself: a client of the `redis` package for as long as its socket lives, then another
 * one. The client's own reconnecting is off, because it has no way to give up a socket that has gone silent.
 */
import { ClientClosedError, createClient, DisconnectsClientError, ErrorReply } from "redis";
import { backoffMs, sleep } from "../../core/backoff.ts";
import { describeError, MillraceError } from "../../core/errors.ts";
import type { Logger } from "../../core/logger.ts";
import { WILL_PASS } from "../../core/redis-replies.ts";

/** Milliseconds a connect or a command may take. A script holds Redis for some milliseconds, so this is a server that is not there. */
const DEADLINE_MS = 5_000;
/** Milliseconds between tries to connect, at most: a Redis that is back should not be waited for. */
const MAX_BACKOFF_MS = 2_000;

/** Replies of a server that refuses whom REDIS_URL names. */
const REFUSED = /^(?:WRONGPASS|NOAUTH|NOPERM|ERR AUTH|ERR invalid password)\b/;

export type Client = ReturnType<typeof createClientFor>;

export interface RedisLink extends AsyncDisposable {
  /** The client that is connected; waits for the first try to connect. @throws MillraceError `unavailable` when there is none, `invalid-settings` when it never let us in. */
  connected(): Promise<Client>;
  /** As `connected`, for a caller that cannot wait. */
  current(): Client;
  /**
   * Waits for a reply at most DEADLINE_MS. A connection on which no reply at all came for so long is given up.
   * @throws MillraceError `unavailable`; a reply error is thrown as it is, unless it will pass.
   */
  answer<T>(client: Client, call: Promise<T>): Promise<T>;
}

export interface RedisLinkOptions {
  readonly url: string;
  readonly logger: Logger;
  /** Runs on each new client before it is used; when it throws, the client is given up. */
  readonly prepare: (client: Client) => Promise<void>;
  /** Runs on a client that cannot be used yet because a script holds the server. */
  readonly busy?: (client: Client) => Promise<void>;
}

function createClientFor(url: string) {
  return createClient({
    url,
    RESP: 2,
    disableOfflineQueue: true,
    maintNotifications: "disabled",
    // The package times a command only until it is written; `answer` does more.
    commandOptions: { timeout: 0 },
    socket: { reconnectStrategy: false, connectTimeout: DEADLINE_MS },
  });
}

/** @throws MillraceError `invalid-settings` when the URL is none of Redis. Nothing of it is in the message: it may hold a password. */
export function openRedisLink({ url, logger, prepare, busy }: RedisLinkOptions): RedisLink {
  const server = parseServer(url);
  const closing = new AbortController();
  const firstTry = Promise.withResolvers<void>();
  let client: Client | undefined;
  let opening: Client | undefined;
  /** Why there is no client. */
  let lost = "not connected yet";
  /** Why we gave `opening` up, if we did: what its socket says then is only a consequence. */
  let givenUp: string | undefined;
  let lastReplyMs = 0;
  /** Set until the first connection: later the server has let us in with these credentials, and an operator who changes them is waited for. */
  let refusal: MillraceError | undefined;

  const unavailable = (reason: string, cause?: unknown) =>
    new MillraceError("unavailable", `Cannot use Redis at "${server}": ${reason}`, { cause });

  const refused = (reason: string, cause: unknown) =>
    new MillraceError(
      "invalid-settings",
      `Cannot use Redis at "${server}": ${reason}, expected the user and password of REDIS_URL to be let in`,
      { cause },
    );

  /** Uses one client until it is lost. @throws what ended it. */
  const useOne = async (onReady: () => void) => {
    const own = createClientFor(url);
    opening = own;
    givenUp = undefined;
    const ended = new Promise<never>((_, reject) => {
      own.on("error", reject);
      own.on("end", () => reject(new Error(lost)));
    });
    // Awaited only once the client is ready.
    ended.catch(() => {});
    const timer = setTimeout(() => giveUp(own, `no answer in ${DEADLINE_MS} ms`), DEADLINE_MS);
    try {
      await own.connect();
      // A server that reads its data from disk takes connections, and answers everything with LOADING.
      await own.sendCommand(["PING"]).catch(async (error: unknown) => {
        if (error instanceof ErrorReply && error.message.startsWith("BUSY ")) await busy?.(own);
        throw error;
      });
      await prepare(own);
      clearTimeout(timer);
      lastReplyMs = performance.now();
      client = own;
      onReady();
      await ended;
    } finally {
      clearTimeout(timer);
      client = undefined;
      own.destroy();
    }
  };

  const giveUp = (own: Client, reason: string) => {
    if (own !== opening) return;
    lost = givenUp = reason;
    own.destroy();
  };

  const keepConnected = async () => {
    let wasConnected = false;
    for (let failures = 0; !closing.signal.aborted; ) {
      try {
        await useOne(() => {
          if (failures > 0) logger.info({ server }, "Connected to Redis again");
          failures = 0;
          wasConnected = true;
          refusal = undefined;
          firstTry.resolve();
        });
      } catch (error) {
        if (closing.signal.aborted) break;
        lost = givenUp ?? reasonOf(error);
        if (!wasConnected && REFUSED.test(lost)) refusal = refused(lost, error);
        if (failures++ === 0) logger.warn({ server, reason: lost }, "Cannot reach Redis, trying again");
      }
      firstTry.resolve();
      await sleep(backoffMs(failures - 1, { maxMs: MAX_BACKOFF_MS }), closing.signal);
    }
    lost = "the connection is closed";
    firstTry.resolve();
  };
  const ended = keepConnected();

  const current = () => {
    if (client === undefined) throw refusal ?? unavailable(lost);
    return client;
  };

  return {
    current,
    async connected() {
      await firstTry.promise;
      return current();
    },
    async answer(own, call) {
      const late = Promise.withResolvers<never>();
      const startMs = performance.now();
      const timer = setTimeout(() => {
        const reason = `no answer in ${DEADLINE_MS} ms`;
        if (lastReplyMs <= startMs) giveUp(own, reason);
        late.reject(unavailable(reason));
      }, DEADLINE_MS);
      try {
        const reply = await Promise.race([call, late.promise]);
        lastReplyMs = performance.now();
        return reply;
      } catch (error) {
        if (error instanceof MillraceError) throw error;
        if (!(error instanceof ErrorReply)) {
          const isOurs = error instanceof DisconnectsClientError || error instanceof ClientClosedError;
          throw unavailable(isOurs ? lost : reasonOf(error), error);
        }
        lastReplyMs = performance.now();
        if (!WILL_PASS.test(error.message)) throw error;
        // A primary that became a replica: after a fail-over the name leads to the new one.
        if (error.message.includes("READONLY")) giveUp(own, error.message);
        throw unavailable(error.message, error);
      } finally {
        clearTimeout(timer);
      }
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      opening?.destroy();
      await ended;
    },
  };
}

/** Host and port, for messages. */
function parseServer(url: string): string {
  try {
    // Finds what is wrong with the rest of it too.
    createClientFor(url).destroy();
    return new URL(url).host;
  } catch {
    throw new MillraceError(
      "invalid-settings",
      "Cannot read the URL of Redis: expected redis://[user:password@]host[:port][/database] or rediss://…",
    );
  }
}

/** What went wrong with a socket. Node tries all addresses of a name and then reports with an empty message. */
function reasonOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(describeError).join(", ") : describeError(error);
}
