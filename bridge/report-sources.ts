/** Keeps a bridge's lease in the registry: what each of its sources does, for the page that shows the sources of all bridges. */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { describeError } from "../functions/core/errors.ts";
import type { Logger } from "../functions/core/logger.ts";
import { BRIDGE_LEASE_MS, RATE_MS, REASON_CHARS, type SourceReport } from "../functions/core/pipeline.ts";
import type { InstanceRegistry } from "../functions/ports/instance-registry.ts";
import type { Bridge, BridgeSource } from "./main.ts";

/** Milliseconds between two looks at the sources, and so how late a source that goes down is told of. */
const LOOK_MS = 1_000;
/** Milliseconds between two reports of nothing but numbers. */
const NUMBERS_MS = 2_000;
/** Milliseconds a rate is taken over at least: what comes in the first moment says little of the next one. */
const LEAST_RATE_MS = 2_000;
/** Milliseconds between two questions to a broker of how much it holds. */
const LAG_MS = 5_000;

export interface SourceReportsOptions {
  readonly bridge: Pick<Bridge, "stats">;
  readonly registry: Pick<InstanceRegistry, "reportBridge" | "withdrawBridge">;
  readonly logger: Logger;
  /** The bridge's own, shown to operators: no other bridge's, and not the one it had before a restart. Default: its host and a random part. */
  readonly name?: string;
  /** Default LOOK_MS; the other periods shrink with it. For tests. */
  readonly lookMs?: number;
}

/**
 * Reports when something changed: within a second when a source's state did, every 2 s while numbers do, and at a third of the lease while
 * nothing does. On Redis each is one command: at most 43,200 a day from a busy bridge, 4,320 from an idle one. Dispose it after the bridge:
 * it takes the report back.
 */
export function startSourceReports(options: SourceReportsOptions): AsyncDisposable {
  const { bridge, registry, logger, lookMs = LOOK_MS } = options;
  const { name = `${hostname()}-${randomUUID().slice(0, 8)}` } = options;
  const scale = lookMs / LOOK_MS;
  const beganAtMs = performance.now();
  const watches = bridge.stats().map(() => createWatch(scale));
  let reported = { states: "", numbers: "", atMs: Number.NEGATIVE_INFINITY };
  let hasReported = false;
  let failed = false;
  let current = Promise.resolve();

  const report = async () => {
    const nowMs = performance.now();
    const sources = bridge.stats().map((source, at) => watches[at]!.look(source, nowMs));
    const states = JSON.stringify(sources.map(({ state, reason }) => [state, reason]));
    const numbers = JSON.stringify(sources);
    const silentMs = nowMs - reported.atMs;
    const isDue =
      states !== reported.states ||
      (numbers !== reported.numbers && silentMs >= NUMBERS_MS * scale - lookMs / 2) ||
      silentMs >= (BRIDGE_LEASE_MS / 3) * scale;
    if (!isDue) return;
    try {
      hasReported = true;
      await registry.reportBridge(name, { upMs: Math.round(nowMs - beganAtMs), sources });
      reported = { states, numbers, atMs: nowMs };
      failed = false;
    } catch (error) {
      if (!failed) logger.warn({ error: describeError(error) }, "Cannot report the sources to the store");
      failed = true;
    }
  };
  let isBusy = false;
  const look = () => {
    if (isBusy) return;
    isBusy = true;
    current = report().finally(() => {
      isBusy = false;
    });
  };
  look();
  const timer = setInterval(look, lookMs);

  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await current;
      if (!hasReported) return;
      await registry.withdrawBridge(name).catch((error: unknown) => {
        logger.warn({ error: describeError(error) }, "Cannot take the report of the sources back");
      });
    },
  };
}

/** What it takes to make a report of one source out of its counts: what they were before. */
function createWatch(scale: number) {
  const rateMs = RATE_MS * scale;
  /** Looks of the last RATE_MS, and one that is older. */
  const looks: { readonly atMs: number; readonly appended: number }[] = [];
  let lastEventAtMs: number | undefined;
  let lag: number | undefined;
  let lagAskedAtMs = Number.NEGATIVE_INFINITY;
  let isAsking = false;

  const askLag = (ask: () => Promise<number | undefined>) => {
    // A broker that has not answered by now does not know.
    if (isAsking) lag = undefined;
    else {
      isAsking = true;
      void ask()
        .catch(() => undefined)
        .then((answer) => {
          lag = answer;
          isAsking = false;
        });
    }
  };

  return {
    /** `nowMs`: of a clock that nobody sets. */
    look(source: BridgeSource, nowMs: number): SourceReport {
      const { name, kind, state, lastError, appended } = source;
      if (appended > (looks.at(-1)?.appended ?? 0)) lastEventAtMs = Date.now();
      looks.push({ atMs: nowMs, appended });
      while (looks.length > 1 && looks[1]!.atMs <= nowMs - rateMs) looks.shift();
      const first = looks[0]!;
      if (source.lag !== undefined && nowMs - lagAskedAtMs >= LAG_MS * scale) {
        lagAskedAtMs = nowMs;
        askLag(source.lag);
      }
      const perMs = (appended - first.appended) / Math.max(LEAST_RATE_MS * scale, nowMs - first.atMs);
      return {
        name,
        kind,
        state,
        ...(lastError === undefined ? {} : { reason: lastError.slice(0, REASON_CHARS) }),
        rate: Math.round(perMs * 10_000) / 10,
        appended,
        redelivered: source.duplicates,
        deadLetters: source.deadLettered,
        lag: lag ?? null,
        lastEventAt:
          lastEventAtMs === undefined
            ? null
            : new Date(Math.floor(lastEventAtMs / 1000) * 1000).toISOString(),
      };
    },
  };
}
