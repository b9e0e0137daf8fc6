/**
 * One event stream of a Millrace server, kept open by `fetch`: of events, of counters, of services, of GraphQL. No framework, no global
 * state. What is about events, cursors and gaps is in `updates.ts`.
 */
import { type Attempt, keepOpen, type Outcome, type StreamState, tell } from "./keep-open.ts";
import { createSseParser } from "./sse-parser.ts";
import { fetchAs, type GetToken, renewToken } from "./token.ts";

export { reconnectDelayMs, type StreamState } from "./keep-open.ts";

/** One message of a stream, as it came. */
export interface StreamMessage {
  /** The `event:` field; `message` when there was none. */
  readonly type: string;
  /** Text: JSON everywhere in Millrace. */
  readonly data: string;
  /** Where the frame had one: the cursor. */
  readonly id?: string;
}

/** What is asked for at each connect. */
export interface StreamRequest {
  /** Default `GET`. */
  readonly method?: string;
  /** Sent with each request, beside `Accept`, `Last-Event-ID` and `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Makes the body, anew for each connect; is given the last `id:`, empty before the first. */
  readonly body?: (lastEventId: string) => string;
  /**
   * The token to send as `Authorization: Bearer`, asked for at each connect and when the server asks for a fresh one. Without it, or when
   * it gives `undefined`, nobody says who is asking but the cookie of the same origin.
   */
  readonly getToken?: GetToken | undefined;
}

export interface StreamOptions extends StreamRequest {
  onMessage(message: StreamMessage): void;
  onState(state: StreamState): void;
  /** Sent as `Last-Event-ID`. Default empty: from now on. */
  readonly lastEventId?: string | undefined;
  /** A stream silent for this many milliseconds is taken for dead. Default 45,000: three of the server's heartbeats. */
  readonly silenceMs?: number | undefined;
  /** Source of randomness in [0, 1); a test passes its own. */
  readonly random?: (() => number) | undefined;
}

export interface Stream {
  /** Closes for good. No callback is called after `closed`. Any number of times. */
  close(): void;
  /** The last `id:`, what to resume after; empty before the first. */
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

/** Why a connection ended that was ended without a word. */
export const ENDED = "the stream ended";

/**
 * Opens the stream and keeps it open: comes back by itself after a cut, with the last `id:` as `Last-Event-ID`. Callbacks come in the
 * order of the wire; one that throws stops nothing. Refusals that pass and `reauthenticate` are dealt with here: `onMessage` does not hear
 * of the former, and need not answer the latter.
 */
export function openStream(url: string | URL, options: StreamOptions): Stream {
  let lastEventId = options.lastEventId ?? "";
  const kept = keepOpen(
    (attempt) =>
      readSse(url, options, attempt, {
        lastEventId,
        onMessage(message) {
          lastEventId = message.id ?? lastEventId;
          options.onMessage(message);
        },
        onMove(id) {
          lastEventId = id;
        },
      }),
    { ...options, onState: (state) => options.onState(state), resumeAfter: () => lastEventId },
  );
  return {
    close: kept.close,
    get lastEventId() {
      return lastEventId;
    },
  };
}

/** What {@link readSse} tells. */
export interface SseListener {
  readonly lastEventId: string;
  onMessage(message: StreamMessage): void;
  /** An `id:` that came without a message. */
  onMove(id: string): void;
}

/** One connection, read to its end. */
export async function readSse(
  url: string | URL,
  options: StreamRequest,
  attempt: Attempt,
  listener: SseListener,
): Promise<Outcome> {
  const { signal } = attempt;
  let { lastEventId } = listener;
  let refusal: string | undefined;
  const parser = createSseParser(
    {
      onRetry: attempt.retry,
      onEvent({ type, data, id }) {
        if (signal.aborted) return;
        // An event of the log always has its cursor. What has none is the stream's own word.
        if (id === undefined) {
          refusal ??= REFUSALS.get(type);
          if (refusal !== undefined) return;
          if (type === "reauthenticate") void renewToken(url, data, options.getToken, signal);
        } else lastEventId = id;
        attempt.live();
        tell(() => listener.onMessage({ type, data, ...(id === undefined ? {} : { id }) }));
      },
    },
    lastEventId,
  );

  const resume: Record<string, string> = lastEventId ? { "last-event-id": lastEventId } : {};
  const response = await fetchAs(options.getToken, url, {
    method: options.method ?? "GET",
    headers: { accept: "text/event-stream", ...options.headers, ...resume },
    ...(options.body ? { body: options.body(lastEventId) } : {}),
    signal,
  });
  const refused = await refusalOf(response, attempt);
  if (refused) return refused;
  if (!response.headers.get("content-type")?.startsWith("text/event-stream") || !response.body) {
    return { kind: "refused", status: response.status, reason: "the answer is not an event stream" };
  }
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done || signal.aborted) break;
    attempt.heard();
    parser.push(value);
    if (refusal !== undefined) continue;
    if (parser.lastEventId !== lastEventId) {
      lastEventId = parser.lastEventId;
      listener.onMove(lastEventId);
    }
    attempt.live();
  }
  return refusal === undefined
    ? { kind: "ended", reason: ENDED }
    : { kind: "ended", reason: refusal, isRefusal: true };
}

/** What an answer other than 200 means; undefined for 200. */
export async function refusalOf(
  response: Response,
  { retry }: Pick<Attempt, "retry">,
): Promise<Outcome | undefined> {
  const { status } = response;
  if (status === 200) return undefined;
  let reason = `the server answered ${status}`;
  if (PASSING.has(status)) {
    const seconds = Number(response.headers.get("retry-after"));
    if (seconds > 0) retry(seconds * 1000);
    return { kind: "ended", reason };
  }
  try {
    // A final refusal's own words: `{error, message}`.
    const { message } = Object(await response.json());
    if (typeof message === "string" && message) reason = `${message} (${status})`;
  } catch {}
  return { kind: "refused", status, reason };
}
