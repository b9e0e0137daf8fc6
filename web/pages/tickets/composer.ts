/** Where a message is written. What is not sent yet of each ticket is kept while the page is there. */
import { byId, formatCount, setText } from "../../kit/dom.ts";
import { announce } from "../../kit/notices.ts";

/** Characters of a message, as the server counts them. */
const MAX_CHARS = 8_000;
/** Characters left at which they are counted. */
const NEAR_CHARS = 500;
/** Tickets whose drafts are kept. */
const MAX_DRAFTS = 50;

export interface ComposerOptions {
  onSend(ticketId: string, text: string): void;
  /** Escape. */
  onLeave(): void;
}

export interface Composer {
  open(ticketId: string): void;
  focus(): void;
}

export function createComposer({ onSend, onLeave }: ComposerOptions): Composer {
  const form = byId("composer", HTMLFormElement);
  const area = byId("text", HTMLTextAreaElement);
  const button = byId("send", HTMLButtonElement);
  const left = byId("left", HTMLSpanElement);
  const drafts = new Map<string, string>();
  let ticketId: string | undefined;
  let wasTooLong = false;

  function count(): void {
    const room = MAX_CHARS - area.value.length;
    const isTooLong = room < 0;
    left.hidden = room > NEAR_CHARS;
    left.dataset.tone = isTooLong ? "bad" : "";
    const characters = Math.abs(room) === 1 ? "character" : "characters";
    setText(left, `${formatCount(Math.abs(room))} ${characters} ${isTooLong ? "too many" : "left"}`);
    area.setAttribute("aria-invalid", String(isTooLong));
    button.disabled = isTooLong || area.value.trim() === "";
    if (isTooLong && !wasTooLong) announce(`A message has at most ${formatCount(MAX_CHARS)} characters`);
    wasTooLong = isTooLong;
    // As high as what is in it, up to what the style allows.
    area.style.setProperty("height", "auto");
    area.style.setProperty("height", `${area.scrollHeight + 2}px`);
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (button.disabled || ticketId === undefined) return;
    onSend(ticketId, area.value);
    drafts.delete(ticketId);
    area.value = "";
    count();
    area.focus();
  });
  area.addEventListener("keydown", (event) => {
    // Enter may end the writing of a character from parts.
    if (event.isComposing) return;
    if (event.key === "Escape") onLeave();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    form.requestSubmit();
  });
  area.addEventListener("input", count);

  return {
    open(id) {
      if (id === ticketId) return;
      if (ticketId !== undefined) {
        drafts.delete(ticketId);
        if (area.value !== "") drafts.set(ticketId, area.value);
        if (drafts.size > MAX_DRAFTS) drafts.delete(drafts.keys().next().value!);
      }
      ticketId = id;
      area.value = drafts.get(id) ?? "";
      count();
    },
    focus: () => area.focus({ preventScroll: true }),
  };
}
