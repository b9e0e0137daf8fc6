/**
 * The table of events, newest first. Rows are built ten times a second at most, however many events came, and no more of them
 * than are kept; a hidden page builds none.
 */
import { byId, formatClockMs, formatCount, setText } from "../../kit/dom.ts";

/** Milliseconds between two changes of the table, which is painted anew at each: faster than that nobody reads. */
const FLUSH_MS = 100;
/** Rows kept on the page. */
const MAX_ROWS = 200;
/** Characters of data put on the page: an event may hold 128 KiB. */
const MAX_DATA_CHARS = 2000;
/** How many tones the style sheet has for types. */
const TYPE_TONES = 6;

export interface EventItem {
  readonly kind: "event";
  readonly type: string;
  readonly data: string;
  readonly cursor: string;
  /** Milliseconds since 1970. */
  readonly receivedMs: number;
  readonly replayed: boolean;
}

/** A line between the events. */
export interface NoteItem {
  readonly kind: "note";
  readonly tone: "good" | "warn" | "bad";
  readonly text: string;
}

export interface EventList {
  add(item: EventItem | NoteItem): void;
}

/** Drives the table, its pause and wrap buttons. */
export function createEventList(): EventList {
  const body = byId("rows", HTMLTableSectionElement);
  const empty = byId("empty", HTMLParagraphElement);
  const pause = byId("pause", HTMLButtonElement);
  const wrap = byId("wrap", HTMLButtonElement);
  const eventRow = byId("event-row", HTMLTemplateElement);
  const noteRow = byId("note-row", HTMLTemplateElement);
  let waiting: (EventItem | NoteItem)[] = [];
  let held = 0;
  let shown = 0;
  let paused = false;
  let isScheduled = false;
  let flushedMs = 0;

  function flush(): void {
    isScheduled = false;
    flushedMs = performance.now();
    if (paused) {
      setText(pause, held > 0 ? `Resume (${formatCount(held)} new)` : "Resume");
      return;
    }
    const rows = document.createDocumentFragment();
    for (const item of waiting.reverse()) {
      rows.append(item.kind === "event" ? buildEvent(eventRow, item) : buildNote(noteRow, item));
    }
    shown += waiting.length;
    waiting = [];
    held = 0;
    body.prepend(rows);
    // Counted here: asking the table again after each change makes it count its rows again.
    for (; shown > MAX_ROWS; shown--) body.lastElementChild?.remove();
    empty.hidden = shown > 0;
  }

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    const waitMs = flushedMs + FLUSH_MS - performance.now();
    if (waitMs > 0) setTimeout(() => requestAnimationFrame(flush), waitMs);
    else requestAnimationFrame(flush);
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    setText(pause, paused ? "Resume" : "Pause");
    schedule();
  });
  wrap.addEventListener("click", () => {
    const wrapped = wrap.getAttribute("aria-pressed") !== "true";
    wrap.setAttribute("aria-pressed", String(wrapped));
    body.classList.toggle("wrapped", wrapped);
  });

  return {
    add(item) {
      waiting.push(item);
      held++;
      if (waiting.length > MAX_ROWS) waiting.shift();
      schedule();
    },
  };
}

function buildEvent(template: HTMLTemplateElement, item: EventItem): Node {
  const row = cloneRow(template);
  const [time, type, cursor, data] = row.querySelectorAll("td") as unknown as [
    Element,
    Element,
    Element,
    Element,
  ];
  const received = new Date(item.receivedMs);
  const clock = time.firstElementChild as HTMLTimeElement;
  clock.dateTime = received.toISOString();
  clock.textContent = formatClockMs(received);
  const name = type.firstElementChild as HTMLElement;
  name.textContent = item.type;
  name.title = item.type;
  name.dataset.tone = String(toneOf(item.type));
  if (item.replayed) {
    (type.lastElementChild as HTMLElement).hidden = false;
    row.classList.add("replayed");
  }
  cursor.textContent = shorten(item.cursor);
  (cursor as HTMLElement).title = item.cursor;
  data.textContent =
    item.data.length > MAX_DATA_CHARS
      ? `${item.data.slice(0, MAX_DATA_CHARS)}… (${formatCount(item.data.length)} characters)`
      : item.data;
  return row;
}

/** The row alone: the white space around it in the page would stay in the table for good. */
function cloneRow(template: HTMLTemplateElement): HTMLTableRowElement {
  return template.content.firstElementChild?.cloneNode(true) as HTMLTableRowElement;
}

function buildNote(template: HTMLTemplateElement, item: NoteItem): Node {
  const row = cloneRow(template);
  const cell = row.querySelector("td") as HTMLElement;
  cell.dataset.tone = item.tone;
  cell.textContent = item.text;
  return row;
}

/** The end of a cursor is what moves. */
function shorten(cursor: string): string {
  return cursor.length > 14 ? `…${cursor.slice(-12)}` : cursor;
}

/** The same type has the same tone on every page. */
function toneOf(type: string): number {
  let sum = 0;
  for (let at = 0; at < type.length; at++) sum = (sum * 31 + type.charCodeAt(at)) >>> 0;
  return sum % TYPE_TONES;
}
