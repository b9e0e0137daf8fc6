/** A page's stream: the client library's, with the reader's token, told to the badge, and asking who the reader is where the server wants to know. */
import { openSharedStream, type SharedStreamOptions } from "../client/shared-stream.ts";
import {
  openStream,
  type Stream,
  type StreamMessage,
  type StreamOptions,
  type StreamState,
} from "../client/stream.ts";
import { type BadgeState, showState } from "./connection.ts";
import { formatClock } from "./dom.ts";
import { watchLog } from "./log-watch.ts";
import { describeGap, hideNotice, showNotice } from "./notices.ts";
import { openPoll, type Poll } from "./poll.ts";
import { askForToken } from "./shell.ts";
import { type Silence, watchSilence } from "./silence.ts";
import { readToken } from "./token.ts";

export interface LiveOptions extends Omit<StreamOptions, "onMessage" | "onState" | "getToken"> {
  /** Each message but gaps, which are shown to the reader by themselves. */
  onMessage(message: StreamMessage): void;
  /** The stream's own state. */
  onState?(state: StreamState): void;
  onGap?(reason: string): void;
  /** What the stream feeds: it looks stale while the stream is not live. */
  readonly feeds: readonly Element[];
  /**
   * Where the same can be asked for, of a stream of snapshots: asked every two seconds while the stream does not come through, each answer
   * a message. The stream goes on trying. Default: nowhere.
   */
  readonly pollPath?: string;
  /**
   * Milliseconds without a message of a live stream after which what it feeds is of the past. Default: it may say nothing for as long as it
   * likes, and the server is asked whether its log answers.
   */
  readonly silentMs?: number;
  /**
   * Whether this message says that the stream is one, where a refusal is a message as well, as in GraphQL: it is live from then on. Default:
   * from its first bytes.
   */
  isOpening?(message: StreamMessage): boolean;
  /**
   * Of a stream of snapshots: one connection for all tabs that show the same, since a browser opens six to a host (HTTP/1.1). What a tab that
   * joins is told: the newest message, or what is kept. Default: a connection of its own.
   */
  readonly shared?: "newest" | NonNullable<SharedStreamOptions["keep"]>;
}

/** Milliseconds a stream has for coming through before it is asked for instead. */
const PATIENCE_MS = 5_000;
const POLL_MS = 2_000;
/** Refusals that asking would meet as well. */
const ASKING_TOO: ReadonlySet<number> = new Set([400, 401, 403]);

/** A refusal at the top of the page, or who are you; gone when it is live. */
export function tellReader(
  state: { readonly kind: Exclude<StreamState["kind"], "refused"> } | StreamState,
): void {
  if (state.kind === "live") hideNotice("refused");
  if (state.kind !== "refused") return;
  if (state.status === 401) askForToken(state.reason);
  else showNotice("refused", state.reason, "bad");
}

export function tellReaderOfGap(reason: string): void {
  showNotice("gap", `A gap: ${describeGap(reason)}.`, "bad");
}

/** Opens a stream of this server, path and query. It lives as long as the page. */
export function openLive(
  path: string,
  { feeds, onMessage, onState, onGap, pollPath, silentMs, isOpening, shared, ...options }: LiveOptions,
): Pick<Stream, "close"> {
  const key = {};
  let state: StreamState = { kind: "connecting", resumeAfter: "" };
  let isOpen = isOpening === undefined;
  let answers: StreamState | undefined;
  /** Why it is live and nothing comes. */
  let silentBecause: string | undefined;
  let poll: Poll | undefined;
  let patience: ReturnType<typeof setTimeout> | undefined;

  function show(): void {
    const reason = "reason" in state ? state.reason : "the stream does not come through";
    let shown: BadgeState = answers?.kind === "live" ? { kind: "polling", reason } : state;
    if (silentBecause !== undefined) shown = { kind: "silent", reason: silentBecause };
    showState(key, shown, feeds);
  }

  const silence: Silence =
    silentMs === undefined
      ? watchLog((reason) => {
          silentBecause = reason;
          show();
        })
      : watchSilence(
          silentMs,
          (sinceMs) => {
            const since = formatClock(new Date(sinceMs));
            silentBecause = `nothing since ${since}`;
            const why = "the log does not answer the server. They go on by themselves.";
            showNotice("silence", `No numbers since ${since}: ${why}`);
            show();
          },
          () => {
            silentBecause = undefined;
            hideNotice("silence");
            show();
          },
        );

  /** Asks while the stream is not live. */
  function fallBack(): void {
    if (pollPath === undefined) return;
    const isHopeless = state.kind === "refused" && ASKING_TOO.has(state.status);
    if (state.kind === "live" || state.kind === "closed" || isHopeless) {
      clearTimeout(patience);
      poll?.stop();
      patience = poll = answers = undefined;
      return;
    }
    if (state.kind === "refused") ask(pollPath);
    else patience ??= setTimeout(ask, PATIENCE_MS, pollPath);
  }

  function ask(path: string): void {
    clearTimeout(patience);
    poll ??= openPoll(path, {
      everyMs: POLL_MS,
      onAnswer: (data) => onMessage({ type: "message", data }),
      onState(next) {
        answers = next;
        show();
      },
    });
  }

  function setState(next: StreamState): void {
    state = next;
    if (state.kind === "live") silence.heard();
    else silence.stop();
    fallBack();
    show();
    if (answers?.kind !== "live") tellReader(state);
    onState?.(state);
  }

  const url = new URL(path, location.href);
  const own = {
    getToken: readToken,
    onMessage(message: StreamMessage) {
      if (!isOpen && isOpening?.(message)) {
        isOpen = true;
        setState({ kind: "live" });
      }
      // A tab that joins is given what is kept, whatever the state.
      if (state.kind === "live") silence.heard();
      if (message.type !== "gap") return onMessage(message);
      const { reason } = Object(JSON.parse(message.data)) as { reason: string };
      tellReaderOfGap(reason);
      onGap?.(reason);
    },
    onState(next: StreamState) {
      if (next.kind !== "live") isOpen = isOpening === undefined;
      if (isOpen || next.kind !== "live") setState(next);
    },
  };
  if (shared === undefined) return openStream(url, { ...options, ...own });
  return openSharedStream(url, { ...own, keep: shared === "newest" ? undefined : shared });
}
