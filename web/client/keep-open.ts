/**
 * The loop that keeps a connection open: tries, waits longer after each failure, notices silence, and follows the page's life. What a
 * connection is (fetch, WebSocket, polling) is the caller's.
 */
import { listen } from "./listen.ts";
import { sleep } from "./sleep.ts";

/**
 * Where a connection stands. `live` comes with the first bytes, so that a refusal is never taken for a live stream. `waiting` and
 * `offline` go on to `connecting` by themselves; `refused` (the server will not change its mind) and `closed` are final.
 */
export type StreamState =
  /** `resumeAfter`: the cursor asked for; empty: from now on. */
  | { readonly kind: "connecting"; readonly resumeAfter: string }
  | { readonly kind: "live" }
  /** `untilMs`: the next try, milliseconds since 1970. */
  | { readonly kind: "waiting"; readonly reason: string; readonly untilMs: number }
  /** The browser says that there is no network; tried again when it says otherwise, and now and then until then. */
  | { readonly kind: "offline" }
  /** `status`: of the HTTP answer; 200 is a page that is no event stream. */
  | { readonly kind: "refused"; readonly status: number; readonly reason: string }
  | { readonly kind: "closed" };

/** One try, as the loop sees it. */
export interface Attempt {
  /** Aborted when the try is over, whatever ended it. */
  readonly signal: AbortSignal;
  /** Something arrived; when the next does not within the loop's `silenceMs`, the try is taken for dead. */
  heard(): void;
  /** This is a working connection. */
  live(): void;
  /** The server's own delay before the next connection, in milliseconds. */
  retry(ms: number): void;
}

/** How a try ended. One that throws has lost its connection. */
export type Outcome =
  | { readonly kind: "refused"; readonly status: number; readonly reason: string }
  /** `isRefusal`: the server said that it will not serve now, so the back-off goes on although bytes came. */
  | { readonly kind: "ended"; readonly reason: string; readonly isRefusal?: boolean };

export interface KeepOpenOptions {
  /** Callbacks that throw stop nothing. */
  onState(state: StreamState): void;
  resumeAfter(): string;
  readonly silenceMs?: number | undefined;
  readonly random?: (() => number) | undefined;
}

export interface KeptOpen {
  /** Closes for good, and says so. Any number of times. */
  close(): void;
}

/** Why a try was given up of which nothing had been heard: the `reason` of its signal. */
interface Silence {
  readonly message: string;
  readonly isSilence: true;
}

export function isSilence(signal: AbortSignal | undefined): boolean {
  return (signal?.reason as Partial<Silence> | undefined)?.isSilence === true;
}

/** Milliseconds before the first reconnect when the server has not said (its `retry:`). */
const DEFAULT_RETRY_MS = 3000;
const LEAST_RETRY_MS = 100;
/** Milliseconds: three of the server's heartbeats. */
const DEFAULT_SILENCE_MS = 45_000;
/** Milliseconds up to which the delay grows while the server stays away; `retry:` may ask for more. */
const MAX_BACKOFF_MS = 30_000;
/** Milliseconds; a longer delay makes `setTimeout` fire at once. */
const MAX_TIMEOUT_MS = 2_147_483_647;

export function keepOpen(
  attempt: (attempt: Attempt) => Promise<Outcome>,
  options: KeepOpenOptions,
): KeptOpen {
  const { silenceMs = DEFAULT_SILENCE_MS, random = Math.random } = options;
  let retryMs = DEFAULT_RETRY_MS;
  let closed = false;
  /** In the back-forward cache: no connection, no timer. */
  let suspended = false;
  let restarted = false;
  let request = new AbortController();
  let waiting = new AbortController();

  const setState = (state: StreamState): void => {
    if (!closed) tell(() => options.onState(state));
  };

  /** A new try at once, instead of the present one or of the rest of the delay. */
  function restart(): void {
    restarted = true;
    request.abort();
    waiting.abort();
  }

  // A network that went or came leaves connections that nobody cuts. A page in the back-forward cache may hold none.
  const page = globalThis.window;
  const suspend = (isHidden: boolean): void => {
    suspended = isHidden;
    restart();
  };
  const stopPage = listen(
    [page, "online", restart],
    [page, "offline", restart],
    [page, "pagehide", () => suspend(true)],
    [page, "pageshow", (event) => (event as PageTransitionEvent).persisted && suspend(false)],
  );

  async function tryOnce(): Promise<Outcome & { readonly wasLive: boolean }> {
    request = new AbortController();
    const { signal } = request;
    let wasLive = false;
    let watchdog: ReturnType<typeof setTimeout> | undefined;
    const current = request;
    const heard = (): void => {
      clearTimeout(watchdog);
      if (signal.aborted) return;
      const silence: Silence = {
        message: `nothing heard for ${Math.round(silenceMs / 1000)} s`,
        isSilence: true,
      };
      watchdog = setTimeout(() => current.abort(silence), silenceMs);
    };
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
    try {
      heard();
      const outcome = await Promise.race([
        aborted,
        attempt({
          signal,
          heard,
          live() {
            if (wasLive || signal.aborted) return;
            wasLive = true;
            setState({ kind: "live" });
          },
          retry(ms) {
            retryMs = Math.max(ms, LEAST_RETRY_MS);
          },
        }),
      ]);
      return { ...outcome, wasLive };
    } catch {
      // A network error has no readable cause in a browser; an abort has given its own.
      const lost = wasLive ? "the connection was lost" : "the server cannot be reached";
      return { kind: "ended", reason: signal.aborted ? signal.reason.message : lost, wasLive };
    } finally {
      clearTimeout(watchdog);
      current.abort();
    }
  }

  async function run(): Promise<void> {
    for (let failures = 0; !closed; ) {
      restarted = false;
      waiting = new AbortController();
      if (suspended) {
        await sleep(MAX_TIMEOUT_MS, waiting.signal);
        continue;
      }
      setState({ kind: "connecting", resumeAfter: options.resumeAfter() });
      if (closed) return;
      const outcome = await tryOnce();
      if (outcome.kind === "refused") {
        setState({ kind: "refused", status: outcome.status, reason: outcome.reason });
        stopPage();
        return;
      }
      failures = outcome.wasLive && !outcome.isRefusal ? 0 : failures + 1;
      if (restarted) continue;
      const delayMs = reconnectDelayMs(retryMs, failures, random);
      if (globalThis.navigator?.onLine === false) setState({ kind: "offline" });
      else setState({ kind: "waiting", reason: outcome.reason, untilMs: Date.now() + delayMs });
      await sleep(delayMs, waiting.signal);
    }
  }
  void run();

  return {
    close() {
      setState({ kind: "closed" });
      closed = true;
      stopPage();
      request.abort();
      waiting.abort();
    },
  };
}

/** Calls the page's code. What it throws is reported as its own mistake, and is no reason to drop the stream. */
export function tell(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/**
 * The server's `retry:` spread by half either way, so that clients cut together do not come back together; doubled for each
 * failure after the first in a row (WHATWG HTML 9.2.3 leaves that back-off to the client).
 */
export function reconnectDelayMs(retryMs: number, failures: number, random: () => number): number {
  const grown = Math.min(MAX_BACKOFF_MS, retryMs * 2 ** Math.min(Math.max(failures - 1, 0), 20));
  return Math.min(MAX_TIMEOUT_MS, Math.round(Math.max(retryMs, grown) * (0.5 + random())));
}
