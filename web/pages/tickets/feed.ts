/**
 * All tickets of a company live, on one connection for all tabs that show them: a subscription over Server-Sent Events (graphql-sse, distinct
 * connections mode), asked for by GET, as an EventSource does.
 */
import type { StreamMessage } from "../../client/stream.ts";
import { openLive, tellReaderOfGap } from "../../kit/live.ts";
import { hideNotice, showNotice } from "../../kit/notices.ts";
import type { GraphqlError } from "./api.ts";
import { type LogEvent, TYPES } from "./news.ts";

export interface FeedOptions {
  readonly companyId: string;
  readonly feeds: readonly Element[];
  /** From here on nothing is missed: now is the time to ask for what there is. Also after a gap. */
  onBegin(): void;
  onEvent(event: LogEvent): void;
  /** `isLive` as the badge says it. */
  onState(isLive: boolean): void;
  /** There will be no stream for now, or none at all: what there is can be asked for nevertheless. */
  onRefused(): void;
}

interface Result {
  readonly data?: {
    readonly events: { readonly event: LogEvent | null; readonly gap: { readonly reason: string } | null };
  } | null;
  readonly errors?: readonly GraphqlError[];
}

const QUERY = `subscription { events(types: ${JSON.stringify(TYPES)}) {
  event { id type source data } gap { reason } } }`;

/** Ends that say nothing to the reader: the stream goes on by itself. */
const QUIET: ReadonlySet<string | undefined> = new Set(["draining", "reauthenticate"]);

const resultOf = (data: string) => JSON.parse(data) as Result;

/** The first of each stream does so; a refusal does not. */
const saysWhere = ({ type, data }: StreamMessage) => type === "next" && resultOf(data).errors === undefined;

/** Lives as long as the page. */
export function openFeed({ companyId, feeds, onBegin, onEvent, onState, onRefused }: FeedOptions): void {
  let hasBegun = false;
  /** What a tab is told that joins now is from before. */
  let isAway = false;
  // Where to go on is said by Last-Event-ID: each result has its cursor as its id.
  const stream = openLive(`/api/graphql/stream?${new URLSearchParams({ companyId, query: QUERY })}`, {
    feeds,
    isOpening: (message) => !isAway && saysWhere(message),
    // A tab that joins is told where the stream began: it asks for what there is, as all do when another tab takes over.
    shared: (kept, message) => (kept.length === 0 && saysWhere(message) ? [message] : kept),
    onState(state) {
      isAway = state.kind === "waiting" || state.kind === "offline";
      if (state.kind === "connecting" && state.resumeAfter === "") hasBegun = false;
      onState(state.kind === "live");
    },
    onMessage({ type, data }) {
      if (type !== "next") return;
      const { data: result, errors } = resultOf(data);
      if (errors?.[0] !== undefined) return end(errors[0]);
      if (!result) return;
      const { event, gap } = result.events;
      hideNotice("end");
      if (gap) tellReaderOfGap(gap.reason);
      if (gap || !hasBegun) {
        hasBegun = true;
        onBegin();
      }
      if (event) onEvent(event);
    },
  });

  function end({ message, extensions = {} }: GraphqlError): void {
    if (!QUIET.has(extensions.code)) showNotice("end", `${message}.`, "warn");
    // Without it there is nothing to come back for: the token was revoked, or the question is wrong.
    if (extensions.retryAfter === undefined) stream.close();
    if (!hasBegun) onRefused();
  }
}
