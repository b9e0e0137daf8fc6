/** What one source is doing, in numbers and in log lines: a failure is logged when it begins and when it is over, not at every try. */
import { describeError, MillraceError } from "../functions/core/errors.ts";
import type { Logger } from "../functions/core/logger.ts";
import { maskUrls } from "../functions/core/mask-urls.ts";
import { classifyReason, DEAD_LETTER_REASONS, type DeadLetterReason } from "./dead-letter-reason.ts";

/** Milliseconds between two warnings about messages that were dropped, or went to the dead letters. */
const WARNING_EVERY_MS = 10_000;

/** Counts are since the start. */
export interface SourceStats {
  readonly name: string;
  readonly kind: string;
  /** `starting` until the first connection; `stopped` when the bridge was closed. */
  state: "starting" | "up" | "down" | "stopped";
  /** Why it is down, or why messages cannot be stored; undefined while all is well. Secrets in URLs are masked. */
  lastError: string | undefined;
  /** Messages taken from the broker. */
  received: number;
  /** Events new in the log. */
  appended: number;
  /** Events the log had already. */
  duplicates: number;
  /** Readings new in the telemetry store. */
  readings: number;
  /** Readings the telemetry store had already. */
  duplicateReadings: number;
  /** Messages put into the dead letters. */
  deadLettered: number;
  /** The same by what was wrong with them. */
  readonly deadLetteredBy: Record<DeadLetterReason, number>;
  /** Messages lost because the broker knows no back-pressure or no acks. */
  dropped: number;
  /** Log lines left out, as their service sends more than it may. */
  leftOut: number;
  /** Appends, writes of readings and of dead letters tried again. */
  retries: number;
  /** Connections tried again. */
  reconnects: number;
  /**
   * When the batch in work was taken, milliseconds since 1970; undefined: none is in work. Batches are worked on one by one, in the
   * broker's order, so what else is unacked came later. Far in the past means that the log, or the broker's ack, does not answer.
   */
  oldestUnackedAtMs: number | undefined;
}

/** What a source tells while it runs. */
export interface SourceEvents {
  /** It is connected and would get a message now. */
  connected(): void;
  /** Messages were lost, by the source's own decision. `flood`: one service sends more log lines than it may. */
  dropped(messages: number, reason?: "flood"): void;
}

export interface SourceMonitor extends SourceEvents {
  readonly stats: SourceStats;
  /** Messages went to the dead letters. */
  deadLettered(reasons: readonly string[]): void;
  /** The source ended. */
  disconnected(error: unknown): void;
  /** The store refused. */
  storeFailed(error: unknown): void;
  /** The store took what it had refused. */
  storeRecovered(): void;
  stopped(): void;
}

export function createSourceMonitor(name: string, kind: string, logger: Logger): SourceMonitor {
  const stats: SourceStats = {
    name,
    kind,
    state: "starting",
    lastError: undefined,
    received: 0,
    appended: 0,
    duplicates: 0,
    readings: 0,
    duplicateReadings: 0,
    deadLettered: 0,
    deadLetteredBy: Object.fromEntries(DEAD_LETTER_REASONS.map((reason) => [reason, 0])) as Record<
      DeadLetterReason,
      number
    >,
    dropped: 0,
    leftOut: 0,
    retries: 0,
    reconnects: 0,
    oldestUnackedAtMs: undefined,
  };
  let connectionError: unknown;
  let storeError: unknown;
  let droppedSinceWarning = 0;
  let warnedAtMs = 0;
  let leftOutSinceWarning = 0;
  let leftOutWarnedAtMs = 0;
  let lettersSinceWarning = 0;
  let lettersWarnedAtMs = 0;

  const leftOut = (lines: number) => {
    stats.leftOut += lines;
    leftOutSinceWarning += lines;
    if (Date.now() - leftOutWarnedAtMs < WARNING_EVERY_MS) return;
    logger.warn(
      { source: name, lines: leftOutSinceWarning },
      "Log lines of a service that floods are left out",
    );
    leftOutSinceWarning = 0;
    leftOutWarnedAtMs = Date.now();
  };

  return {
    stats,
    connected() {
      logger.info(
        { source: name, kind },
        connectionError === undefined ? "Source is up" : "Source is up again",
      );
      connectionError = undefined;
      stats.lastError = storeError === undefined ? undefined : textOf(storeError);
      stats.state = "up";
    },
    disconnected(error) {
      const text = textOf(error);
      if (isNews(connectionError, error)) {
        logger.warn({ source: name, kind, error: text }, "Source is down, trying again");
      }
      connectionError = error;
      stats.lastError = text;
      stats.state = "down";
      stats.reconnects++;
    },
    storeFailed(error) {
      const text = textOf(error);
      if (isNews(storeError, error)) {
        logger.warn({ source: name, error: text }, "Cannot store messages, holding them and trying again");
      }
      storeError = error;
      stats.lastError = text;
      stats.retries++;
    },
    storeRecovered() {
      logger.info({ source: name }, "Messages are stored again");
      storeError = undefined;
      stats.lastError = connectionError === undefined ? undefined : textOf(connectionError);
    },
    dropped(messages, reason) {
      if (reason === "flood") return leftOut(messages);
      stats.dropped += messages;
      droppedSinceWarning += messages;
      if (Date.now() - warnedAtMs < WARNING_EVERY_MS) return;
      logger.warn({ source: name, messages: droppedSinceWarning }, "Messages were dropped");
      droppedSinceWarning = 0;
      warnedAtMs = Date.now();
    },
    deadLettered(reasons) {
      stats.deadLettered += reasons.length;
      for (const reason of reasons) stats.deadLetteredBy[classifyReason(reason)]++;
      lettersSinceWarning += reasons.length;
      if (reasons.length === 0 || Date.now() - lettersWarnedAtMs < WARNING_EVERY_MS) return;
      logger.warn(
        { source: name, messages: lettersSinceWarning, lastReason: reasons.at(-1) },
        "Messages went to the dead letters (npx millrace dead-letters list)",
      );
      lettersSinceWarning = 0;
      lettersWarnedAtMs = Date.now();
    },
    stopped() {
      stats.state = "stopped";
    },
  };
}

/** Client libraries put into their messages what they like. */
function textOf(error: unknown): string {
  return maskUrls(describeError(error));
}

/** A failure of another kind is news; the same again, in other words or not, is not. */
function isNews(last: unknown, error: unknown): boolean {
  const code = (thrown: unknown) => (thrown instanceof MillraceError ? thrown.code : "");
  return last === undefined || code(last) !== code(error);
}
