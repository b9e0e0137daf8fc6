/** What the reader has to know, at the top of the page, until it is read: gaps, a token that ends, a refusal. */
import { byId } from "./dom.ts";

export type Tone = "good" | "warn" | "bad" | "plain";

/** At most so many at once; the oldest makes room. */
const MAX_NOTICES = 4;

/** Shows a notice; one of the same key is replaced. It is read out, and the reader can close it. */
export function showNotice(key: string, text: string, tone: Tone = "warn"): void {
  const box = byId("notices", HTMLDivElement);
  hideNotice(key);
  const notice = document.createElement("div");
  notice.className = "notice";
  notice.dataset.tone = tone;
  notice.dataset.key = key;
  const words = document.createElement("p");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  close.addEventListener("click", () => notice.remove());
  notice.append(words, close);
  box.prepend(notice);
  while (box.childElementCount > MAX_NOTICES) box.lastElementChild?.remove();
  announce(text);
}

export function hideNotice(key: string): void {
  for (const notice of byId("notices", HTMLDivElement).querySelectorAll<HTMLElement>(".notice")) {
    if (notice.dataset.key === key) notice.remove();
  }
}

/** Reads out, once, what a reader who does not see the page needs to know. */
export function announce(text: string): void {
  const line = byId("announce", HTMLParagraphElement);
  if (line.textContent !== text) line.textContent = text;
}

const GAPS: ReadonlyMap<string, string> = new Map([
  ["expired", "some events had left the log before they were asked for"],
  ["reset", "the log was lost and made again"],
  ["dropped", "events were skipped to keep up"],
]);

/** A gap's reason in words. */
export function describeGap(reason: string): string {
  return GAPS.get(reason) ?? reason;
}
