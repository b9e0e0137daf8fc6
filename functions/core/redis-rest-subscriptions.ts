/**
 * Subscriptions over Redis's REST interface that come back by themselves: one event stream a channel, however many handlers, open while
 * there are any. What a stream may have missed is announced by `restored()`, which costs who listens one read.
 */
import { backoffMs, jitter, sleep } from "./backoff.ts";
import { MillraceError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import { openRedisRestStream, type RedisRestStream } from "./redis-rest-stream.ts";

/** All in milliseconds. */
export interface RedisRestTimes {
  /** What a command, and the confirmation of a subscription, may take. */
  readonly deadlineMs: number;
  /** A server that sends comments (`millrace redis-rest`: every 5 s) and was silent for so long is given up: two of them are missing. */
  readonly heartbeatMs: number;
  /**
   * A server that sends none (Upstash) may be silent because nothing happens, or because the stream has stalled: after so long the log
   * is read, then after twice as long, up to `maxLookMs`. Over 5 s, so that comments come before the first look.
   */
  readonly lookMs: number;
  readonly maxLookMs: number;
  /** Such a stream is opened anew after so much silence: otherwise a stalled one would be read in looks for ever. */
  readonly reopenMs: number;
  /** Between two reads, on average, where the server has no SUBSCRIBE; a handler may want less. */
  readonly pollMs: number;
  /**
   * SUBSCRIBE is tried again after about a second of these, then after twice as long, up to `pollForMs`: a proxy may have said 404 while a
   * gateway was replaced, or another stream has ended.
   */
  readonly pollForMs: number;
  /** Between tries to open a stream again, at most. */
  readonly maxBackoffMs: number;
}

/**
 * Redis commands a company with clients costs while nothing happens: none over a server that sends comments (which itself sends up to
 * 720 PINGs an hour, for all companies together); over one that sends none 240 reads and 60 SUBSCRIBEs an hour; polled, 3,600 reads an
 * hour. The number of events and of clients does not enter.
 */
export const REDIS_REST_TIMES: RedisRestTimes = {
  deadlineMs: 5_000,
  heartbeatMs: 12_000,
  lookMs: 7_500,
  maxLookMs: 15_000,
  reopenMs: 60_000,
  pollMs: 1_000,
  pollForMs: 300_000,
  maxBackoffMs: 5_000,
};

export interface RedisRestSubscriptionsOptions {
  readonly url: string;
  readonly token: string;
  readonly times: RedisRestTimes;
  readonly logger: Logger;
}

/** As SubscriptionHandler in ports/redis-connection.ts. */
interface Handler {
  message(payload: string): void;
  restored(): void;
  readonly withinMs?: number;
}

/** Milliseconds of polling before SUBSCRIBE is tried again for the first time. */
const FIRST_POLL_MS = 1_000;
/** Milliseconds a stream lasts that was not refused in disguise: asked for as often, it costs what polling does. */
const STEADY_MS = 1_000;
/** Comments over one stream that make a server one that sends them: the first may be a greeting. */
const COMMENTS = 2;

interface Channel {
  readonly name: string;
  readonly handlers: Set<Handler>;
  /** Those of them that were told that the subscription is up. */
  readonly told: Set<Handler>;
  /** Settles with the next try to open the stream; resolved while it is up. */
  up: PromiseWithResolvers<void>;
  readonly closing: AbortController;
}

export interface RedisRestSubscriptions extends AsyncDisposable {
  /** As in ports/redis-connection.ts. */
  subscribe(channel: string, handler: Handler): Promise<() => void>;
}

export function createRedisRestSubscriptions({
  url,
  token,
  times,
  logger,
}: RedisRestSubscriptionsOptions): RedisRestSubscriptions {
  const server = new URL(url).host;
  const channels = new Map<string, Channel>();
  const running = new Set<Promise<void>>();
  /** This server sends comments all the time, as far as is known. */
  let sendsComments = false;
  /** It has let us in: who changes the token later is waited for. */
  let wasLetIn = false;
  let isLost = false;
  let isDisposed = false;

  const tellRestored = (channel: Channel) => {
    for (const handler of channel.told) handler.restored();
  };

  const isUp = (channel: Channel) => {
    const missed = [...channel.told];
    for (const handler of channel.handlers) channel.told.add(handler);
    channel.up.resolve();
    for (const handler of missed) handler.restored();
  };

  /** Those that are polled: their number is no reason for a line each. */
  const polled = new Set<Channel>();

  /** Until the stream has ended or was given up. */
  const watch = async (
    channel: Channel,
    stream: RedisRestStream,
    look: { afterMs: number },
    comments: () => number,
  ) => {
    let lookedMs = 0;
    while (!stream.ended.aborted) {
      const heardMs = stream.heardMs();
      const limitMs = sendsComments ? times.heartbeatMs : Math.min(look.afterMs, times.maxLookMs);
      const leftMs = Math.max(heardMs, lookedMs) + limitMs - performance.now();
      if (leftMs > 0) {
        await sleep(leftMs, stream.ended);
        continue;
      }
      const silentMs = performance.now() - heardMs;
      if (sendsComments || silentMs >= times.reopenMs) {
        // Another server may have taken its place.
        if (comments() < COMMENTS) sendsComments = false;
        stream.close(`silent for ${Math.round(silentMs)} ms`);
      } else {
        lookedMs = performance.now();
        look.afterMs = Math.min(2 * look.afterMs, times.maxLookMs);
        tellRestored(channel);
      }
    }
  };

  const pollDelayMs = ({ handlers }: Channel) => {
    const withinMs = Math.min(
      ...Array.from(handlers, (handler) => handler.withinMs ?? Number.POSITIVE_INFINITY),
    );
    // What is left is for the read itself.
    return Math.min(jitter(times.pollMs), 0.75 * withinMs);
  };

  const poll = async (channel: Channel, forMs: number) => {
    const untilMs = performance.now() + forMs;
    while (!channel.closing.signal.aborted && performance.now() < untilMs) {
      await sleep(pollDelayMs(channel), channel.closing.signal);
      if (!channel.closing.signal.aborted) tellRestored(channel);
    }
  };

  const keep = async (channel: Channel) => {
    const { signal } = channel.closing;
    const look = { afterMs: times.lookMs };
    let failures = 0;
    let polls = 0;
    while (!signal.aborted) {
      let comments = 0;
      const opened = await openRedisRestStream({
        ...{ url, token, channel: channel.name, deadlineMs: times.deadlineMs, signal },
        message(payload) {
          look.afterMs = times.lookMs;
          for (const handler of channel.handlers) handler.message(payload);
        },
        comment() {
          if (++comments === COMMENTS) sendsComments = true;
        },
      });
      if (signal.aborted) break;
      if (opened.kind === "open") {
        wasLetIn = true;
        polls = 0;
        polled.delete(channel);
        if (isLost) logger.info({ server }, "Wake-ups over REST are back");
        isLost = false;
        const upMs = performance.now();
        isUp(channel);
        await watch(channel, opened, look, () => comments);
        channel.up = pending();
        // One that ends at once, time and again, must not be asked without a pause.
        failures = performance.now() - upMs > Math.min(STEADY_MS, times.maxBackoffMs) ? 0 : failures + 1;
        logger.debug({ server, reason: opened.ended.reason }, "A stream of wake-ups over REST has ended");
      } else if (opened.kind === "unsupported") {
        if (polled.size === 0) {
          logger.warn(
            { server, reason: opened.reason },
            "No SUBSCRIBE over REST, reading the log every second instead",
          );
        }
        polled.add(channel);
        isUp(channel);
        await poll(channel, Math.min(jitter(FIRST_POLL_MS * 2 ** polls++), times.pollForMs));
        channel.up = pending();
        failures = 0;
        continue;
      } else {
        const { reason } = opened;
        channel.up.reject(
          opened.kind === "refused" && !wasLetIn ? refused(server, reason) : unavailable(server, reason),
        );
        channel.up = pending();
        if (!isLost && channel.told.size > 0) {
          isLost = true;
          logger.warn({ server, reason }, "Cannot get wake-ups over REST, trying again");
        }
        failures++;
      }
      await sleep(backoffMs(failures, { maxMs: times.maxBackoffMs }), signal);
    }
    polled.delete(channel);
    channel.up.reject(unavailable(server, "the subscription is closed"));
  };

  const open = (name: string): Channel => {
    const channel: Channel = {
      name,
      ...{ handlers: new Set<Handler>(), told: new Set<Handler>(), up: pending() },
      closing: new AbortController(),
    };
    channels.set(name, channel);
    const ended = keep(channel).finally(() => running.delete(ended));
    running.add(ended);
    return channel;
  };

  const close = (channel: Channel) => {
    if (channels.get(channel.name) === channel) channels.delete(channel.name);
    channel.closing.abort();
  };

  return {
    async subscribe(name, handler) {
      if (isDisposed) throw unavailable(server, "the connection is closed");
      const channel = channels.get(name) ?? open(name);
      channel.handlers.add(handler);
      const end = () => {
        channel.told.delete(handler);
        if (channel.handlers.delete(handler) && channel.handlers.size === 0) close(channel);
      };
      try {
        await channel.up.promise;
      } catch (error) {
        end();
        throw error;
      }
      channel.told.add(handler);
      return end;
    },
    async [Symbol.asyncDispose]() {
      isDisposed = true;
      for (const channel of channels.values()) close(channel);
      await Promise.all(running);
    },
  };
}

/** A promise that nobody need wait for. */
function pending(): PromiseWithResolvers<void> {
  const resolvers = Promise.withResolvers<void>();
  resolvers.promise.catch(() => {});
  return resolvers;
}

/** `server`: host and port of the URL. */
export function unavailable(server: string, reason: string): MillraceError {
  return new MillraceError("unavailable", `Cannot use Redis over REST at "${server}": ${reason}`);
}

export function refused(server: string, reason: string): MillraceError {
  return new MillraceError(
    "invalid-settings",
    `Cannot use Redis over REST at "${server}": ${reason}, expected UPSTASH_REDIS_REST_TOKEN to be let in`,
  );
}
