/**
 * RedisConnection over REST: Upstash, or any Redis behind `millrace redis-rest`. For runtimes without sockets, so web standards only.
 * Every call is a request of its own: calls sent together may run in any order. Nothing blocks, and nothing is tried twice.
 */
import { Redis } from "@upstash/redis/cloudflare";
import { describeError, MillraceError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { WILL_PASS } from "../core/redis-replies.ts";
import { reasonOf } from "../core/redis-rest-stream.ts";
import {
  createRedisRestSubscriptions,
  REDIS_REST_TIMES,
  type RedisRestTimes,
  refused,
  unavailable,
} from "../core/redis-rest-subscriptions.ts";
import type { RedisConnection, RedisReply } from "../ports/redis-connection.ts";

/**
 * Upstash runs a script with the whole database locked unless it says that it uses its KEYS only, as all of ours do (Upstash, Key-Based
 * Locking). Redis 7 refuses the flag, Redis 6 the line.
 */
const KEY_LOCKING = "#!lua flags=allow-key-locking\n";
const KEY_LOCKING_REFUSED = /shebang|Error compiling script/i;

/** Commands of one request: `millrace redis-rest` takes 10,000, and both ends hold all the replies at once. */
const MAX_PIPELINE = 1_000;

/** Answers to a token that is not let in, Upstash's and ours. */
const REFUSED = /^(?:Unauthorized|WRONGPASS|NOAUTH)\b/i;
/** Reply of Upstash for a database that has used up what its plan gives it for now. */
const OVER_LIMIT = /^ERR max \w+ .*limit exceeded/i;
/** Of the interface, about a request that would be no smaller the next time. */
const TOO_LARGE = /request size/i;

export interface RedisRestOptions {
  /** `https://` of the REST interface, `http://` inside a network. */
  readonly url: string;
  /** Neither logged nor in a message. */
  readonly token: string;
  readonly logger: Logger;
  /** Whether scripts begin as saying that they lock their keys only, until the server refuses that. Default: on Upstash's hosts. */
  readonly keyLocking?: boolean;
  /** Default REDIS_REST_TIMES. */
  readonly times?: Partial<RedisRestTimes>;
}

interface Answer {
  readonly result?: unknown;
  readonly error?: string | undefined;
}

/**
 * Nothing is sent before the first call. A call takes at most `deadlineMs`, and fails with `unavailable` while the server is away.
 * A subscription that was up comes back by itself; where the server has no SUBSCRIBE, `restored()` is called about once a second.
 * @throws MillraceError `invalid-settings` when the URL is none; a call, when the token was never let in.
 */
export function connectRedisRest(options: RedisRestOptions): RedisConnection {
  const { token, logger } = options;
  const url = parseUrl(options.url);
  const { host, hostname } = new URL(url);
  const times = { ...REDIS_REST_TIMES, ...options.times };
  const hashes = new Map<string, string>();
  let locksKeys = options.keyLocking ?? hostname.endsWith(".upstash.io");
  let wasLetIn = false;
  let isClosed = false;

  const sender = createSender(url, token, times.deadlineMs);
  const subscriptions = createRedisRestSubscriptions({ url, token, times, logger });

  /** What a reply error means. */
  const replyError = (text: string): Error => {
    if (text.startsWith("NOPERM")) {
      return new MillraceError(
        "invalid-settings",
        `Cannot use Redis over REST at "${host}": ${text}, expected UPSTASH_REDIS_REST_TOKEN to be the one that may write`,
      );
    }
    return WILL_PASS.test(text) || OVER_LIMIT.test(text) ? unavailable(host, text) : new Error(text);
  };

  /** What the answer to a request as a whole means: nothing of it was read, or the interface has no Redis. */
  const requestError = (error: unknown): Error => {
    if (!(error instanceof Error && error.name === "UpstashError")) {
      return unavailable(host, transportReason(error));
    }
    const text = answerOf(error);
    if (REFUSED.test(text)) return wasLetIn ? unavailable(host, text) : refused(host, text);
    return TOO_LARGE.test(text) ? new Error(text) : unavailable(host, text);
  };

  /**
   * One request, however few the commands: as `/pipeline` alone tells an error of Redis, which is an answer in the list, from one of
   * what stands before it. The package does not tell the status.
   */
  const ask = async (commands: readonly (readonly string[])[]): Promise<RedisReply[]> => {
    if (isClosed) throw unavailable(host, "the connection is closed");
    const answers = await sender.send(commands, ["pipeline"]).catch((error: unknown) => {
      throw requestError(error);
    });
    if (!Array.isArray(answers) || answers.length !== commands.length) {
      throw unavailable(host, `${commands.length} commands were not answered one by one`);
    }
    wasLetIn = true;
    return (answers as Answer[]).map(({ result, error }) => {
      if (error !== undefined) throw replyError(error);
      return result as RedisReply;
    });
  };

  const command = async (args: readonly string[]): Promise<RedisReply> => (await ask([args]))[0]!;

  const hashOf = async (lua: string): Promise<string> => {
    const known = hashes.get(lua);
    if (known !== undefined) return known;
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-1", new TextEncoder().encode(lua)));
    const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
    // The text, not its promise: in a Worker one request must not wait for a promise of another.
    hashes.set(lua, hash);
    return hash;
  };

  const runScript = async (lua: string, args: readonly string[]): Promise<RedisReply> => {
    const locking = locksKeys;
    const text = locking ? KEY_LOCKING + lua : lua;
    try {
      return await command(["EVALSHA", await hashOf(text), ...args]);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
    }
    try {
      return await command(["EVAL", text, ...args]);
    } catch (error) {
      // Refused before it ran.
      if (!locking || !KEY_LOCKING_REFUSED.test(describeError(error))) throw error;
    }
    locksKeys = false;
    return runScript(lua, args);
  };

  return {
    command,
    async pipeline(commands) {
      const results: RedisReply[] = [];
      for (let from = 0; from < commands.length; from += MAX_PIPELINE) {
        results.push(...(await ask(commands.slice(from, from + MAX_PIPELINE))));
      }
      return results;
    },
    script: (lua, keys, args) => runScript(lua, [String(keys.length), ...keys, ...args]),
    async subscribe(channel, handler) {
      return subscriptions.subscribe(channel, handler);
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      sender.abort("the connection is closed");
      await subscriptions[Symbol.asyncDispose]();
    },
  };
}

/**
 * Not base64: what we store is text, and JSON carries it whole at three quarters of the bytes. Not deserialized: numbers over 2^53 would
 * change. Not tried again: a repeated append is harmless, another command need not be.
 */
function createSender(url: string, token: string, deadlineMs: number) {
  const underWay = new Set<AbortController>();
  let next: AbortController;
  // `client` is for subclasses; the package has no other way to send several commands as they are.
  class Sender extends Redis {
    send(body: unknown, path: string[]): Promise<unknown> {
      return this.client.request({ body, path });
    }
  }
  const sender = new Sender({
    ...{ url, token, retry: { retries: 0 }, responseEncoding: false, automaticDeserialization: false },
    ...{ enableAutoPipelining: false, enableTelemetry: false },
    // Asked for as the request is made. Given with the request, an abort would look like a reply.
    signal: () => next.signal,
  });
  return {
    async send(body: unknown, path: string[]): Promise<unknown> {
      const own = new AbortController();
      // Not AbortSignal.timeout: its timer goes on when the answer is there, and keeps a Durable Object awake.
      const timer = setTimeout(() => own.abort(new Error(`no answer in ${deadlineMs} ms`)), deadlineMs);
      underWay.add(own);
      next = own;
      try {
        return await sender.send(body, path);
      } catch (error) {
        throw own.signal.aborted ? own.signal.reason : error;
      } finally {
        clearTimeout(timer);
        underWay.delete(own);
      }
    },
    /** Fails what is under way. */
    abort(reason: string) {
      for (const one of underWay) one.abort(new Error(reason));
    },
  };
}

/** The text of an answer in an error of the package, which puts the whole request behind it: other people's events. */
function answerOf(error: Error): string {
  const end = error.message.indexOf(", command was: ");
  return end < 0 ? error.message : error.message.slice(0, end);
}

function transportReason(error: unknown): string {
  const isJson = !(error instanceof Error && error.name === "UpstashJSONParseError");
  return isJson ? reasonOf(error) : "an answer that is not JSON";
}

/** Without a slash at its end. A URL with a user in it is none: `fetch` refuses it, and the token has a place of its own. */
function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && url.username + url.password + url.search + url.hash === "") {
    return url.href.replace(/\/+$/, "");
  }
  throw new MillraceError(
    "invalid-settings",
    "Cannot read the URL of Redis over REST: expected https://host[:port] or http://host[:port]",
  );
}
