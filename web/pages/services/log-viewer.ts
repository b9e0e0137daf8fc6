/** The log: what services say, as they say it. The stream feeds a store; a view of it follows, a slice an animation frame. */
import { byId, formatClock, formatCount, setText } from "../../kit/dom.ts";
import { openLive } from "../../kit/live.ts";
import { announce, describeGap } from "../../kit/notices.ts";
import { type Line, noteLine, readLine } from "./line.ts";
import { createLineIntake } from "./line-intake.ts";
import { createLineStore } from "./line-store.ts";
import { createLineView, type Filter, type LineView } from "./line-view.ts";
import { createLogDetails } from "./log-details.ts";
import { CAN_COPY, copyText, downloadText, textOfLines } from "./log-export.ts";
import { openLogFilter } from "./log-filter.ts";
import { createLogList } from "./log-list.ts";
import { createPart } from "./part.ts";

const MAX_LINES = 100_000;
/** Characters of all lines: 100,000 of a usual length, and no more memory when each has 128 KiB. */
const LIMITS = { maxLines: MAX_LINES, maxChars: 32_000_000 };
/** Milliseconds of a frame for looking through lines. */
const FRAME_MS = 6;
/** Milliseconds between two looks at the counts: quicker nobody reads. */
const COUNT_MS = 250;

export interface LogViewer {
  /** To choose from, before they have said anything. */
  addServices(names: Iterable<string>): void;
}

export function openLogViewer(): LogViewer {
  const box = byId("log-list", HTMLElement);
  const empty = byId("log-empty", HTMLParagraphElement);
  const count = byId("log-count", HTMLElement);
  const pause = byId("log-pause", HTMLButtonElement);
  const newest = byId("log-newest", HTMLButtonElement);
  const clear = byId("log-clear", HTMLButtonElement);
  const [copy, download] = [byId("log-copy", HTMLButtonElement), byId("log-download", HTMLButtonElement)];

  const part = createPart("log-asof");
  const held = createLineStore(LIMITS);
  const intake = createLineIntake(held, LIMITS);
  let frame = 0;
  /** Lines there had been when the reader left the newest; undefined: at the newest. */
  let leftAt: number | undefined;

  const filter = openLogFilter((wanted) => {
    next = viewOf(wanted);
    schedule();
  });
  const viewOf = (wanted: Filter): LineView => createLineView(held, MAX_LINES, wanted);
  let view = viewOf(filter.filter);
  /** What takes the place of `view` once it has looked through everything. */
  let next: LineView | undefined;

  const details = createLogDetails({
    onClose() {
      list.unselect();
      details.show(undefined);
      box.focus();
    },
  });
  const list = createLogList({
    box,
    schedule,
    onSelect(line) {
      if (line === undefined) list.unselect();
      details.show(line);
    },
  });

  function schedule(): void {
    if (frame === 0) frame = requestAnimationFrame(draw);
  }

  function draw(): void {
    frame = 0;
    const endMs = performance.now() + FRAME_MS;
    const isEnough = () => performance.now() >= endMs;
    let isDone = view.advance(isEnough);
    if (next) {
      isDone = next.advance(isEnough);
      if (isDone) {
        view = next;
        next = undefined;
        tell();
        announce(`${formatCount(view.length - view.notes)} lines shown`);
      }
    }
    list.render(view);
    if (!isDone) schedule();
  }

  /** The counts in words, and what there is instead of lines. */
  function tell(): void {
    const shown = view.length - view.notes;
    const all = held.next - held.first;
    const { service, level, text } = view.filter;
    const isFiltered = service !== "" || level > 0 || text !== "";
    const of = isFiltered
      ? `${formatCount(shown)} of ${formatCount(all)} lines`
      : `${formatCount(all)} lines`;
    const oldest = all > 0 ? held.get(held.first).atMs : Number.NaN;
    setText(count, Number.isNaN(oldest) ? of : `${of} since ${formatClock(new Date(oldest))}`);
    clear.hidden = !isFiltered;
    copy.disabled = download.disabled = shown === 0;

    const words = isFiltered && all > 0 ? "No line held matches the filter." : "Waiting for the first line.";
    setText(empty, part.refusal ?? words);
    empty.hidden = view.length > 0;

    setText(pause, intake.isPaused ? `Resume (${formatCount(intake.waiting)} waiting)` : "Pause");

    const total = view.dropped + view.length;
    leftAt = list.isFollowing ? undefined : (leftAt ?? total);
    newest.hidden = leftAt === undefined;
    const news = total - (leftAt ?? total);
    setText(newest, news > 0 ? `Jump to newest (${formatCount(news)} new)` : "Jump to newest");
  }

  pause.addEventListener("click", () => {
    if (intake.isPaused) intake.resume(Date.now());
    else intake.pause();
    pause.setAttribute("aria-pressed", String(intake.isPaused));
    tell();
    schedule();
  });
  newest.addEventListener("click", () => {
    list.toNewest();
    tell();
    box.focus();
  });
  clear.addEventListener("click", () => filter.clear());

  const lines = () => {
    // Some may have left since the last frame.
    view.advance(() => true);
    return Array.from({ length: view.length }, (_, index) => view.at(index));
  };
  const words = () => `${formatCount(view.length)} lines`;
  copy.hidden = !CAN_COPY;
  copy.addEventListener("click", async () => copyText(await textOfLines(lines()), words()));
  download.addEventListener("click", async () => {
    const name = `log-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.txt`;
    downloadText(await textOfLines(lines()), name, words());
  });

  const keep = (line: Line): void => {
    intake.push(line);
    schedule();
  };
  openLive("/api/services/logs/stream", {
    feeds: [box],
    onMessage({ type, data }) {
      if (type !== "log_line") return;
      const line = readLine(data);
      keep(line);
      filter.addServices([line.service]);
      part.heard();
    },
    onGap: (reason) => keep(noteLine(`Gap: ${describeGap(reason)}`, Date.now())),
    onState(state) {
      part.onState(state);
      tell();
    },
  });
  setInterval(() => {
    if (!document.hidden) tell();
  }, COUNT_MS);
  tell();

  return { addServices: (names) => filter.addServices(names) };
}
