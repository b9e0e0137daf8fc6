/**
 * A list of any number of lines in a few dozen rows: as tall as all of them, holding those in sight. Rows have one height, which the style
 * sheet says as `--row`. It stays at the newest line until the reader scrolls up, and then where the reader is.
 */
import type { Line } from "./line.ts";
import type { LineView } from "./line-view.ts";
import { createLogRow, type LogRow } from "./log-row.ts";

export interface LogListOptions {
  /** What scrolls. */
  readonly box: HTMLElement;
  /** Asks for {@link LogList.render} in the next animation frame. */
  schedule(): void;
  /** The reader chose a line; undefined: none any more. */
  onSelect(line: Line | undefined): void;
}

export interface LogList {
  /** In an animation frame, after the view has advanced. */
  render(view: LineView): void;
  /** To the newest line, and stays there. */
  toNewest(): void;
  /** Whether new lines are scrolled into sight. */
  readonly isFollowing: boolean;
  unselect(): void;
}

/** Rows above and below those in sight, so that a quick scroll finds some. */
const SPARE_ROWS = 10;

export function createLogList({ box, schedule, onSelect }: LogListOptions): LogList {
  const height = document.createElement("div");
  height.className = "height";
  const window = document.createElement("div");
  window.className = "window";
  height.append(window);
  box.append(height);

  const rows: LogRow[] = [];
  let rowHeight = 24;
  let boxHeight = 0;
  let view: LineView | undefined;
  let isFollowing = true;
  /** Place of the first row, counted from the first line the view ever had. */
  let firstRow = 0;
  let tall = -1;
  let shift = -1;
  let dropped = 0;
  /** Where this list put the scroll bar; elsewhere, it was the reader. */
  let scrolledTo = 0;
  let selected: number | undefined;

  new ResizeObserver(() => {
    boxHeight = box.clientHeight;
    rowHeight = Number.parseFloat(getComputedStyle(box).getPropertyValue("--row")) || 24;
    schedule();
  }).observe(box);

  function scrollTo(top: number): void {
    box.scrollTop = top;
    scrolledTo = box.scrollTop;
  }

  box.addEventListener("scroll", () => {
    const { scrollTop } = box;
    if (Math.abs(scrollTop - scrolledTo) >= 1) {
      scrolledTo = scrollTop;
      isFollowing = scrollTop + box.clientHeight >= box.scrollHeight - rowHeight / 2;
    }
    schedule();
  });

  /** As many rows as are needed, in the order of the page: those that leave on one side come in on the other. */
  function turnTo(first: number, count: number): void {
    while (rows.length < count) {
      const row = createLogRow();
      rows.push(row);
      window.append(row.element);
    }
    while (rows.length > count) rows.pop()?.element.remove();
    const by = first - firstRow;
    firstRow = first;
    if (Math.abs(by) >= rows.length) return;
    for (let n = 0; n < by; n++) {
      const row = rows.shift()!;
      rows.push(row);
      window.append(row.element);
    }
    for (let n = 0; n > by; n--) {
      const row = rows.pop()!;
      rows.unshift(row);
      window.prepend(row.element);
    }
  }

  /** The reader stays at the line that was on top. */
  function changeView(next: LineView): void {
    if (view && !isFollowing && view.length > 0) {
      const top = Math.min(view.length - 1, Math.floor(box.scrollTop / rowHeight));
      const rest = box.scrollTop % rowHeight;
      setTall(next.length);
      scrollTo(next.indexOf(view.numberAt(top)) * rowHeight + rest);
    }
    view = next;
    dropped = next.dropped;
  }

  function setTall(lines: number): void {
    if (tall === lines * rowHeight) return;
    tall = lines * rowHeight;
    height.style.setProperty("height", `${tall}px`);
  }

  function select(number: number, line: Line): void {
    selected = number;
    // Who reads a line wants it to stay.
    isFollowing = false;
    onSelect(line);
    schedule();
  }

  /** The line `by` after the chosen one, or the last in sight. */
  function move(by: number): void {
    // Lines may have left since the last frame.
    view?.advance(() => true);
    if (!view || view.length === 0) return;
    const last = Math.floor((box.scrollTop + boxHeight) / rowHeight) - 1;
    const index = selected === undefined ? last : view.indexOf(selected) + by;
    const at = Math.min(Math.max(index, 0), view.length - 1);
    const top = at * rowHeight;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + rowHeight > box.scrollTop + boxHeight) box.scrollTop = top + rowHeight - boxHeight;
    select(view.numberAt(at), view.at(at));
  }

  box.addEventListener("click", ({ target }) => {
    // Text that was being marked is no choice of a line.
    if (!getSelection()?.isCollapsed) return;
    const row = rows.find(({ element }) => target instanceof Node && element.contains(target));
    if (row?.line) select(row.number, row.line);
  });
  box.addEventListener("keydown", (event) => {
    const { key } = event;
    if (key === "Enter") move(0);
    else if (key === "Escape" && selected !== undefined) onSelect(undefined);
    else if (key === "ArrowDown" && selected !== undefined) move(1);
    else if (key === "ArrowUp" && selected !== undefined) move(-1);
    else return;
    event.preventDefault();
  });

  return {
    render(next) {
      if (next !== view) changeView(next);
      const { length } = next;
      setTall(length);
      if (isFollowing) {
        if (tall > boxHeight && Math.abs(box.scrollTop + boxHeight - tall) >= 1) scrollTo(tall);
      } else if (next.dropped > dropped) {
        scrollTo(Math.max(0, box.scrollTop - (next.dropped - dropped) * rowHeight));
      }
      dropped = next.dropped;

      const seen = Math.ceil(boxHeight / rowHeight);
      const count = Math.min(length, seen + 2 * SPARE_ROWS);
      const top = Math.floor(box.scrollTop / rowHeight) - SPARE_ROWS;
      const first = Math.max(0, Math.min(top, length - count));
      turnTo(dropped + first, count);
      if (shift !== first * rowHeight) {
        shift = first * rowHeight;
        window.style.setProperty("transform", `translateY(${shift}px)`);
      }
      rows.forEach((row, at) => {
        const number = next.numberAt(first + at);
        row.show(number, next.at(first + at), next.pattern);
        row.select(number === selected);
      });
    },
    toNewest() {
      isFollowing = true;
      schedule();
    },
    get isFollowing() {
      return isFollowing;
    },
    unselect() {
      selected = undefined;
      schedule();
    },
  };
}
