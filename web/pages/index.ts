/** The page at `/`: the pipeline at a glance; below it one company's events as they arrive, and the replay closing the gap after a cut. */
import type { StreamState } from "../client/stream.ts";
import { showState } from "../kit/connection.ts";
import { byId, formatCount, formatDuration, setText, upperFirst } from "../kit/dom.ts";
import { announce, describeGap } from "../kit/notices.ts";
import { askForToken, openShell } from "../kit/shell.ts";
import { createEventList } from "./index/event-list.ts";
import { openPipeline } from "./index/pipeline.ts";
import type { ReplayReport } from "./index/replay-check.ts";
import { openSession, type Session, type SessionView } from "./index/session.ts";
import { createSparkline } from "./index/sparkline.ts";

type ViewState = StreamState | { readonly kind: "cut" };

/** Milliseconds between two looks at what moves by itself: counters, countdown, bars. */
const TICK_MS = 250;

const stateBox = byId("state", HTMLParagraphElement);
const stateText = byId("state-text", HTMLSpanElement);
const stateDetail = byId("state-detail", HTMLParagraphElement);
const cutButton = byId("cut", HTMLButtonElement);
const result = byId("result", HTMLParagraphElement);
const resultText = byId("result-text", HTMLElement);
const resultProof = byId("result-proof", HTMLSpanElement);
const rate = byId("rate", HTMLElement);
const empty = byId("empty", HTMLParagraphElement);
const list = createEventList();
const drawSparkline = createSparkline();

const WORDS: Readonly<Record<ViewState["kind"], string>> = {
  connecting: "Connecting",
  live: "Live",
  waiting: "Reconnecting",
  offline: "Offline",
  refused: "Refused",
  closed: "Closed",
  cut: "Cut",
};

const BUTTONS: Readonly<Record<ViewState["kind"], string>> = {
  connecting: "Cut the connection",
  live: "Cut the connection",
  waiting: "Reconnect now",
  offline: "Reconnect now",
  refused: "Try again",
  closed: "Reconnect",
  cut: "Reconnect",
};

const INVITATION =
  "Cut the connection, let some events go by, reconnect: what you missed is replayed from the log.";
const AWAY = "Events go on without this page. When it is back, they are replayed and compared with the log.";
const FINAL = "The server will not change its mind by itself. Choose another company, or try again.";
const ABROAD = "The browser says that there is no network.";

const { companyId } = openShell();
const badge = {};
let session: Session | undefined;
let state: ViewState = { kind: "connecting", resumeAfter: "" };
let stateSinceMs = Date.now();

const view: SessionView = {
  onState(next) {
    const was = state.kind;
    state = next;
    stateSinceMs = Date.now();
    stateBox.dataset.kind = next.kind;
    setText(stateText, WORDS[next.kind]);
    setText(cutButton, BUTTONS[next.kind]);
    setText(
      empty,
      next.kind === "refused" ? "The server shows no events here." : "Waiting for the first event.",
    );
    if (next.kind === "refused") showResult("plain", "", FINAL);
    else if (was === "live" && next.kind !== "live") showResult("plain", "", AWAY);
    if (was === "live" && next.kind !== "live") {
      const why =
        next.kind === "cut" ? "You cut the connection" : upperFirst("reason" in next ? next.reason : "Lost");
      list.add({ kind: "note", tone: "warn", text: why });
    }
    showState(badge, next, [rate]);
    if (next.kind === "cut") announce(WORDS.cut);
    if (next.kind === "refused" && next.status === 401) askForToken(next.reason);
    tick();
  },
  onEvent({ type, data, cursor }, receivedMs, replayed) {
    list.add({ kind: "event", type, data, cursor, receivedMs, replayed });
  },
  onGap(reason) {
    list.add({ kind: "note", tone: "bad", text: `Gap: ${describeGap(reason)}` });
  },
  onReport(report) {
    const { text, proof, tone } = describeReport(report);
    showResult(tone, text, proof);
    list.add({ kind: "note", tone, text });
    announce(text);
    tick();
  },
};

/** A report in words, and how good the news is. */
function describeReport(report: ReplayReport): {
  text: string;
  proof: string;
  tone: "good" | "warn" | "bad";
} {
  const { missed, lost, twice, gaps, problem } = report;
  const away = formatDuration(report.awayMs);
  if (problem !== undefined) {
    return { text: `Back after ${away}.`, proof: `Not compared with the log: ${problem}.`, tone: "warn" };
  }
  const count = missed.size;
  const events = count === 1 ? "1 event" : `${formatCount(count)} events`;
  const replayed = lost > 0 ? `${formatCount(count - lost)} of ${events}` : events;
  const text =
    count === 0
      ? `Back after ${away}: no event was missed.`
      : `Replayed ${replayed} missed in ${away}: ${formatCount(lost)} lost, ${formatCount(twice)} twice.`;
  const said = gaps.length > 0 ? ` A gap was said: ${gaps.map(describeGap).join(", ")}.` : "";
  const proof = count === 0 ? said : `Compared one by one with what the log holds for that time.${said}`;
  return { text, proof, tone: lost > 0 || twice > 0 || gaps.length > 0 ? "bad" : "good" };
}

function showResult(tone: "good" | "warn" | "bad" | "plain", text: string, more: string): void {
  setText(resultText, text);
  setText(resultProof, more);
  result.dataset.tone = tone;
}

function describeState(nowMs: number): string {
  const since = formatDuration(nowMs - stateSinceMs);
  switch (state.kind) {
    case "live":
      return `for ${since}`;
    case "cut":
      return `for ${since}`;
    case "waiting":
      return `in ${formatDuration(state.untilMs - nowMs)}: ${state.reason}`;
    case "refused":
      return state.reason;
    case "connecting":
      return session?.awaySinceMs === undefined
        ? ""
        : `away for ${formatDuration(nowMs - session.awaySinceMs)}`;
    case "offline":
      return ABROAD;
    case "closed":
      return "";
  }
}

/** What moves by itself, and the totals: together, a few times a second, whatever the number of events. */
function tick(): void {
  const nowMs = Date.now();
  setText(stateDetail, describeState(nowMs));
  if (!session) return;
  const { totals } = session.meter;
  const perSecond = session.meter.rate(nowMs);
  setText(
    rate,
    perSecond < 9.95 && perSecond > 0 ? perSecond.toFixed(1) : formatCount(Math.round(perSecond)),
  );
  for (const name of ["received", "replayed", "duplicates", "gaps"] as const) {
    const box = byId(name, HTMLElement);
    setText(box, formatCount(totals[name]));
    box.dataset.tone = totals[name] > 0 && (name === "duplicates" || name === "gaps") ? "bad" : "";
  }
  setText(byId("cursor", HTMLElement), session.lastCursor || "none yet");
  drawSparkline(session.meter.seconds(nowMs));
}

cutButton.addEventListener("click", () => {
  if (state.kind === "live" || state.kind === "connecting") session?.cut();
  else session?.reconnect();
});

showResult("plain", "", INVITATION);
setText(byId("company-name", HTMLElement), companyId);
document.title = `${companyId} · Millrace`;
setText(
  byId("curl", HTMLElement),
  `curl -N '${location.origin}/stream/updates?${new URLSearchParams({ companyId })}'`,
);
session = openSession(companyId, view);
openPipeline(companyId);
tick();
setInterval(tick, TICK_MS);
