/** What is asked for again and again while somebody looks: not while the page is hidden, later and later while the server does not answer. */
import type { StreamState } from "../client/stream.ts";
import { fetchWithToken } from "./token.ts";

export interface PollOptions {
  /** Milliseconds from an answer to the next question. */
  readonly everyMs: number;
  /** JSON text, as it came. */
  onAnswer(text: string): void;
  /** `live` while answers come. After `refused` it is asked no more. `answer`: what the server said instead, when it said something. */
  onState(state: StreamState, answer?: PollAnswer): void;
}

export interface PollAnswer {
  readonly status: number;
  readonly text: string;
}

export interface Poll {
  /** For good. Nothing is told after it. */
  stop(): void;
}

/** Milliseconds an answer may take. */
const ANSWER_MS = 10_000;
/** Milliseconds up to which the delay grows. */
const MAX_DELAY_MS = 20_000;
/** Statuses that are of the moment; every other one from 400 to 499 is final. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429]);

/** Asks now, then every `everyMs`. */
export function openPoll(path: string, { everyMs, onAnswer, onState }: PollOptions): Poll {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking: AbortController | undefined;
  let failures = 0;
  let isOver = false;

  function later(reason: string, waitMs = 0, answer?: PollAnswer): void {
    failures++;
    const delayMs = Math.min(MAX_DELAY_MS, Math.max(waitMs, everyMs * 2 ** Math.min(failures - 1, 10)));
    onState({ kind: "waiting", reason, untilMs: Date.now() + delayMs }, answer);
    schedule(delayMs);
  }

  function schedule(delayMs: number): void {
    clearTimeout(timer);
    if (!isOver && !document.hidden) timer = setTimeout(() => void ask(), delayMs);
  }

  async function ask(): Promise<void> {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    const signal = AbortSignal.any([mine.signal, AbortSignal.timeout(ANSWER_MS)]);
    try {
      const response = await fetchWithToken(path, { signal, cache: "no-store" });
      const text = await response.text();
      if (mine.signal.aborted) return;
      const { status } = response;
      if (response.ok) {
        failures = 0;
        onState({ kind: "live" });
        onAnswer(text);
        schedule(everyMs);
      } else if (status >= 400 && status < 500 && !PASSING.has(status)) {
        stop();
        const reason = messageOf(text) ?? `the server answered ${status}`;
        onState({ kind: "refused", status, reason }, { status, text });
      } else {
        // A date, which a proxy may say, is no number of seconds: then the delay is this page's own.
        const seconds = Number(response.headers.get("retry-after"));
        later(`the server answered ${status}`, seconds > 0 ? seconds * 1000 : 0, { status, text });
      }
    } catch {
      // A network error has no readable cause in a browser.
      if (!mine.signal.aborted) later("the server cannot be reached");
    }
  }

  function onVisibility(): void {
    if (document.hidden) {
      clearTimeout(timer);
      asking?.abort();
    } else void ask();
  }

  function stop(): void {
    isOver = true;
    clearTimeout(timer);
    asking?.abort();
    document.removeEventListener("visibilitychange", onVisibility);
  }

  document.addEventListener("visibilitychange", onVisibility);
  if (!document.hidden) void ask();
  return { stop };
}

/** The words of `{error, message}`. */
function messageOf(text: string): string | undefined {
  try {
    const { message } = Object(JSON.parse(text));
    return typeof message === "string" && message !== "" ? message : undefined;
  } catch {
    return undefined;
  }
}
