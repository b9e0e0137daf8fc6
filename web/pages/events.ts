/** The page at `/events`: the counters of every routing key, as the server's snapshots say them. */
import { type Chart, createChart } from "../kit/chart.ts";
import { byId, formatClock, formatCount, setText } from "../kit/dom.ts";
import { openLive } from "../kit/live.ts";
import { announce } from "../kit/notices.ts";
import { openShell } from "../kit/shell.ts";
import {
  arrange,
  COLUMNS,
  type Column,
  createFilter,
  minuteTimes,
  type Order,
  parseSnapshot,
  type Snapshot,
  sum,
} from "./events/counters.ts";
import { createKeyTable, MAX_ROWS } from "./events/key-table.ts";
import { parseTopics } from "./events/topic.ts";

const { companyId } = openShell({ companies: "any", parameters: ["key"] });
const asked = new URL(location.href).searchParams;

/** Milliseconds without a snapshot after which the numbers are of the past: a new minute brings one, also where nothing happens. */
const SILENT_MS = 75_000;

const filter = byId("filter", HTMLInputElement);
const problem = byId("filter-problem", HTMLParagraphElement);
const count = byId("count", HTMLParagraphElement);
const empty = byId("empty", HTMLParagraphElement);
const table = createKeyTable({ onSelect: select, onSort: sortBy });

let order = readOrder(asked.get("sort") ?? "key");
let selected = asked.get("key") ?? undefined;
let isMeant = createFilter(parseTopics(""));
/** As it came; read when it is drawn. */
let newest = "";
let snapshot: Snapshot | undefined;
let frame = 0;
let chart: Chart | undefined;
let charted: string | undefined;

/** Once a frame, and in a hidden page not at all. */
function schedule(): void {
  if (frame === 0) frame = requestAnimationFrame(draw);
}

function draw(): void {
  frame = 0;
  if (newest) snapshot = parseSnapshot(newest);
  newest = "";
  if (!snapshot) return;
  const keys = arrange(snapshot, isMeant, order);
  const known = Object.keys(snapshot.counters).length;
  table.update(keys, selected);

  const all = sum(keys);
  setText(byId("sum-total", HTMLElement), formatCount(all.total));
  setText(byId("sum-today", HTMLElement), formatCount(all.today));
  setText(byId("zone", HTMLElement), snapshot.timeZone);
  setText(byId("sum-minute", HTMLElement), formatCount(all.minutes.at(-1) ?? 0));
  setText(byId("sum-keys", HTMLElement), formatCount(keys.length));
  setText(byId("of-keys", HTMLElement), keys.length < known ? `of ${formatCount(known)}` : "");
  setText(byId("as-of", HTMLElement), `as of ${formatClock(new Date(snapshot.timeMs))}`);
  setText(count, describeCount(keys.length, known));
  setText(empty, known === 0 ? "No event has been counted yet." : "No key fits the filter.");
  empty.hidden = keys.length > 0;

  const counts = selected === undefined ? all : snapshot.counters[selected];
  chartOf(selected).update(minuteTimes(snapshot), counts?.minutes ?? new Array<number>(60).fill(0));
}

function describeRefusal(status: number): string {
  if (status === 401) return "Sign in to see the numbers.";
  if (status === 403 && companyId === "")
    return "The numbers of all companies together are for the role ops. Choose a company above.";
  return "The server shows no numbers here.";
}

function describeCount(shown: number, known: number): string {
  if (shown > MAX_ROWS) return `the first ${formatCount(MAX_ROWS)} of ${formatCount(shown)} are listed`;
  return shown < known ? `${formatCount(shown)} of ${formatCount(known)}` : formatCount(known);
}

/** A chart says what it shows in its name, so another key has another chart. */
function chartOf(key: string | undefined): Chart {
  if (chart && charted === key) return chart;
  chart?.destroy();
  charted = key;
  const of = key ?? (filter.value.trim() ? "all keys of the filter" : "all keys");
  setText(byId("charted", HTMLElement), of);
  byId("chart-all", HTMLButtonElement).hidden = key === undefined;
  chart = createChart(byId("minutes", HTMLDivElement), {
    name: `Events a minute over the last hour, ${of}`,
    series: [{ label: "events", color: "--accent" }],
    height: 220,
    kind: "bars",
    format: formatCount,
    least: 4,
  });
  return chart;
}

function select(key: string): void {
  selected = key === selected ? undefined : key;
  remember("key", selected);
  announce(selected === undefined ? "All keys are charted" : `${selected} is charted`);
  schedule();
}

/** The same column again: the other way round. Numbers begin with the largest. */
function sortBy(column: Column): void {
  const descending = column === order.column ? !order.descending : column !== "key";
  order = { column, descending };
  table.showOrder(order);
  remember("sort", (descending ? "-" : "") + column);
  schedule();
}

function readOrder(text: string): Order {
  const descending = text.startsWith("-");
  const column = COLUMNS.find((name) => name === text.slice(descending ? 1 : 0));
  return column ? { column, descending } : { column: "key", descending: false };
}

function applyFilter(): void {
  const topics = parseTopics(filter.value);
  isMeant = createFilter(topics);
  setText(problem, topics.problems.length > 0 ? `Left out: ${topics.problems.join("; ")}.` : "");
  filter.setAttribute("aria-invalid", String(topics.problems.length > 0));
  for (const button of document.querySelectorAll<HTMLButtonElement>("#examples button")) {
    button.ariaPressed = String(button.value === filter.value.trim());
  }
  // Its name may say that there is a filter.
  if (charted === undefined) {
    chart?.destroy();
    chart = undefined;
  }
  remember("filter", filter.value.trim());
  schedule();
}

/** In the URL, so that the page can be sent to somebody. */
function remember(name: string, value: string | undefined): void {
  const page = new URL(location.href);
  if (value) page.searchParams.set(name, value);
  else page.searchParams.delete(name);
  if (page.href !== location.href) history.replaceState(null, "", page);
}

filter.addEventListener("input", applyFilter);
filter.addEventListener("change", () => announce(problem.textContent || `Keys: ${count.textContent}`));
byId("filter-form", HTMLFormElement).addEventListener("submit", (event) => event.preventDefault());
byId("examples", HTMLFieldSetElement).addEventListener("click", ({ target }) => {
  if (!(target instanceof HTMLButtonElement)) return;
  filter.value = target.value === filter.value.trim() ? "" : target.value;
  applyFilter();
});
byId("chart-all", HTMLButtonElement).addEventListener("click", () => {
  if (selected === undefined) return;
  select(selected);
  // The button goes: the focus shall not be nowhere.
  filter.focus();
});

filter.value = asked.get("filter") ?? "";
table.showOrder(order);
applyFilter();

openLive(`/stream/dashboard${companyId ? `?${new URLSearchParams({ companyId })}` : ""}`, {
  feeds: ["figures", "minutes", "key-table"].map((id) => byId(id, HTMLElement)),
  shared: "newest",
  silentMs: SILENT_MS,
  onMessage({ type, data }) {
    if (type !== "dashboard") return;
    newest = data;
    schedule();
  },
  onState(state) {
    if (state.kind !== "refused" || snapshot) return;
    setText(empty, describeRefusal(state.status));
  },
});
