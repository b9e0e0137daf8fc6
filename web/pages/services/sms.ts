/** What a sender of text messages counts, and how that moved while the page was open. */

import type { SmsCounts, SmsStatistics } from "../../../functions/core/service-status.ts";
import { type Chart, createChart } from "../../kit/chart.ts";
import { byId, formatCount, setText } from "../../kit/dom.ts";
import { deliveryRate, type Point, seriesOf } from "./sms-counts.ts";

export interface SmsCard {
  take(statistics: SmsStatistics, nowMs: number): void;
}

/** Statistics kept for the chart: two hours of one every 30 s. */
const MAX_POINTS = 240;
const MAX_PROVIDERS = 8;
/** Bars there is room for from the beginning: a few should not fill the chart. */
const FIRST_SLOTS = 16;

export function createSms(): SmsCard {
  const card = byId("sms", HTMLElement);
  const rows = byId("sms-providers", HTMLTableSectionElement);
  const rest = byId("sms-rest", HTMLElement);
  const points: Point[] = [];
  let chart: Chart | undefined;
  let newest: SmsStatistics | undefined;
  let frame = 0;

  function draw(): void {
    frame = 0;
    if (!newest) return;
    card.hidden = false;
    for (const name of ["sent", "delivered", "failed"] as const) {
      setText(byId(`sms-${name}`, HTMLElement), formatCount(newest[name]));
    }
    setText(byId("sms-rate", HTMLElement), deliveryRate(newest));
    const providers = Object.entries(newest.providers).sort(([, a], [, b]) => b.sent - a.sent);
    rows.replaceChildren(
      ...providers
        .slice(0, MAX_PROVIDERS)
        .map(([name, of]) => rowOf(name, [formatCount(of.sent), formatCount(of.failed), deliveryRate(of)])),
    );
    const others = providers.length - MAX_PROVIDERS;
    rest.hidden = others <= 0;
    setText(rest, `and ${formatCount(others)} more`);

    // One statistic has nothing before it.
    byId("sms-wait", HTMLElement).hidden = points.length > 1;
    byId("sms-chart", HTMLElement).classList.toggle("empty", points.length < 2);
    chart ??= createChart(byId("sms-chart", HTMLElement), {
      name: "Text messages between two statistics, since this page was opened",
      series: [
        { label: "delivered", color: "--accent" },
        { label: "failed", color: "--bad" },
      ],
      height: 143,
      kind: "bars",
      format: formatCount,
    });
    const { times, delivered, failed } = seriesOf(points, FIRST_SLOTS);
    chart.update(times, delivered, failed);
  }

  return {
    take(statistics, nowMs) {
      const last = points.at(-1)?.counts;
      newest = statistics;
      if (last && sameCounts(last, statistics)) return;
      points.push({ atMs: nowMs, counts: statistics });
      if (points.length > MAX_POINTS) points.shift();
      if (frame === 0) frame = requestAnimationFrame(draw);
    },
  };
}

function sameCounts(a: SmsCounts, b: SmsCounts): boolean {
  return a.sent === b.sent && a.delivered === b.delivered && a.failed === b.failed;
}

function rowOf(name: string, cells: readonly string[]): HTMLTableRowElement {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  head.title = name;
  row.append(
    head,
    ...cells.map((text) => {
      const cell = document.createElement("td");
      cell.textContent = text;
      return cell;
    }),
  );
  return row;
}
