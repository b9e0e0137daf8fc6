/** One line as a row of the list, with what was searched for marked. */
import { formatClockMs } from "../../kit/dom.ts";
import { LEVELS, type Line, NOTE } from "./line.ts";

export interface LogRow {
  readonly element: HTMLElement;
  /** What it shows now. */
  readonly line: Line | undefined;
  /** Number of that line. */
  readonly number: number;
  show(number: number, line: Line, pattern: RegExp | undefined): void;
  select(isSelected: boolean): void;
}

/** Characters of a message put into a row: more would be laid out and never seen. */
const MAX_CHARS = 500;
/** Characters shown before a match that is further on than a row is wide. */
const BEFORE_MATCH = 40;
const MAX_MARKS = 20;

export function createLogRow(): LogRow {
  const element = document.createElement("div");
  element.className = "line";
  const part = (kind: string): HTMLElement => {
    const span = document.createElement("span");
    span.className = kind;
    element.append(span);
    return span;
  };
  const [time, level, service, message] = [part("time"), part("level"), part("from"), part("message")];
  const more = document.createElement("span");
  more.className = "more";
  let shown: Line | undefined;
  let number = -1;
  let marked: RegExp | undefined;
  let isSelected = false;

  return {
    element,
    get line() {
      return shown;
    },
    get number() {
      return number;
    },
    show(its, line, pattern) {
      number = its;
      if (line === shown && pattern === marked) return;
      shown = line;
      marked = pattern;
      element.dataset.level = LEVELS[line.level] ?? "note";
      element.dataset.number = String(its);
      time.textContent = Number.isNaN(line.atMs) ? "--:--:--" : formatClockMs(new Date(line.atMs));
      level.textContent = line.level === NOTE ? "" : (LEVELS[line.level] ?? "");
      write(service, line.service, pattern);
      write(message, line.message, pattern);
      if (line.more === "") return;
      write(more, line.more, pattern);
      message.append(" ", more);
    },
    select(wanted) {
      if (wanted === isSelected) return;
      isSelected = wanted;
      element.classList.toggle("selected", wanted);
    },
  };
}

/** Text, what the pattern finds in `mark`s. Nothing but text comes from the line. */
function write(element: HTMLElement, text: string, pattern: RegExp | undefined, most = MAX_CHARS): void {
  const marks = pattern === undefined ? [] : findAll(text, pattern);
  if (marks.length === 0) {
    element.textContent = text.length > most ? `${text.slice(0, most)}…` : text;
    return;
  }
  const first = marks[0]!.index;
  const from = text.length > most && first > BEFORE_MATCH ? first - BEFORE_MATCH : 0;
  const parts: (string | Node)[] = from > 0 ? ["…"] : [];
  let at = from;
  for (const { index, 0: match } of marks) {
    if (index + match.length - from > most) break;
    const mark = document.createElement("mark");
    mark.textContent = match;
    parts.push(text.slice(at, index), mark);
    at = index + match.length;
  }
  const end = from + most;
  parts.push(text.length > end ? `${text.slice(at, Math.max(at, end))}…` : text.slice(at));
  element.replaceChildren(...parts);
}

function findAll(text: string, pattern: RegExp): RegExpExecArray[] {
  const all: RegExpExecArray[] = [];
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match && all.length < MAX_MARKS; match = pattern.exec(text)) {
    all.push(match);
  }
  return all;
}
