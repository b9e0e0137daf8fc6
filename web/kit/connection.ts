/**
 * Where the page's streams stand, in one badge: the worst of them. What they feed is marked stale while they are not live, so that old
 * numbers never look like new ones.
 */
import type { StreamState } from "../client/stream.ts";
import { byId, formatDuration, setText } from "./dom.ts";
import { announce } from "./notices.ts";

/** Beside the states of a stream: it does not come through but what it feeds is asked for instead, it is live and says nothing, the reader cut it. */
export type BadgeState =
  | StreamState
  | { readonly kind: "polling" | "silent"; readonly reason: string }
  | { readonly kind: "cut" };

const WORDS: Readonly<Record<BadgeState["kind"], string>> = {
  live: "Live",
  closed: "Closed",
  polling: "Polling",
  silent: "Silent",
  cut: "Cut",
  connecting: "Connecting",
  waiting: "Reconnecting",
  offline: "Offline",
  refused: "Refused",
};
/** From the best to the worst. */
const ORDER = Object.keys(WORDS);
/** Milliseconds between two looks at the countdown. */
const TICK_MS = 500;

const streams = new Map<object, BadgeState>();
let timer: ReturnType<typeof setInterval> | undefined;

/** Says how a stream stands; `feeds` are the elements whose content is its. */
export function showState(stream: object, state: BadgeState, feeds: readonly Element[]): void {
  if (state.kind === "closed") streams.delete(stream);
  else streams.set(stream, state);
  const isStale = state.kind !== "live" && state.kind !== "polling";
  for (const element of feeds) {
    if (element instanceof HTMLElement) element.dataset.stale = String(isStale);
  }
  draw();
}

function draw(): void {
  const badge = byId("connection", HTMLParagraphElement);
  const [worst] = [...streams.values()].sort((a, b) => ORDER.indexOf(b.kind) - ORDER.indexOf(a.kind));
  const kind = worst?.kind ?? "closed";
  if (badge.dataset.kind !== kind && kind !== "connecting") announce(WORDS[kind]);
  badge.dataset.kind = kind;
  const wait = worst?.kind === "waiting" ? ` in ${formatDuration(worst.untilMs - Date.now())}` : "";
  setText(badge, WORDS[kind] + wait);
  badge.title = worst !== undefined && "reason" in worst ? worst.reason : "";
  if (worst?.kind === "waiting") timer ??= setInterval(draw, TICK_MS);
  else {
    clearInterval(timer);
    timer = undefined;
  }
}
