/** A company's events for a page, one connection for all tabs that show them; over WebSocket or by asking where a stream does not come through. */
import { subscribe } from "../client/subscribe.ts";
import type { SubscriptionState } from "../client/updates.ts";
import { type BadgeState, showState } from "./connection.ts";
import { tellReader, tellReaderOfGap } from "./live.ts";
import { watchLog } from "./log-watch.ts";
import { readToken } from "./token.ts";

export interface UpdatesOptions {
  readonly companyId: string;
  readonly type: string;
  /** Each event of that type, its data parsed. */
  onData(data: unknown): void;
  onState(state: SubscriptionState): void;
  onGap(): void;
  /** What the events feed: it looks stale while they do not come. */
  readonly feeds: readonly Element[];
}

/** From now on, as long as the page lives: what was before is the page's to ask for. */
export function openUpdates({ companyId, type, feeds, onData, onState, onGap }: UpdatesOptions): void {
  const key = {};
  let state: SubscriptionState = { kind: "connecting", resumeAfter: "" };
  let silentBecause: string | undefined;
  const log = watchLog((reason) => {
    silentBecause = reason;
    show();
  });

  function show(): void {
    let shown: BadgeState = state;
    if (state.kind === "live" && state.transport === "polling") {
      shown = { kind: "polling", reason: "no stream comes through" };
    }
    if (silentBecause !== undefined) shown = { kind: "silent", reason: silentBecause };
    showState(key, shown, feeds);
  }

  subscribe({
    ...{ url: location.origin, companyId, types: [type], getToken: readToken, resume: false },
    onEvent({ data }) {
      if (state.kind === "live") log.heard();
      onData(data);
    },
    onGap({ reason }) {
      tellReaderOfGap(reason);
      onGap();
    },
    onState(next) {
      state = next;
      if (state.kind === "live") log.heard();
      else log.stop();
      show();
      tellReader(state);
      onState(state);
    },
  });
}
