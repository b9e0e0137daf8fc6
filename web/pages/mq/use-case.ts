/** The card of one use case: rate, total, the last minute, the last payloads. */
import { createChart } from "../../kit/chart.ts";
import { formatCount, formatRate, setText } from "../../kit/dom.ts";
import { createTrail } from "../../kit/trail.ts";
import type { Payload } from "./facts.ts";
import { createRecent } from "./recent.ts";

/** What the feed says of one use case. */
export interface UseCase {
  readonly total: number;
  readonly rate: number;
  /** Oldest first. */
  readonly recent: readonly Payload[];
}

export interface UseCaseCard {
  readonly element: HTMLElement;
  /** One point of the chart. */
  record(useCase: UseCase, nowMs: number): void;
  draw(nowMs: number): void;
}

const CHART_SECONDS = 60;

export interface CardOptions {
  readonly template: HTMLTemplateElement;
  readonly payload: HTMLTemplateElement;
  /** Its name in the feed. */
  readonly feed: string;
  readonly title: string;
  /** A colour of base.css. */
  readonly color: string;
  readonly showsCompany: boolean;
}

export function createUseCase({
  template,
  payload,
  feed,
  title,
  color,
  showsCompany,
}: CardOptions): UseCaseCard {
  const element = template.content.firstElementChild?.cloneNode(true) as HTMLElement;
  const part = (name: string): HTMLElement => element.querySelector(name) as HTMLElement;
  const heading = part("h2");
  heading.textContent = title;
  heading.id = `title-${feed}`;
  element.dataset.feed = feed;
  element.setAttribute("aria-labelledby", heading.id);
  part(".feed").textContent = feed;
  const list = part(".recent");
  list.setAttribute("aria-label", `Last payloads of ${title}`);
  const recent = createRecent({
    ...{ list, held: part(".held"), empty: part(".empty"), template: payload },
    feed,
    showsCompany,
  });
  const trail = createTrail(CHART_SECONDS, 1000);
  const [rate, total] = [part(".rate"), part(".total")];
  let latest: UseCase | undefined;
  let chart: ReturnType<typeof createChart> | undefined;

  return {
    element,
    record(useCase, nowMs) {
      latest = useCase;
      trail.record(nowMs, useCase.rate);
    },
    draw(nowMs) {
      chart ??= createChart(part(".rate-chart"), {
        name: `${title}: events a second over the last minute`,
        series: [{ label: "events per second", color }],
        height: 132,
        format: formatRate,
      });
      const { times, values } = trail.at(nowMs);
      chart.update(times, values);
      if (latest === undefined) return;
      setText(rate, formatRate(latest.rate));
      setText(total, formatCount(latest.total));
      recent.draw(latest.recent, latest.total);
    },
  };
}
