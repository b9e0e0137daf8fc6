/** What is in the store: the log, the dead letters, and what the bridges that run say of their sources. */

import type { Logger } from "../../functions/core/logger.ts";
import { type PipelineSource, sourcesOf } from "../../functions/core/pipeline.ts";
import { isEmbedded, type Settings } from "../../functions/core/settings.ts";
import { openStore, type Store } from "../../functions/runtimes/node/open-store.ts";
import { duration, number, several } from "./amounts.ts";
import { olderStore } from "./data-dir.ts";
import type { Outcome, Probe } from "./examine.ts";

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** To be run when the store is there. */
export function contentsProbes(settings: Settings): Probe[] {
  const next = "look at what is said of the store";
  const older = isEmbedded(settings) ? olderStore(settings.DATA_DIR) : undefined;
  if (older !== undefined) return [{ what: "log", next, run: () => older }];
  const asked = (what: string, ask: (store: Store) => Promise<Outcome | [Outcome, ...Outcome[]]>): Probe => ({
    what,
    next,
    async run() {
      await using store = await openStore({ settings, logger: silent });
      return await ask(store);
    },
  });
  return [
    asked("log", async ({ log }) => {
      const { companies, totalEvents } = await log.stats();
      const of = companies === 1 ? "1 company" : `${number(companies)} companies`;
      return `${several(totalEvents, "event")} of ${of}, kept for ${duration(settings.REPLAY_RETENTION_MS)}`;
    }),
    asked("dead letters", async ({ deadLetters }) => judgeLetters(await deadLetters.count())),
    asked("bridges", async ({ registry }) => {
      const nowMs = Date.now();
      return judgeBridges(sourcesOf((await registry.survey("")).bridges, nowMs), nowMs);
    }),
  ];
}

function judgeLetters(count: number): Outcome {
  return count === 0
    ? "none wait"
    : {
        note: `${several(count, "message")} could not become ${count === 1 ? "an event" : "events"}: millrace dead-letters list says why; mend the rule, then millrace dead-letters replay`,
      };
}

/** By what they reported. */
export function judgeBridges(
  sources: readonly PipelineSource[],
  nowMs: number,
): Outcome | [Outcome, ...Outcome[]] {
  if (sources.length === 0) return "none runs (npx millrace bridge; npm start has one)";
  const outcomes = sources.flatMap(({ name, instance, state, reason, reportedAt }): Outcome[] => {
    const which = `source ${name} of bridge ${instance}`;
    if (state === "lost") {
      const ago = duration(nowMs - Date.parse(reportedAt));
      return [
        {
          fault: `${which} has been silent for ${ago}, and did not say good-bye`,
          next: "look whether it died, and start it again (npx millrace bridge)",
        },
      ];
    }
    if (state === "up" && reason === undefined) return [];
    return [
      {
        fault: `${which} is ${state}${reason === undefined ? "" : `: ${reason}`}`,
        next: "repair what it says, or look at the bridge's log",
      },
    ];
  });
  const [first, ...more] = outcomes;
  if (first !== undefined) return [first, ...more];
  const bridges = new Set(sources.map(({ instance }) => instance)).size;
  const rate = sources.reduce((sum, source) => sum + source.rate, 0);
  const lag = sources.reduce((sum, source) => sum + (source.lag ?? 0), 0);
  const isRead = sources.some((source) => source.lag !== null);
  return `${several(bridges, "bridge")}, ${several(sources.length, "source")} up, ${number(Math.round(rate * 10) / 10)} events/s${isRead ? `, ${number(lag)} waiting at brokers` : ""}`;
}
