/**
 * One company watched: the stream, what is counted of it, and the proof after each absence. Knows nothing of the page; the view is
 * told what to show.
 */

import { connect, type StreamEvent } from "../../client/connect.ts";
import type { Stream, StreamState } from "../../client/stream.ts";
import { readToken } from "../../kit/token.ts";
import { readHistory } from "./history.ts";
import { createMeter, type Meter } from "./meter.ts";
import { createReplayCheck, type ReplayCheck, type ReplayReport } from "./replay-check.ts";

/** Missed events compared with the log at most: 40 pages. */
const MOST_COMPARED = 20_000;

export interface SessionView {
  /** `cut` is the reader's own doing. */
  onState(state: StreamState | { readonly kind: "cut" }): void;
  onEvent(event: StreamEvent, receivedMs: number, replayed: boolean): void;
  onGap(reason: string): void;
  onReport(report: ReplayReport): void;
}

export interface Session {
  readonly companyId: string;
  readonly meter: Meter;
  readonly lastCursor: string;
  /** When the stream was lost, milliseconds since 1970; undefined while it is live or was never lost. */
  readonly awaySinceMs: number | undefined;
  cut(): void;
  /** Now, instead of after a cut, a refusal or the rest of a delay. */
  reconnect(): void;
}

/** Watches a company from now on, as long as the page lives. */
export function openSession(companyId: string, view: SessionView): Session {
  const meter = createMeter(Date.now());
  const url = `/stream/updates?${new URLSearchParams({ companyId })}`;
  let lastCursor = "";
  let awaySinceMs: number | undefined;
  let check: ReplayCheck | undefined;
  let stream: Stream | undefined;
  let wasLive = false;

  function onReport(report: ReplayReport): void {
    check = undefined;
    for (const { event, atMs } of report.held) {
      const happenedMs = report.missed.get(event.cursor);
      const replayed = happenedMs !== undefined;
      // A producer's clock may say anything; the event came into the log while the stream was away.
      if (replayed) meter.plot("replayed", clamp(happenedMs, report.sinceMs, report.sinceMs + report.awayMs));
      else meter.plot("live", atMs);
      view.onEvent(event, atMs, replayed);
    }
    view.onReport(report);
  }

  function onEvent(event: StreamEvent): void {
    const atMs = Date.now();
    lastCursor = event.cursor;
    const isDuplicate = meter.countReceived(event.cursor);
    if (check) {
      check.hold({ event, atMs, isDuplicate });
    } else {
      meter.plot("live", atMs);
      view.onEvent(event, atMs, false);
    }
  }

  function onAway(): void {
    awaySinceMs ??= Date.now();
    meter.setAway(true, awaySinceMs);
    check?.away();
    // Without a cursor there is nothing to resume from, so nothing to prove.
    const after = stream?.lastEventId;
    if (check || !after) return;
    check = createReplayCheck({
      sinceMs: awaySinceMs,
      readHistory: (signal) => readHistory(companyId, after, { most: MOST_COMPARED, signal }),
      onReport,
    });
  }

  function onState(state: StreamState): void {
    if (state.kind === "closed") return;
    // Another network, or a page out of the page cache: connecting again is the first that is heard of it.
    if (state.kind !== "live" && (state.kind !== "connecting" || wasLive)) onAway();
    if (state.kind === "connecting") check?.ask();
    if (state.kind === "live") {
      wasLive = true;
      awaySinceMs = undefined;
      meter.setAway(false, Date.now());
    }
    view.onState(state);
    if (state.kind === "live") check?.back(Date.now());
  }

  function open(lastEventId: string): void {
    stream = connect(url, {
      lastEventId,
      getToken: readToken,
      onEvent,
      onState,
      onGap({ reason }) {
        meter.countGap();
        check?.holdGap(reason);
        view.onGap(reason);
      },
    });
  }
  open("");

  return {
    companyId,
    meter,
    get lastCursor() {
      return stream?.lastEventId || lastCursor;
    },
    get awaySinceMs() {
      return awaySinceMs;
    },
    cut() {
      stream?.close();
      onAway();
      view.onState({ kind: "cut" });
    },
    reconnect() {
      stream?.close();
      open(stream?.lastEventId ?? "");
    },
  };
}

function clamp(value: number, least: number, most: number): number {
  return value >= least && value <= most ? value : value < least ? least : most;
}
