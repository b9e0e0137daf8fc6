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
import { describeGap, hideNotice, showNotice } from "./notices.ts";
import { openPoll, type Poll } from "./poll.ts";
import { askForToken } from "./shell.ts";
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

/** Opens a stream of this server, path and query. It lives as long as the page. */
export function openLive(
  path: string,
  { feeds, onMessage, onState, onGap, pollPath, isOpening, shared, ...options }: LiveOptions,
): Pick<Stream, "close"> {
  const key = {};
  let state: StreamState = { kind: "connecting", resumeAfter: "" };
  let isOpen = isOpening === undefined;
  let answers: StreamState | undefined;
  let poll: Poll | undefined;
  let patience: ReturnType<typeof setTimeout> | undefined;

  function show(): void {
    const reason = "reason" in state ? state.reason : "the stream does not come through";
    const shown: BadgeState = answers?.kind === "live" ? { kind: "polling", reason } : state;
    showState(key, shown, feeds);
  }

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
    patience ??= setTimeout(
      () => {
        poll = openPoll(pollPath, {
          everyMs: POLL_MS,
          onAnswer: (data) => onMessage({ type: "message", data }),
          onState(next) {
            answers = next;
            show();
          },
        });
      },
      state.kind === "refused" ? 0 : PATIENCE_MS,
    );
  }

  function setState(next: StreamState): void {
    state = next;
    fallBack();
    show();
    if (state.kind === "live") hideNotice("refused");
    if (state.kind === "refused" && answers?.kind !== "live") {
      if (state.status === 401) askForToken(state.reason);
      else showNotice("refused", state.reason, "bad");
    }
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
      if (message.type !== "gap") return onMessage(message);
      const { reason } = Object(JSON.parse(message.data)) as { reason: string };
      showNotice("gap", `A gap: ${describeGap(reason)}.`, "bad");
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
