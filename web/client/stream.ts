/**
 * One stream of a Millrace server, kept open: reads `/stream/updates` by `fetch`, follows its cursor, and comes back by itself after
 * a cut without losing or repeating an event. No framework, no global state.
 */
import { createSseParser } from "./sse-parser.ts";

/** One event of the log. */
export interface StreamEvent {
  readonly type: string;
  /** JSON text, as it came. */
  readonly data: string;
  /** Where it stands in the log; opaque. */
  readonly cursor: string;
}

/** The server says that events between two cursors cannot be delivered. */
export interface StreamGap {
  /** `expired`, `reset` or `dropped`; another word is a newer server's. */
  readonly reason: string;
  readonly requested: string;
  readonly resumedAt: string;
}

/**
 * Where the connection stands. `live` comes with the first bytes, so that a refusal is never taken for a live stream.
 * `waiting` goes on to `connecting` by itself; `refused` (the server will not change its mind) and `closed` are final.
 */
export type StreamState =
  | { readonly kind: "connecting"; readonly resumeAfter: string }
  | { readonly kind: "live" }
  /** `untilMs`: the next try, milliseconds since 1970. */
  | { readonly kind: "waiting"; readonly reason: string; readonly untilMs: number }
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "closed" };

export interface StreamOptions {
  onEvent(event: StreamEvent): void;
  onGap(gap: StreamGap): void;
  onState(state: StreamState): void;
  /** The cursor to resume after. Default empty: from now on. */
  readonly lastEventId?: string;
  /** A stream silent for this many milliseconds is taken for dead. Default 45,000: three of the server's heartbeats. */
  readonly silenceMs?: number;
  /** Source of randomness in [0, 1); a test passes its own. */
  readonly random?: () => number;
}

export interface Stream {
  /** Closes for good. No callback is called after `closed`. Any number of times. */
  close(): void;
  /** The cursor to resume after; empty before the first. */
  readonly lastEventId: string;
}

/** Said in a stream by an event without an id, then the stream ends: the refusal will pass. */
const REFUSALS: ReadonlyMap<string, string> = new Map([
  ["busy", "the server is busy"],
  ["draining", "the server is shutting down"],
  ["disabled", "streaming is switched off"],
]);
/** Statuses of a server or proxy that may answer otherwise later; every other one but 200 is final. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);
/** Milliseconds before the first reconnect when the server has not said (the server's own `retry:`). */
const DEFAULT_RETRY_MS = 3000;
const LEAST_RETRY_MS = 100;
/** Milliseconds up to which the delay grows while the server stays away; `retry:` may ask for more. */
const MAX_BACKOFF_MS = 30_000;
/** Milliseconds; a longer delay makes `setTimeout` fire at once. */
const MAX_TIMEOUT_MS = 2_147_483_647;

type Outcome =
  | { readonly kind: "refused"; readonly reason: string }
  | { readonly kind: "ended"; readonly reason: string; readonly wasLive: boolean };

/** Opens the stream and keeps it open. Callbacks come in the order of the wire; one that throws stops nothing. */
export function connect(url: string | URL, options: StreamOptions): Stream {
  const { silenceMs = 45_000, random = Math.random } = options;
  let lastEventId = options.lastEventId ?? "";
  let retryMs = DEFAULT_RETRY_MS;
  let closed = false;
  let request = new AbortController();
  let stopWaiting = (): void => {};

  function tell(callback: () => void): void {
    if (closed) return;
    try {
      callback();
    } catch (error) {
      // The page's mistake: reported as its own, and no reason to drop the stream.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  async function readOnce(): Promise<Outcome> {
    request = new AbortController();
    const { signal } = request;
    let reason = "the stream ended";
    let wasLive = false;
    let refusal: string | undefined;
    let watchdog: ReturnType<typeof setTimeout> | undefined;
    const heard = (): void => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        reason = `nothing heard for ${Math.round(silenceMs / 1000)} s`;
        request.abort();
      }, silenceMs);
    };
    const goLive = (): void => {
      if (wasLive || refusal !== undefined) return;
      wasLive = true;
      tell(() => options.onState({ kind: "live" }));
    };
    const parser = createSseParser(
      {
        onRetry(ms) {
          retryMs = Math.max(ms, LEAST_RETRY_MS);
        },
        onEvent({ type, data, id }) {
          // An event of the log always has its cursor. What has none is the stream's own word.
          if (id === undefined) {
            refusal ??= REFUSALS.get(type);
            return;
          }
          lastEventId = id;
          goLive();
          if (type === "gap") tell(() => options.onGap(readGap(data)));
          else tell(() => options.onEvent({ type, data, cursor: id }));
        },
      },
      lastEventId,
    );
    try {
      heard();
      const headers: Record<string, string> = { accept: "text/event-stream" };
      if (lastEventId) headers["last-event-id"] = lastEventId;
      const response = await fetch(url, { headers, signal, cache: "no-store" });
      if (PASSING.has(response.status)) {
        const seconds = Number(response.headers.get("retry-after"));
        if (seconds > 0) retryMs = seconds * 1000;
        void response.body?.cancel();
        return { kind: "ended", reason: `the server answered ${response.status}`, wasLive };
      }
      if (response.status !== 200) return { kind: "refused", reason: await explain(response) };
      if (!response.headers.get("content-type")?.startsWith("text/event-stream") || !response.body) {
        void response.body?.cancel();
        return { kind: "refused", reason: "the answer is not an event stream" };
      }
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done || closed) break;
        heard();
        parser.push(value);
        lastEventId = parser.lastEventId;
        goLive();
      }
    } catch {
      // A network error has no readable cause in a browser; an abort by the watchdog has given its own.
      if (!signal.aborted) reason = wasLive ? "the connection was lost" : "the server cannot be reached";
    } finally {
      clearTimeout(watchdog);
    }
    return { kind: "ended", reason: refusal ?? reason, wasLive: wasLive && refusal === undefined };
  }

  async function run(): Promise<void> {
    for (let failures = 0; !closed; ) {
      tell(() => options.onState({ kind: "connecting", resumeAfter: lastEventId }));
      const outcome = await readOnce();
      if (outcome.kind === "refused") return tell(() => options.onState(outcome));
      failures = outcome.wasLive ? 0 : failures + 1;
      const delayMs = reconnectDelayMs(retryMs, failures, random);
      tell(() => options.onState({ kind: "waiting", reason: outcome.reason, untilMs: Date.now() + delayMs }));
      await new Promise<void>((resolve) => {
        if (closed) return resolve();
        const timer = setTimeout(resolve, delayMs);
        stopWaiting = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
  void run();

  return {
    close() {
      tell(() => options.onState({ kind: "closed" }));
      closed = true;
      request.abort();
      stopWaiting();
    },
    get lastEventId() {
      return lastEventId;
    },
  };
}

/**
 * The server's `retry:` spread by half either way, so that clients cut together do not come back together; doubled for each
 * failure after the first in a row (WHATWG HTML 9.2.3 leaves that back-off to the client).
 */
export function reconnectDelayMs(retryMs: number, failures: number, random: () => number): number {
  const grown = Math.min(MAX_BACKOFF_MS, retryMs * 2 ** Math.min(Math.max(failures - 1, 0), 20));
  return Math.min(MAX_TIMEOUT_MS, Math.round(Math.max(retryMs, grown) * (0.5 + random())));
}

function readGap(data: string): StreamGap {
  let gap: Record<string, unknown> = {};
  try {
    gap = Object(JSON.parse(data));
  } catch {}
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  return {
    reason: text(gap.reason) || "unknown",
    requested: text(gap.requested),
    resumedAt: text(gap.resumedAt),
  };
}

/** A final refusal's own words: `{error, message}`, else its status. */
async function explain(response: Response): Promise<string> {
  try {
    const { message } = Object(await response.json());
    if (typeof message === "string" && message) return `${message} (${response.status})`;
  } catch {}
  return `the server answered ${response.status}`;
}
