/** The conversation on the right: its lines, and where the reader is in them. */
import { byId, setText } from "../../kit/dom.ts";
import type { Line, MessageLine } from "./model.ts";
import { createReconciler } from "./reconcile.ts";
import { clockOf, initialsOf, momentOf, NOBODY, toneOf } from "./words.ts";

export interface LogViewOptions {
  /** The reader came near the oldest line. */
  onOlder(): void;
  /** The reader has the newest in view. */
  onEnd(): void;
  onRetry(id: string): void;
  onDiscard(id: string): void;
}

export interface LogView {
  /** `note`: above everything, such as that it is being loaded. */
  show(ticketId: string, lines: readonly Line[], state: { note: string; hasMore: boolean }): void;
  toEnd(): void;
  readonly isAtEnd: boolean;
}

/** Pixels from the end that count as the end. */
const END_PX = 48;
/** Pixels from the top at which older messages are asked for. */
const TOP_PX = 120;

export function createLogView({ onOlder, onEnd, onRetry, onDiscard }: LogViewOptions): LogView {
  const log = byId("log", HTMLDivElement);
  const entries = byId("entries", HTMLOListElement);
  const older = byId("older", HTMLButtonElement);
  const newer = byId("newer", HTMLButtonElement);
  const templates = {
    message: byId("message", HTMLTemplateElement),
    day: byId("day", HTMLTemplateElement),
    change: byId("change", HTMLTemplateElement),
  };
  let shownId: string | undefined;
  let known = new Set<string>();
  let unseen = 0;
  let isAtEnd = true;
  let hasMore = false;

  const shown = new WeakMap<HTMLElement, Line>();
  const reconcile = createReconciler<Line>({
    parent: entries,
    keyOf: ({ key }) => key,
    create({ kind, key }) {
      const element = templates[kind].content.firstElementChild!.cloneNode(true) as HTMLLIElement;
      const [retry, discard] = element.querySelectorAll("button");
      retry?.addEventListener("click", () => onRetry(key));
      discard?.addEventListener("click", () => onDiscard(key));
      return element;
    },
    update(element, line) {
      // There may be thousands, and another message changes one or two.
      if (isSame(shown.get(element), line)) return;
      shown.set(element, line);
      if (line.kind === "message") return updateMessage(element, line);
      setText(element.querySelector(".words")!, line.text);
      if (line.kind !== "change") return;
      element.dataset.pending = String(line.isPending);
      showTime(element, line.atMs);
    },
  });

  function toEnd(): void {
    isAtEnd = true;
    log.scrollTop = log.scrollHeight;
    unseen = 0;
    drawNewer();
    onEnd();
  }

  function drawNewer(): void {
    newer.hidden = isAtEnd;
    setText(newer, unseen === 0 ? "To the newest" : `${unseen} new`);
  }

  log.addEventListener("scroll", () => {
    const wasAtEnd = isAtEnd;
    isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < END_PX;
    if (isAtEnd && !wasAtEnd) {
      unseen = 0;
      onEnd();
    }
    drawNewer();
    if (hasMore && log.scrollTop < TOP_PX) onOlder();
  });
  older.addEventListener("click", onOlder);
  newer.addEventListener("click", () => {
    toEnd();
    log.focus({ preventScroll: true });
  });
  // A composer that grows, a keyboard that comes up: who was at the end stays there.
  new ResizeObserver(() => {
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }).observe(log);

  return {
    show(ticketId, lines, state) {
      const isOther = ticketId !== shownId;
      shownId = ticketId;
      hasMore = state.hasMore;
      older.hidden = !hasMore;
      const note = byId("log-note", HTMLParagraphElement);
      note.hidden = state.note === "";
      setText(note, state.note);
      const messages = lines.filter((line) => line.kind === "message");
      // Those at the end: older ones that came by paging are not new.
      let added = 0;
      if (!isOther) while (added < messages.length && !known.has(messages.at(-1 - added)!.key)) added++;
      const isOwn = messages.slice(messages.length - added).some(({ sending }) => sending !== undefined);
      known = new Set(messages.map(({ key }) => key));

      const anchor = isOther || isAtEnd ? undefined : firstInView();
      const before = anchor?.getBoundingClientRect().top ?? 0;
      reconcile(lines);
      if (isOther || isAtEnd || isOwn) return toEnd();
      if (anchor?.isConnected) log.scrollTop += anchor.getBoundingClientRect().top - before;
      unseen += added;
      drawNewer();
    },
    toEnd,
    get isAtEnd() {
      return isAtEnd;
    },
  };

  /** The message that is to stay where it is; the line of its day stays above whatever comes before it. */
  function firstInView(): Element | undefined {
    const { top } = log.getBoundingClientRect();
    const messages = entries.querySelectorAll(".message");
    return Array.from(messages).find((element) => element.getBoundingClientRect().bottom > top);
  }
}

function isSame(before: Line | undefined, line: Line): boolean {
  return (
    before !== undefined &&
    Object.entries(line).every(([name, value]) => before[name as keyof Line] === value)
  );
}

function updateMessage(element: HTMLElement, line: MessageLine): void {
  const { message, atMs, isMine, isHead, isLastOwn, sending } = line;
  const part = (name: string) => element.querySelector<HTMLElement>(name)!;
  element.dataset.mine = String(isMine);
  element.dataset.head = String(isHead);
  const name = isMine ? "You" : (message.author ?? NOBODY);
  setText(part(".by b"), name);
  part(".by").classList.toggle("unseen", !isHead);
  const avatar = part(".avatar");
  avatar.dataset.tone = toneOf(name);
  setText(avatar, isMine ? "" : initialsOf(name));
  showTime(element, atMs);
  setText(part(".bubble"), message.text);
  const state = part(".state");
  const kind = sending?.state ?? (isLastOwn ? "sent" : undefined);
  element.dataset.state = kind ?? "";
  state.hidden = kind === undefined || (kind === "sent" && !isLastOwn);
  setText(part(".state span"), kind === undefined ? "" : describeState(kind, sending?.problem));
  for (const button of state.querySelectorAll("button")) button.hidden = kind !== "failed";
}

function describeState(kind: "sending" | "sent" | "failed", problem: string | undefined): string {
  if (kind === "sent") return "Sent";
  if (kind === "failed") return `Not sent: ${problem ?? "it was refused"}`;
  return problem === undefined ? "Sending…" : `Sending… ${problem}, trying again`;
}

function showTime(element: HTMLElement, ms: number): void {
  const time = element.querySelector("time")!;
  setText(time, clockOf(ms));
  const moment = new Date(ms).toISOString();
  if (time.dateTime === moment) return;
  time.dateTime = moment;
  time.title = momentOf(ms);
}
