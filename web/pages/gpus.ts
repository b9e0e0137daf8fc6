/** The page at `/gpus`: every GPU of a company by host, live, and one of them over the last hours. */
import { byId, formatCount, setText } from "../kit/dom.ts";
import { announce, hideNotice, showNotice } from "../kit/notices.ts";
import { askForToken, openShell } from "../kit/shell.ts";
import { openUpdates } from "../kit/updates.ts";
import { type ApiError, createApi } from "./gpus/api.ts";
import { createBackfill } from "./gpus/backfill.ts";
import { createDetail } from "./gpus/detail.ts";
import { drawFigures, valuesOf } from "./gpus/figures.ts";
import { createFleet, type Gpu, MAX_GPUS, type Reading, readReading } from "./gpus/fleet.ts";
import { createHeatMap } from "./gpus/heat-map.ts";
import { formatFull, formatValue, metricOf, scaleOf } from "./gpus/metrics.ts";

const TELEMETRY_TYPE = "telemetry.gpu";
const FIRST_METRIC = "DCGM_FI_DEV_GPU_UTIL";
/** Milliseconds after which a reading is old: four times what exporters are usually asked after. */
const OLD_MS = 120_000;
/** Milliseconds between two looks at what has grown old. */
const LOOK_MS = 5_000;
const HOUR_MS = 3_600_000;

const { companyId } = openShell({ parameters: ["gpu"] });
const asked = new URL(location.href).searchParams;
const fleet = createFleet();
const api = createApi(companyId);
const grid = byId("map", HTMLDivElement);
const choice = byId("metric", HTMLSelectElement);
const empty = byId("empty", HTMLParagraphElement);

let metric = metricOf(asked.get("metric") || FIRST_METRIC);
let spanMs = Number(asked.get("span") ?? 1) * HOUR_MS;
let selected = asked.get("gpu") ?? undefined;
let shown: string | undefined;
let isLoaded = false;
let isLaidOut = false;
/** Cells to write: those of these GPUs, or all of them. */
const changed = new Set<Gpu>();
let isAllChanged = true;
let frame = 0;

/** By the server's clock. */
let aheadMs = 0;
const nowMs = () => Date.now() + aheadMs;

const map = createHeatMap(grid, (uuid) => {
  selected = uuid;
  remember("gpu", uuid);
  isAllChanged = true;
  showSelected();
  const { labels } = fleet.gpus.get(uuid)!;
  announce(`${labels.Hostname}, GPU ${labels.gpu_id} is shown`);
  // Where it is below the map it is brought into view.
  byId("detail", HTMLElement).scrollIntoView({ block: "nearest" });
});
const detail = createDetail(api, nowMs, explain);
const backfill = createBackfill({
  api,
  onList({ total, gpus, aheadMs: ahead }) {
    aheadMs = ahead;
    for (const { uuid, labels } of gpus) fleet.add(uuid, labels);
    if (total > MAX_GPUS) {
      showNotice(
        "room",
        `The first ${formatCount(MAX_GPUS)} of ${formatCount(total)} GPUs are shown.`,
        "plain",
      );
    }
    isLoaded = true;
    isLaidOut = false;
    hideNotice("api");
    schedule();
  },
  isWanted: (uuid) => !fleet.gpus.get(uuid)?.metrics.has(metric.id),
  onReadings: (readings) => readings.forEach(take),
  onFailure: explain,
});

function take(reading: Reading): void {
  const { isKept, isNew } = fleet.take(reading);
  if (isNew) isLaidOut = false;
  const gpu = fleet.gpus.get(reading.uuid);
  if (isKept && gpu) changed.add(gpu);
  schedule();
}

function explain({ status, message }: ApiError): void {
  if (status === 401) askForToken(message);
  // Under the stream's key: who may not read the one may not read the other.
  else showNotice(status === 403 ? "refused" : "api", message, status >= 500 ? "warn" : "bad");
  if (status >= 500) return;
  setText(empty, status === 401 ? "Sign in to see the GPUs." : "The server shows no GPU here.");
  if (fleet.gpus.size === 0) detail.showNone();
}

/** Once a frame, and in a hidden page not at all. */
function schedule(): void {
  if (frame === 0) frame = requestAnimationFrame(draw);
}

function draw(): void {
  frame = 0;
  if (!isLaidOut) {
    isLaidOut = isAllChanged = true;
    map.layOut(fleet.hosts());
    showMetrics();
    showSelected();
  }
  drawScale();
  const view = { metric, scale, selected, oldBeforeMs: nowMs() - OLD_MS };
  const written = isAllChanged ? [...fleet.gpus.values()] : [...changed];
  changed.clear();
  isAllChanged = false;
  map.write(written, view);
  drawFigures(fleet, metric, view.oldBeforeMs, isLoaded);
  empty.hidden = fleet.gpus.size > 0;
  if (isLoaded) setText(empty, `No GPU of ${companyId} has been heard of yet.`);
  if (written.some(({ uuid }) => uuid === selected)) detail.draw();
}

let scale = scaleOf(metric, []);

/** The colours' ends in numbers; they grow with what there is, and do not shrink under the reader's eyes. */
function drawScale(): void {
  const next = scaleOf(metric, [
    scale.least,
    scale.most,
    ...valuesOf(fleet, metric).map(({ value }) => value),
  ]);
  if (next.least !== scale.least || next.most !== scale.most) isAllChanged = true;
  scale = next;
  setText(byId("scale-least", HTMLElement), formatFull(metric, scale.least));
  setText(byId("scale-middle", HTMLElement), formatValue(metric, (scale.least + scale.most) / 2));
  setText(byId("scale-most", HTMLElement), formatFull(metric, scale.most));
}

/** Those that occur, and the one that is asked for. */
function showMetrics(): void {
  const ids = [...new Set([...fleet.metrics(), metric.id])];
  const isSame = choice.length === ids.length && ids.every((id, at) => choice.options[at]?.value === id);
  if (!isSame) choice.replaceChildren(...ids.map((id) => new Option(metricOf(id).label, id)));
  choice.value = metric.id;
  const name = `${metric.label}${metric.unit && `, ${metric.unit}`}`;
  setText(byId("map-metric", HTMLElement), name);
  grid.setAttribute("aria-label", `GPUs by host: ${name}`);
}

/** The chosen one, else the first of the map, in the panel; nothing where it is there already. */
function showSelected(): void {
  const uuid = selected ?? fleet.hosts()[0]?.gpus[0]?.uuid;
  const gpu = uuid === undefined ? undefined : fleet.gpus.get(uuid);
  if (!gpu) {
    if (isLoaded) detail.showNone(uuid && `${companyId} has no GPU ${uuid}`);
    return;
  }
  selected = gpu.uuid;
  const wanted = `${gpu.uuid} ${metric.id} ${spanMs}`;
  if (wanted !== shown) detail.show(gpu, metric, spanMs);
  shown = wanted;
  schedule();
}

/** In the URL, so that the page can be sent to somebody. */
function remember(name: string, value: string): void {
  const page = new URL(location.href);
  page.searchParams.set(name, value);
  history.replaceState(null, "", page);
}

choice.addEventListener("change", () => {
  metric = metricOf(choice.value);
  scale = scaleOf(metric, []);
  isAllChanged = true;
  remember("metric", metric.id);
  showMetrics();
  showSelected();
  // A metric that few readings were of may not have come yet.
  void backfill.run();
});
const spans = byId("spans", HTMLFieldSetElement);
for (const radio of spans.querySelectorAll<HTMLInputElement>("input")) {
  if (asked.get("span") === radio.value) radio.checked = true;
}
spanMs = Number(spans.querySelector<HTMLInputElement>("input:checked")?.value ?? 1) * HOUR_MS;
spans.addEventListener("change", ({ target }) => {
  if (!(target instanceof HTMLInputElement)) return;
  spanMs = Number(target.value) * HOUR_MS;
  remember("span", target.value);
  showSelected();
});

showMetrics();
setInterval(() => {
  isAllChanged = true;
  schedule();
}, LOOK_MS);

openUpdates({
  companyId,
  type: TELEMETRY_TYPE,
  feeds: ["figures", "map", "series"].map((id) => byId(id, HTMLElement)),
  onData(data) {
    const reading = readReading(data);
    if (!reading) return;
    take(reading);
    detail.take(reading);
  },
  onState({ kind }) {
    if (kind === "live" && !isLoaded) void backfill.run();
  },
  // What was not delivered may be in the store.
  onGap: () => void backfill.run({ again: true }),
});
void backfill.run();
