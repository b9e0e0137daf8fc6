/** One GPU: its labels, the newest value of each metric, and the chosen metric over the last hours as a chart and in a table. */
import { type Chart, createChart } from "../../kit/chart.ts";
import { byId, formatClock, formatCount, setText } from "../../kit/dom.ts";
import { type Api, ApiError } from "./api.ts";
import type { Gpu, Reading } from "./fleet.ts";
import { compareMetrics, formatFull, formatValue, type Metric, metricOf } from "./metrics.ts";
import { createPoints, type Point, type Points } from "./points.ts";

export interface Detail {
  /** Shows another GPU, metric or span; loads its series. */
  show(gpu: Gpu, metric: Metric, spanMs: number): void;
  /** A reading of the stream, of whatever GPU. */
  take(reading: Reading): void;
  /** Writes what has changed. Once an animation frame. */
  draw(): void;
  /** There is no such GPU, in words; without them, there is none at all, and no room for one. */
  showNone(text?: string): void;
}

/** Rows of the table. */
const NEWEST = 50;
const HOUR_MS = 3_600_000;

/** `nowMs`: by the server's clock. */
export function createDetail(api: Api, nowMs: () => number, onFailure: (error: ApiError) => void): Detail {
  const panel = byId("detail", HTMLElement);
  const note = byId("series-note", HTMLParagraphElement);
  let gpu: Gpu | undefined;
  let metric = metricOf("");
  let spanMs = HOUR_MS;
  let points: Points = createPoints(spanMs);
  let chart: Chart | undefined;
  let loading: AbortController | undefined;
  /** What is said in place of the numbers. */
  let trouble = "";
  let isCut = false;

  async function load(uuid: string, { signal }: AbortController): Promise<void> {
    trouble = "Loading…";
    try {
      const series = await api.series(uuid, metric.id, nowMs() - spanMs, signal);
      isCut = series.isCut;
      trouble = "";
      points.add(pointsOf(series.readings), nowMs());
    } catch (error) {
      if (signal.aborted) return;
      trouble = `No history: ${error instanceof ApiError ? error.message : "the server cannot be reached"}.`;
      if (error instanceof ApiError) onFailure(error);
    }
    draw();
  }

  function draw(): void {
    if (!gpu) return;
    const { labels } = gpu;
    setText(byId("detail-title", HTMLElement), `${labels.Hostname || "no host"} · GPU ${labels.gpu_id}`);
    writeList(byId("labels", HTMLDListElement), labelsOf(gpu));
    writeList(
      byId("newest", HTMLDListElement),
      [...gpu.metrics]
        .sort(([a], [b]) => compareMetrics(a, b))
        .map(([id, { value }]) => [metricOf(id).label, formatFull(metricOf(id), value)]),
    );
    const { times, values } = points.columns(nowMs());
    chart?.update(times, values);
    setText(note, trouble || describePoints(points.all, metric, isCut));
    writeRows(byId("readings", HTMLTableSectionElement), points.all.slice(-NEWEST).reverse(), metric);
  }

  return {
    show(next, nextMetric, nextSpanMs) {
      panel.dataset.empty = "false";
      panel.hidden = false;
      loading?.abort();
      loading = new AbortController();
      [gpu, metric, spanMs, isCut] = [next, nextMetric, nextSpanMs, false];
      points = createPoints(spanMs);
      chart?.destroy();
      const hours = spanMs === HOUR_MS ? "hour" : `${spanMs / HOUR_MS} hours`;
      const name = `${metric.label} of ${gpu.labels.Hostname}, GPU ${gpu.labels.gpu_id}, over the last ${hours}`;
      setText(byId("series-title", HTMLElement), `${metric.label}${metric.unit && `, ${metric.unit}`}`);
      setText(
        byId("readings-of", HTMLElement),
        `${metric.label}, ${gpu.labels.Hostname} · GPU ${gpu.labels.gpu_id}`,
      );
      chart = createChart(byId("series", HTMLDivElement), {
        name,
        series: [{ label: metric.label, color: "--accent" }],
        height: 240,
        format: (value) => formatValue(metric, value),
        least: metric.most ?? 1,
      });
      void load(gpu.uuid, loading);
      draw();
    },
    take(reading) {
      if (reading.uuid === gpu?.uuid && reading.metric === metric.id) {
        points.add(pointsOf([reading]), nowMs());
      }
    },
    draw,
    showNone(text = "") {
      loading?.abort();
      chart?.destroy();
      [gpu, chart] = [undefined, undefined];
      panel.dataset.empty = "true";
      panel.hidden = text === "";
      setText(byId("detail-title", HTMLElement), text);
    },
  };
}

/** Text has no place on a chart. */
function pointsOf(readings: readonly Reading[]): Point[] {
  return readings.flatMap(({ timeMs, value }) => (typeof value === "number" ? [{ timeMs, value }] : []));
}

function labelsOf({ uuid, labels, newestMs }: Gpu): [string, string][] {
  const { modelName, device, namespace, pod, container } = labels;
  const all: [string, string][] = [
    ...([
      ["Model", modelName],
      ["Device", device],
      ["UUID", uuid],
    ] as [string, string][]),
    ...([
      ["Namespace", namespace],
      ["Pod", pod],
      ["Container", container],
    ] as [string, string][]),
    ["Last reading", newestMs > 0 ? formatClock(new Date(newestMs)) : ""],
  ];
  return all.filter(([, text]) => text !== "");
}

function describePoints(points: readonly Point[], metric: Metric, isCut: boolean): string {
  const values = points.map(({ value }) => value);
  const first = points[0];
  if (!first) return "No reading in this time.";
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const [least, most] = [Math.min(...values), Math.max(...values)].map((value) => formatFull(metric, value));
  const since = isCut ? `, the newest since ${formatClock(new Date(first.timeMs))}` : "";
  const count = `${formatCount(points.length)} ${points.length === 1 ? "reading" : "readings"}${since}`;
  return `Least ${least}, mean ${formatFull(metric, mean)}, most ${most} · ${count}`;
}

/** Terms and descriptions, elements kept while they are as many. */
function writeList(list: HTMLDListElement, entries: readonly (readonly [string, string])[]): void {
  while (list.childElementCount > entries.length) list.lastElementChild?.remove();
  while (list.childElementCount < entries.length) {
    const group = document.createElement("div");
    group.append(document.createElement("dt"), document.createElement("dd"));
    list.append(group);
  }
  entries.forEach(([term, text], index) => {
    const group = list.children[index];
    if (group?.firstElementChild) setText(group.firstElementChild, term);
    if (group?.lastElementChild) setText(group.lastElementChild, text);
  });
}

function writeRows(body: HTMLTableSectionElement, points: readonly Point[], metric: Metric): void {
  while (body.rows.length > points.length) body.deleteRow(-1);
  while (body.rows.length < points.length) {
    const row = body.insertRow();
    row.insertCell();
    row.insertCell();
  }
  points.forEach(({ timeMs, value }, index) => {
    const [time, cell] = body.rows[index]?.cells ?? [];
    if (time) setText(time, formatClock(new Date(timeMs)));
    if (cell) setText(cell, formatFull(metric, value));
  });
}
