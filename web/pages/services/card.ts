/** One service's card. Made once; what changes is written into it. */
import { formatClock, formatCount, setText } from "../../kit/dom.ts";
import { lookOf, nextRun, type ServiceStatus } from "./status.ts";

export interface Card {
  readonly element: HTMLElement;
  show(status: ServiceStatus): void;
  /** What moves by itself. `nowMs` by the store's clock. */
  tick(nowMs: number): void;
}

/** `template` holds an `article.service-card`. */
export function createCard(template: HTMLTemplateElement): Card {
  const element = template.content.firstElementChild?.cloneNode(true) as HTMLElement;
  const part = (name: string) => element.querySelector(`.${name}`) as HTMLElement;
  const [name, badge, bar, progress] = [part("name"), part("badge"), part("share"), part("progress-text")];
  const [queue, processed, seen] = [part("queue"), part("processed"), part("seen")];
  const [nextLabel, next, due] = [part("next-label"), part("next"), part("due")];
  let shown: ServiceStatus | undefined;

  return {
    element,
    show(status) {
      shown = status;
      const { state, silent } = status;
      const title = `service-${status.name}`;
      if (name.id !== title) {
        name.id = title;
        element.setAttribute("aria-labelledby", title);
        setText(name, status.name);
        name.title = status.name;
      }
      element.dataset.look = lookOf(status);
      setText(badge, silent ? "silent" : state);
      setText(queue, status.queueSize === null ? "-" : formatCount(status.queueSize));
      setText(processed, status.processed === null ? "-" : formatCount(status.processed));

      const { done, total } = status.progress ?? { done: 0, total: 0 };
      const share = total > 0 ? Math.min(1, done / total) : done > 0 ? 1 : 0;
      bar.style.setProperty("--share", String(share));
      // Of 1 or 100 it is a fraction or a percentage that was said.
      const isPart = total === 1 || total === 100;
      const words = isPart ? `${Math.round(share * 100)}%` : `${formatCount(done)} of ${formatCount(total)}`;
      setText(progress, status.progress === null ? "no progress reported" : words);
      part("progress").dataset.none = String(status.progress === null);
      bar.setAttribute("aria-valuenow", String(Math.round(share * 100)));
      bar.setAttribute("aria-valuetext", progress.textContent ?? "");
    },
    tick(nowMs) {
      if (!shown) return;
      const { label, text, tone, part } = nextRun(shown, nowMs);
      setText(nextLabel, label);
      setText(next, text);
      next.dataset.tone = tone;
      due.hidden = part === undefined;
      if (part !== undefined) due.style.setProperty("--share", part.toFixed(3));
      const { lastRun } = shown;
      setText(seen, lastRun === null ? "never" : lastRunText(lastRun, nowMs));
      seen.title = lastRun ?? "";
    },
  };
}

/** The clock for a run of the last day, the day for an older one. */
function lastRunText(lastRun: string, nowMs: number): string {
  const time = new Date(lastRun);
  const isRecent = Math.abs(nowMs - time.getTime()) < 24 * 60 * 60 * 1000;
  return isRecent ? formatClock(time) : time.toLocaleDateString();
}
