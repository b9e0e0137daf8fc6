/**
 * The map: a row a host, a cell a GPU, its value in it as text and as one of eight colours. An ARIA grid: one cell is in the tab order, the
 * arrow keys go to the others.
 */
import { formatClock, setText } from "../../kit/dom.ts";
import type { Gpu, Host } from "./fleet.ts";
import { formatFull, formatShort, levelOf, type Metric, type Scale } from "./metrics.ts";

export interface MapView {
  readonly metric: Metric;
  readonly scale: Scale;
  /** The GPU whose series is shown. */
  readonly selected: string | undefined;
  /** A reading before this time is old, milliseconds since 1970. */
  readonly oldBeforeMs: number;
}

export interface HeatMap {
  /** Rows and cells, where hosts or GPUs came or went. Cells stay the elements they are. */
  layOut(hosts: readonly Host[]): void;
  /** Writes what differs into the cells of these GPUs. */
  write(gpus: Iterable<Gpu>, view: MapView): void;
  /** The cell takes the focus, as if the arrow keys had gone there. */
  focus(uuid: string): void;
}

interface Cell {
  readonly element: HTMLElement;
  readonly button: HTMLButtonElement;
  readonly id: HTMLElement;
  readonly value: HTMLElement;
}

export function createHeatMap(grid: HTMLElement, onSelect: (uuid: string) => void): HeatMap {
  const cells = new Map<string, Cell>();
  let rows: string[][] = [];
  let current = "";
  grid.setAttribute("role", "grid");

  function cellOf(uuid: string): Cell {
    let cell = cells.get(uuid);
    if (!cell) {
      cell = createCell();
      cell.button.addEventListener("click", () => {
        setCurrent(uuid);
        onSelect(uuid);
      });
      cell.button.addEventListener("focus", () => setCurrent(uuid));
      cells.set(uuid, cell);
    }
    return cell;
  }

  function setCurrent(uuid: string): void {
    cells.get(current)?.button.setAttribute("tabindex", "-1");
    current = uuid;
    cells.get(uuid)?.button.setAttribute("tabindex", "0");
  }

  grid.addEventListener("keydown", (event) => {
    const row = rows.findIndex((uuids) => uuids.includes(current));
    const column = rows[row]?.indexOf(current) ?? -1;
    if (column < 0 || event.altKey || event.metaKey) return;
    const next = nextPlace(event, row, column, rows);
    const uuid = next && rows[next.row]?.[next.column];
    if (uuid === undefined) return;
    event.preventDefault();
    cells.get(uuid)?.button.focus();
  });

  return {
    layOut(hosts) {
      rows = hosts.map(({ gpus }) => gpus.map(({ uuid }) => uuid));
      const focused = document.activeElement;
      grid.replaceChildren(
        ...hosts.map(({ name, gpus }) => {
          const row = element("div", "host-row", "row");
          const head = element("span", "host", "rowheader");
          head.textContent = name || "no host";
          head.title = name;
          const all = element("div", "cells");
          all.append(...gpus.map(({ uuid }) => cellOf(uuid).element));
          row.append(head, all);
          return row;
        }),
      );
      if (focused instanceof HTMLElement && grid.contains(focused)) focused.focus({ preventScroll: true });
      if (!rows.some((uuids) => uuids.includes(current))) setCurrent(rows[0]?.[0] ?? "");
    },
    write(gpus, view) {
      for (const gpu of gpus) write(cellOf(gpu.uuid), gpu, view);
    },
    focus: (uuid) => cells.get(uuid)?.button.focus(),
  };
}

/** WAI-ARIA Authoring Practices, "Grid": in a row, between rows, to the ends of a row, with Ctrl of the grid. */
function nextPlace(
  { key, ctrlKey }: KeyboardEvent,
  row: number,
  column: number,
  rows: readonly (readonly string[])[],
): { row: number; column: number } | undefined {
  const at = (toRow: number, toColumn: number) => {
    const found = Math.min(rows.length - 1, Math.max(0, toRow));
    const last = (rows[found]?.length ?? 1) - 1;
    return { row: found, column: Math.min(last, Math.max(0, toColumn)) };
  };
  const end = Number.MAX_SAFE_INTEGER;
  if (key === "ArrowRight") return at(row, column + 1);
  if (key === "ArrowLeft") return at(row, column - 1);
  if (key === "ArrowDown") return at(row + 1, column);
  if (key === "ArrowUp") return at(row - 1, column);
  if (key === "Home") return at(ctrlKey ? 0 : row, 0);
  if (key === "End") return at(ctrlKey ? end : row, end);
  return undefined;
}

function createCell(): Cell {
  const cell = element("span", "cell", "gridcell");
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  const id = element("span", "id");
  const value = element("span", "value");
  button.append(id, value);
  cell.append(button);
  return { element: cell, button, id, value };
}

function write({ element: cell, button, id, value }: Cell, gpu: Gpu, view: MapView): void {
  const { metric, scale, selected, oldBeforeMs } = view;
  const reading = gpu.metrics.get(metric.id);
  const isOld = reading !== undefined && reading.timeMs < oldBeforeMs;
  const level = typeof reading?.value === "number" ? String(levelOf(scale, reading.value)) : "";
  setText(id, gpu.labels.gpu_id);
  setText(value, reading === undefined ? "–" : formatShort(metric, reading.value));
  setData(button, "level", level);
  setData(button, "old", String(isOld));
  const isSelected = String(gpu.uuid === selected);
  if (cell.ariaSelected !== isSelected) cell.ariaSelected = isSelected;
  const words = describe(gpu, metric, isOld);
  if (button.ariaLabel === words) return;
  button.ariaLabel = words;
  button.title = words;
}

function describe({ labels, metrics }: Gpu, metric: Metric, isOld: boolean): string {
  const reading = metrics.get(metric.id);
  const place = `${labels.Hostname}, GPU ${labels.gpu_id}`;
  if (!reading) return `${place}: no ${metric.label} known`;
  const said = `${place}: ${metric.label} ${formatFull(metric, reading.value)}`;
  return isOld ? `${said}, old: as of ${formatClock(new Date(reading.timeMs))}` : said;
}

function setData(button: HTMLButtonElement, name: string, value: string): void {
  if (button.dataset[name] !== value) button.dataset[name] = value;
}

function element(tag: "div" | "span", className: string, role?: string): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  if (role !== undefined) made.setAttribute("role", role);
  return made;
}
