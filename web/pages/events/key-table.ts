/**
 * The table of keys. A key keeps its row for as long as it is shown; a snapshot moves rows that are out of place, writes what has changed in those
 * on the screen, and in some of the others in turn: with 1,000 keys they are five seconds behind, and a frame has little to do.
 */
import { byId, formatCount } from "../../kit/dom.ts";
import { COLUMNS, type Column, type KeyCounts, lastMinute, type Order } from "./counters.ts";
import { createSparkline, type Sparkline } from "./sparkline.ts";

/** Rows on the page: more is nothing that anybody reads. */
export const MAX_ROWS = 1_000;
/** Pixels around the screen that count as on it. */
const AROUND = "200px";
/** Rows that are not on the screen and are written with a snapshot all the same. */
const IN_TURN = 200;

interface Row {
  readonly element: HTMLTableRowElement;
  readonly button: HTMLButtonElement;
  readonly cells: readonly HTMLTableCellElement[];
  readonly shown: string[];
  readonly line: Sparkline;
  counts: KeyCounts;
  isOnScreen: boolean;
  isSelected: boolean | undefined;
}

export interface KeyTable {
  /** `keys` in their order, at most {@link MAX_ROWS} of them shown; `selected`: the one that is charted. */
  update(keys: readonly KeyCounts[], selected: string | undefined): void;
  showOrder(order: Order): void;
}

export interface KeyTableOptions {
  onSelect(key: string): void;
  onSort(column: Column): void;
}

export function createKeyTable({ onSelect, onSort }: KeyTableOptions): KeyTable {
  const body = byId("keys", HTMLTableSectionElement);
  const rows = new Map<string, Row>();
  const byElement = new WeakMap<Element, Row>();
  /** Where the turn is, among the rows shown. */
  let turn = 0;

  const watcher = new IntersectionObserver(
    (changes) => {
      for (const { target, isIntersecting } of changes) {
        const row = byElement.get(target);
        if (!row) continue;
        row.isOnScreen = isIntersecting;
        if (isIntersecting) write(row);
      }
    },
    { rootMargin: AROUND },
  );

  function addRow(counts: KeyCounts): Row {
    const row = createRow(counts);
    rows.set(counts.key, row);
    byElement.set(row.element, row);
    watcher.observe(row.element);
    write(row);
    return row;
  }

  body.addEventListener("click", ({ target }) => {
    const element = target instanceof Element ? target.closest("tr") : null;
    const row = element ? byElement.get(element) : undefined;
    // Text that is being marked is not a click.
    if (row && getSelection()?.isCollapsed !== false) onSelect(row.counts.key);
  });
  for (const column of COLUMNS) {
    byId(`by-${column}`, HTMLTableCellElement)
      .querySelector("button")
      ?.addEventListener("click", () => onSort(column));
  }

  return {
    update(keys, selected) {
      const shown = keys.slice(0, MAX_ROWS);
      const kept = new Set(shown.map(({ key }) => key));
      for (const [key, row] of rows) {
        if (kept.has(key)) continue;
        watcher.unobserve(row.element);
        row.element.remove();
        rows.delete(key);
      }
      const focused = document.activeElement;
      let place = body.firstElementChild;
      turn = turn + IN_TURN < shown.length ? turn + IN_TURN : 0;
      for (const [index, counts] of shown.entries()) {
        const row = rows.get(counts.key) ?? addRow(counts);
        row.counts = counts;
        if (row.isOnScreen || (index >= turn && index < turn + IN_TURN)) write(row);
        select(row, counts.key === selected);
        if (row.element === place) place = place.nextElementSibling;
        else body.insertBefore(row.element, place);
      }
      // A row that is moved loses the focus that is in it.
      if (focused instanceof HTMLElement && focused !== document.activeElement && body.contains(focused)) {
        focused.focus({ preventScroll: true });
      }
    },
    showOrder({ column, descending }) {
      for (const other of COLUMNS) {
        const head = byId(`by-${other}`, HTMLTableCellElement);
        if (other === column) head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      }
    },
  };
}

function createRow(counts: KeyCounts): Row {
  const element = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "key mono";
  // A long key may break after its dots.
  counts.key.split(".").forEach((word, index) => {
    if (index > 0) button.append(".", document.createElement("wbr"));
    button.append(word);
  });
  head.append(button);
  const cells = COLUMNS.slice(1).map((column) => {
    const cell = document.createElement("td");
    cell.className = `number ${column}`;
    return cell;
  });
  const line = createSparkline();
  const last = document.createElement("td");
  last.className = "line";
  last.append(line.element);
  element.append(head, ...cells, last);
  return { element, button, cells, shown: [], line, counts, isOnScreen: false, isSelected: undefined };
}

function write({ cells, shown, counts, line, isOnScreen }: Row): void {
  const texts = [counts.total, counts.today, lastMinute(counts)].map(formatCount);
  cells.forEach((cell, index) => {
    const text = texts[index] ?? "";
    if (shown[index] !== text) cell.textContent = shown[index] = text;
  });
  if (isOnScreen) line.draw(counts.minutes);
}

function select(row: Row, isSelected: boolean): void {
  if (row.isSelected === isSelected) return;
  row.isSelected = isSelected;
  row.button.ariaPressed = String(isSelected);
  row.element.classList.toggle("selected", isSelected);
}
