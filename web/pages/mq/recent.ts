/** The last payloads of one feed, newest first. While the reader has one open the list holds still, and says how many came since. */
import { formatClock, formatCount, setText } from "../../kit/dom.ts";
import { factsOf, type Payload, wholeOf } from "./facts.ts";

export interface Recent {
  /** `payloads` oldest first, as the feed says them; `total` of all there ever were. */
  draw(payloads: readonly Payload[], total: number): void;
}

export interface RecentParts {
  readonly list: HTMLElement;
  readonly held: Element;
  readonly empty: HTMLElement;
  readonly template: HTMLTemplateElement;
  /** The feed's name, which says how its payloads are read. */
  readonly feed: string;
  readonly showsCompany: boolean;
}

/** Characters of a payload put on the page: one may have 128 KiB. */
const MAX_CHARS = 20_000;

export function createRecent({ list, held, empty, template, feed, showsCompany }: RecentParts): Recent {
  /** By content: payloads have no names. */
  let rows = new Map<string, HTMLElement>();
  let shownTotal = 0;
  let latest: { readonly payloads: readonly Payload[]; readonly total: number } | undefined;

  function build(payload: Payload): HTMLElement {
    const row = template.content.firstElementChild?.cloneNode(true) as HTMLElement;
    const part = (name: string): Element => row.querySelector(name) as Element;
    const { main, more, timeMs } = factsOf(feed, payload, showsCompany);
    setText(part(".main"), main);
    setText(part(".more"), more);
    setText(part(".when"), timeMs === undefined ? "" : formatClock(new Date(timeMs)));
    const details = part("details") as HTMLDetailsElement;
    details.addEventListener("toggle", () => {
      if (details.open) {
        const whole = wholeOf(payload);
        setText(part("pre"), whole.length > MAX_CHARS ? `${whole.slice(0, MAX_CHARS)}…` : whole);
      }
      draw();
    });
    return row;
  }

  function draw(): void {
    if (latest === undefined) return;
    const { payloads, total } = latest;
    if (list.querySelector("details[open]")) {
      const newer = total - shownTotal;
      setText(held, newer > 0 ? `held, ${formatCount(newer)} newer` : "held");
      return;
    }
    setText(held, "newest first");
    shownTotal = total;
    const next = new Map<string, HTMLElement>();
    const times = new Map<string, number>();
    for (const payload of payloads) {
      const content = JSON.stringify(payload);
      const same = times.get(content) ?? 0;
      times.set(content, same + 1);
      const key = `${same} ${content}`;
      next.set(key, rows.get(key) ?? build(payload));
    }
    for (const [key, row] of rows) if (!next.has(key)) row.remove();
    rows = next;
    [...next.values()].reverse().forEach((row, index) => {
      if (list.children[index] !== row) list.insertBefore(row, list.children[index] ?? null);
    });
    empty.hidden = next.size > 0;
    list.hidden = next.size === 0;
  }

  return {
    draw(payloads, total) {
      latest = { payloads, total };
      draw();
    },
  };
}
