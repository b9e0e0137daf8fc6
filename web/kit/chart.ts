/** Charts over time by uPlot, in the page's colours, with what is under the pointer in words below. */
import uPlot from "uplot";
import { formatClock } from "./dom.ts";

export interface ChartSeries {
  readonly label: string;
  /** A colour of base.css, such as `--accent`. */
  readonly color: string;
}

export interface ChartOptions {
  /** What it shows, for who does not see it. */
  readonly name: string;
  readonly series: readonly ChartSeries[];
  /** Pixels. Default 140. */
  readonly height?: number;
  /** Default `line`. */
  readonly kind?: "line" | "bars";
  /** A number for the reader, with its unit. Default: as it is. */
  readonly format?: (value: number) => string;
  /** Without axes and readout: a line among text. Default false. */
  readonly bare?: boolean;
  /** The least the y axis shows at its top. Default 1. */
  readonly least?: number;
}

export interface Chart {
  /** `times` in seconds since 1970, ascending; one list of values a series, as long; null where there is none. */
  update(times: readonly number[], ...values: readonly (readonly (number | null)[])[]): void;
  destroy(): void;
}

/** Seconds since 1970 as local time, as exact as the step between ticks asks for. */
const clockOf = (stepSeconds: number) => (seconds: number) => {
  const clock = formatClock(new Date(seconds * 1000));
  return stepSeconds < 60 ? clock : clock.slice(0, 5);
};

/** Room for the whole of the first and of the last bar. */
function aroundBars(plot: uPlot, first: number, last: number): uPlot.Range.MinMax {
  const half = (last - first) / Math.max(1, plot.data[0].length - 1) / 2;
  return [first - half, last + half];
}

const DARK = matchMedia("(prefers-color-scheme: dark)");

/** Draws into `box`, as wide as that is. Follows its width and the colour scheme. */
export function createChart(box: HTMLElement, options: ChartOptions): Chart {
  const { name, series, height = 140, kind = "line", format = String, bare = false, least = 1 } = options;
  let data: uPlot.AlignedData = [[], ...series.map(() => [])];
  let plot: uPlot | undefined;
  box.classList.add("plot");
  const canvas = document.createElement("div");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", name);
  box.replaceChildren(canvas);
  const readout = document.createElement("p");
  readout.className = "readout";
  if (!bare) box.append(readout);

  // The page's own, not the box's: what is stale now has others for a while, and a drawing stays.
  const colorOf = (variable: string) =>
    getComputedStyle(document.documentElement).getPropertyValue(variable).trim();

  function draw(): void {
    plot?.destroy();
    const axis = {
      stroke: colorOf("--soft"),
      grid: { stroke: colorOf("--line"), width: 1 },
      ticks: { show: false },
    };
    const font = "12px system-ui, sans-serif";
    plot = new uPlot(
      {
        width: Math.max(40, box.clientWidth),
        height,
        legend: { show: false },
        cursor: { show: !bare, drag: { x: false, y: false }, points: { size: 6 } },
        scales: {
          ...(kind === "bars" ? { x: { range: aroundBars } } : {}),
          y: { range: (_, __, most) => [0, Math.max(least, most * 1.08)] },
        },
        ...(bare ? { padding: [2, 0, 2, 0] } : {}),
        axes: bare
          ? [{ show: false }, { show: false }]
          : [
              {
                ...axis,
                font,
                size: 26,
                space: 70,
                values: (_, ticks, __, ___, step) => ticks.map(clockOf(step)),
              },
              { ...axis, font, size: 52, space: 34, values: (_, ticks) => ticks.map(format) },
            ],
        series: [
          {},
          ...series.map(({ label, color }) => ({
            label,
            stroke: colorOf(color),
            width: kind === "bars" ? 0 : 1.75,
            fill: kind === "bars" ? colorOf(color) : `${colorOf(color)}22`,
            points: { show: false },
            ...(kind === "bars" && uPlot.paths.bars
              ? { paths: uPlot.paths.bars({ size: [0.8, 60], gap: 0 }) }
              : {}),
          })),
        ],
        hooks: { setCursor: [read] },
      },
      data,
      canvas,
    );
  }

  /** What the pointer is on, or the newest. */
  function read(): void {
    if (bare || !plot) return;
    const [times] = data;
    const index = plot.cursor.idx ?? newestIndex();
    const time = times[index];
    if (time === undefined) return;
    const clock = formatClock(new Date(time * 1000));
    const texts = series.map(({ label }, at) => `${label} ${say(data[at + 1]?.[index])}`);
    readout.textContent = `${clock} · ${texts.join(" · ")}`;
  }
  /** Of the newest values there are: nothing may have come since. */
  function newestIndex(): number {
    const [times, ...all] = data;
    const found = times.findLastIndex((_, index) =>
      all.some((values) => typeof values?.[index] === "number"),
    );
    return found < 0 ? times.length - 1 : found;
  }
  const say = (value: number | null | undefined) =>
    value === null || value === undefined ? "no value" : format(value);

  const resized = new ResizeObserver(() => {
    const width = Math.max(40, box.clientWidth);
    if (plot && plot.width !== width) plot.setSize({ width, height });
  });
  draw();
  resized.observe(box);
  DARK.addEventListener("change", draw);

  return {
    update(times, ...values) {
      data = [times, ...values] as unknown as uPlot.AlignedData;
      plot?.setData(data);
      read();
      const index = newestIndex();
      const newest = series.map(({ label }, at) => `${label} ${say(values[at]?.[index])}`).join(", ");
      canvas.setAttribute("aria-label", `${name}; now ${newest}`);
    },
    destroy() {
      resized.disconnect();
      DARK.removeEventListener("change", draw);
      plot?.destroy();
      box.replaceChildren();
    },
  };
}
