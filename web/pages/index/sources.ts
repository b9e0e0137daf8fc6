/** The sources of the pipeline: a card each, which stays the same card from answer to answer. */
import type { Pipeline, PipelineSource } from "../../../functions/core/pipeline.ts";
import { type Chart, createChart } from "../../kit/chart.ts";
import {
  byId,
  formatClock,
  formatCount,
  formatDuration,
  formatRate,
  setText,
  upperFirst,
} from "../../kit/dom.ts";
import { createTrail, type Trail } from "../../kit/trail.ts";

/** Milliseconds a step of the charts; five minutes of them. */
const STEP_MS = 2_000;
const STEPS = 150;
/** They begin with half a minute. */
const LEAST_STEPS = 15;
/** Cards on the page; beyond that it says how many more there are. */
const MAX_CARDS = 48;

const WORDS: Readonly<Record<PipelineSource["state"], string>> = {
  starting: "Starting",
  up: "Up",
  down: "Down",
  stopped: "Stopped",
  lost: "Lost",
};

export interface Sources {
  record(pipeline: Pipeline, nowMs: number): void;
  draw(pipeline: Pipeline, nowMs: number): void;
  /** Says, instead of sources, why there are none to see. */
  deny(why: string): void;
}

interface Card {
  readonly element: HTMLElement;
  draw(source: PipelineSource, context: Context): void;
  destroy(): void;
}

interface Context {
  /** When the answer was made, by the server's clock: what the times in it are compared with. */
  readonly serverMs: number;
  readonly nowMs: number;
  readonly trail: Trail;
  /** The same source runs more than once. */
  readonly isTwin: boolean;
}

export function createSources(): Sources {
  const list = byId("sources", HTMLUListElement);
  const note = byId("sources-note", HTMLParagraphElement);
  const template = byId("source-card", HTMLTemplateElement);
  const cards = new Map<string, Card>();
  const trails = new Map<string, Trail>();

  const say = (text: string): void => {
    setText(note, text);
    note.hidden = text === "";
  };

  return {
    record({ sources }, nowMs) {
      const keys = new Set(sources.map(keyOf));
      for (const key of trails.keys()) if (!keys.has(key)) trails.delete(key);
      for (const source of sources) {
        const key = keyOf(source);
        const trail = trails.get(key) ?? createTrail(STEPS, STEP_MS, LEAST_STEPS);
        trails.set(key, trail);
        trail.record(nowMs, source.rate);
      }
    },
    draw({ sources, timestamp }, nowMs) {
      const shown = sources.slice(0, MAX_CARDS);
      const keys = shown.map(keyOf);
      for (const [key, card] of cards) {
        if (keys.includes(key)) continue;
        card.destroy();
        cards.delete(key);
      }
      if (cards.size === 0) list.replaceChildren();
      const names = shown.map(({ name }) => name);
      shown.forEach((source, index) => {
        const key = keyOf(source);
        const card = cards.get(key) ?? createCard(template);
        cards.set(key, card);
        if (list.children[index] !== card.element)
          list.insertBefore(card.element, list.children[index] ?? null);
        card.draw(source, {
          serverMs: Date.parse(timestamp),
          nowMs,
          trail: trails.get(key) ?? createTrail(STEPS, STEP_MS, LEAST_STEPS),
          isTwin: names.indexOf(source.name) !== names.lastIndexOf(source.name),
        });
      });
      const more = sources.length - shown.length;
      say(
        sources.length === 0
          ? "No bridge runs, so nothing comes in. Start one: npx millrace bridge"
          : more > 0
            ? `${formatCount(more)} more sources run.`
            : "",
      );
    },
    deny(why) {
      list.replaceChildren();
      say(why);
    },
  };
}

function keyOf({ instance, kind, name }: PipelineSource): string {
  return `${instance} ${kind} ${name}`;
}

function createCard(template: HTMLTemplateElement): Card {
  const element = template.content.firstElementChild?.cloneNode(true) as HTMLElement;
  const part = (name: string): HTMLElement => element.querySelector(`.${name}`) as HTMLElement;
  const [name, kind, badge, number] = ["source-name", "kind", "badge", "number"].map(part) as HTMLElement[];
  const [lag, stored, dead, last] = ["lag", "stored", "dead", "last"].map(part) as HTMLElement[];
  const [body, why] = [part("source-body"), part("why")];
  let chart: Chart | undefined;

  return {
    element,
    draw(source, { serverMs, nowMs, trail, isTwin }) {
      const isGone = source.state === "lost" || source.state === "stopped";
      element.dataset.state = source.state;
      element.dataset.flowing = String(source.rate > 0);
      setText(name!, source.name);
      name!.title = source.name;
      setText(kind!, isTwin ? `${source.kind} · ${source.instance}` : source.kind);
      kind!.title = `${source.kind}, run by ${source.instance}`;
      setText(badge!, WORDS[source.state]);
      body.dataset.stale = String(isGone);
      setText(number!, formatRate(source.rate));
      lag!.parentElement!.hidden = source.lag === null;
      setText(lag!, formatCount(source.lag ?? 0));
      setText(stored!, formatCount(source.appended));
      setText(dead!, formatCount(source.deadLetters));
      dead!.dataset.tone = source.deadLetters > 0 ? "bad" : "";
      setText(
        last!,
        source.lastEventAt === null ? "none yet" : ago(serverMs - Date.parse(source.lastEventAt)),
      );
      const text = explain(source);
      setText(why, text);
      why.hidden = text === "";
      chart ??= createChart(part("source-chart"), {
        name: `Events a second of ${source.name}, over the last minutes`,
        series: [{ label: "events per second", color: "--accent" }],
        height: 36,
        bare: true,
      });
      const { times, values } = trail.at(nowMs);
      chart.update(times, values);
    },
    destroy() {
      chart?.destroy();
      element.remove();
    },
  };
}

/** Why a source brings nothing, and what to do; empty where all is well. */
function explain({ state, reason, reportedAt, instance, deadLetters }: PipelineSource): string {
  const because = reason === undefined ? "" : `${upperFirst(reason).replace(/\.$/, "")}. `;
  const heard = formatClock(new Date(reportedAt));
  switch (state) {
    case "starting":
      return `${because}It connects for the first time.`;
    case "down":
      return `${because}It tries again by itself; npx millrace doctor says more.`;
    case "lost":
      return `${because}Bridge ${instance} was last heard of at ${heard}, most likely it is dead. Start it again: what the broker keeps comes then.`;
    case "stopped":
      return `${because}Its bridge is stopping; what the broker keeps comes when it runs again.`;
    case "up":
      return deadLetters > 0
        ? `${because}npx millrace dead-letters lists what could not be stored.`
        : because.trim();
  }
}

function ago(ms: number): string {
  return ms < 5_000 ? "just now" : `${formatDuration(ms)} ago`;
}
