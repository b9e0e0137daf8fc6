/** The chosen line whole: a message of many lines, and what else the line says, by name. */
import { byId, setText } from "../../kit/dom.ts";
import { announce } from "../../kit/notices.ts";
import { formatLine, LEVELS, type Line, NOTE } from "./line.ts";
import { copyText } from "./log-export.ts";

export interface LogDetails {
  /** Undefined: none. */
  show(line: Line | undefined): void;
}

/** Members of a line shown by name; of more of them the rest is one text. */
const MAX_FIELDS = 40;

export function createLogDetails({ onClose }: { onClose(): void }): LogDetails {
  const panel = byId("log-line", HTMLElement);
  const fields = byId("log-fields", HTMLDListElement);
  let shown: Line | undefined;

  byId("log-line-close", HTMLButtonElement).addEventListener("click", onClose);
  byId("log-line-copy", HTMLButtonElement).addEventListener("click", () => {
    if (shown) void copyText([formatLine(shown)], "The line");
  });

  return {
    show(line) {
      shown = line;
      panel.hidden = line === undefined;
      if (line === undefined) return;
      const word = LEVELS[line.level] ?? "note";
      panel.dataset.level = word;
      setText(byId("log-line-level", HTMLElement), word);
      setText(byId("log-line-service", HTMLElement), line.service);
      setText(byId("log-line-time", HTMLElement), formatTime(line.atMs));
      setText(byId("log-line-message", HTMLElement), line.message);
      byId("log-line-message", HTMLElement).scrollTop = 0;
      fields.replaceChildren(
        ...fieldsOf(line).flatMap(([name, text]) => [cell("dt", name), cell("dd", text)]),
      );
      fields.hidden = fields.childElementCount === 0;
      announce(
        line.level === NOTE ? line.message : `${word}, ${line.service}: ${line.message.slice(0, 300)}`,
      );
    },
  };
}

function fieldsOf({ more, messageId }: Line): [name: string, text: string][] {
  const all = more === "" ? [] : Object.entries<unknown>(Object(JSON.parse(more)));
  const named = all.slice(0, MAX_FIELDS);
  const rest = Object.fromEntries(all.slice(MAX_FIELDS));
  const fields = named.map(([name, value]): [string, string] => [name, textOf(value)]);
  if (all.length > MAX_FIELDS) fields.push(["…", textOf(rest)]);
  if (messageId !== "") fields.push(["messageId", messageId]);
  return fields;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value, undefined, 2);
}

function cell(kind: "dt" | "dd", text: string): HTMLElement {
  const element = document.createElement(kind);
  element.textContent = text;
  return element;
}

/** The reader's day and time, and the zone it is in. */
function formatTime(atMs: number): string {
  if (Number.isNaN(atMs)) return "at no time it says";
  return new Date(atMs).toLocaleString(undefined, {
    ...{ year: "numeric", month: "short", day: "numeric", timeZoneName: "short" },
    ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false },
  });
}
