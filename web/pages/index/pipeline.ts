/**
 * The pipeline at the top of the page: every source, the log, the connections, from `GET /api/pipeline`. Who has not the role `ops` is told so, and is
 * shown the numbers of the own company.
 */
import type { Pipeline } from "../../../functions/core/pipeline.ts";
import type { StreamState } from "../../client/stream.ts";
import { type Chart, createChart } from "../../kit/chart.ts";
import { showState } from "../../kit/connection.ts";
import { byId, formatClock, formatCount, formatRate, setText, upperFirst } from "../../kit/dom.ts";
import { openPoll } from "../../kit/poll.ts";
import { askForToken } from "../../kit/shell.ts";
import { createTrail } from "../../kit/trail.ts";
import { createSources } from "./sources.ts";

/** Milliseconds between two looks. */
const POLL_MS = 2_000;
/** What the charts look back: five minutes. */
const STEPS = 150;
/** They begin with half a minute. */
const LEAST_STEPS = 15;

/** What `/stream/stats` answers, as far as it is shown. */
interface Stats {
  readonly connections: { readonly connectionsByCompany: Readonly<Record<string, number>> };
  readonly replayCache: { readonly eventsByCompany: Readonly<Record<string, number>> };
}

/** What there is to draw. */
type Look =
  | { readonly kind: "all"; readonly pipeline: Pipeline }
  | { readonly kind: "own"; readonly events: number; readonly connections: number };

/** Draws it from now on, while the page is visible. */
export function openPipeline(companyId: string): void {
  const box = byId("pipeline", HTMLDivElement);
  const asOf = byId("as-of", HTMLParagraphElement);
  const title = byId("log-title", HTMLHeadingElement);
  const sources = createSources();
  const log = createNode("log");
  const connections = createNode("connections");
  let look: Look | undefined;
  let lookedMs = 0;
  let frame = 0;

  function draw(): void {
    frame = 0;
    if (look === undefined) return;
    box.dataset.flowing = String(look.kind === "own" || look.pipeline.log.rate > 0);
    if (look.kind === "all") {
      const { pipeline } = look;
      const { store, companies, events, rate } = pipeline.log;
      sources.draw(pipeline, lookedMs);
      log.draw(formatRate(rate), "events per second", lookedMs, [
        `${counted(events, "event")} of ${counted(companies, "company", "companies")}`,
      ]);
      setText(title, store === "redis" ? "Event log, in Redis" : "Event log, in a file");
      const { total, activeCompanies, instances } = pipeline.connections;
      connections.draw(
        formatCount(total),
        "open streams",
        lookedMs,
        total === 0
          ? ["Nobody is looking"]
          : [`of ${counted(activeCompanies, "company", "companies")}`, `on ${counted(instances, "server")}`],
      );
    } else {
      log.draw(formatCount(look.events), "events kept", lookedMs, [`of ${companyId}`]);
      connections.draw(formatCount(look.connections), "open streams", lookedMs, [`of ${companyId}`]);
    }
    setText(asOf, `as of ${formatClock(new Date(lookedMs))}`);
  }

  function show(next: Look): void {
    look = next;
    lookedMs = Date.now();
    if (next.kind === "all") {
      sources.record(next.pipeline, lookedMs);
      log.record(lookedMs, next.pipeline.log.rate);
      connections.record(lookedMs, next.pipeline.connections.total);
    } else {
      log.record(lookedMs, next.events);
      connections.record(lookedMs, next.connections);
    }
    if (frame === 0) frame = requestAnimationFrame(draw);
  }

  const key = {};
  const onState = (state: StreamState): void => {
    showState(key, state, [box]);
    if (state.kind === "refused" && state.status === 401) askForToken(state.reason);
  };

  /** What a company may know of itself. */
  function openOwn(): void {
    sources.deny(
      `Sources are shown to the role ops. Ask with a token of that role; this is ${companyId} alone.`,
    );
    openPoll("/stream/stats", {
      everyMs: POLL_MS,
      onState,
      onAnswer(text) {
        const { connections, replayCache } = JSON.parse(text) as Stats;
        show({
          kind: "own",
          events: replayCache.eventsByCompany[companyId] ?? 0,
          connections: connections.connectionsByCompany[companyId] ?? 0,
        });
      },
    });
  }

  openPoll("/api/pipeline", {
    everyMs: POLL_MS,
    onState(state) {
      if (state.kind === "refused" && state.status === 403) openOwn();
      else onState(state);
    },
    onAnswer: (text) => show({ kind: "all", pipeline: JSON.parse(text) as Pipeline }),
  });
}

/** The log or the connections: a number, its last minutes, and a few words. */
function createNode(id: string) {
  const trail = createTrail(STEPS, POLL_MS, LEAST_STEPS);
  let chart: Chart | undefined;
  return {
    record: trail.record,
    draw(number: string, unit: string, nowMs: number, facts: readonly string[]): void {
      setText(byId(`${id}-number`, HTMLElement), number);
      setText(byId(`${id}-unit`, HTMLElement), unit);
      setText(byId(`${id}-facts`, HTMLElement), facts.join(" · "));
      chart ??= createChart(byId(`${id}-chart`, HTMLDivElement), {
        name: `${upperFirst(unit)}, over the last minutes`,
        series: [{ label: unit, color: "--accent" }],
        height: 56,
        bare: true,
      });
      const { times, values } = trail.at(nowMs);
      chart.update(times, values);
    },
  };
}

function counted(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}
