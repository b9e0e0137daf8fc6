/** All tickets of a company live, on one connection: a subscription over Server-Sent Events (graphql-sse, distinct connections mode). */
import { openLive } from "../../kit/live.ts";
import { describeGap, hideNotice, showNotice } from "../../kit/notices.ts";
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

/** Lives as long as the page. */
export function openFeed({ companyId, feeds, onBegin, onEvent, onState, onRefused }: FeedOptions): void {
  let hasBegun = false;
  const resultOf = (data: string) => JSON.parse(data) as Result;
  const stream = openLive(`/api/graphql/stream?${new URLSearchParams({ companyId })}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    // Where to go on is said by Last-Event-ID: each result has its cursor as its id.
    body: () => JSON.stringify({ query: QUERY }),
    feeds,
    isOpening: ({ type, data }) => type === "next" && resultOf(data).errors === undefined,
    onState: ({ kind }) => onState(kind === "live"),
    onMessage({ type, data }) {
      if (type !== "next") return;
      const { data: result, errors } = resultOf(data);
      if (errors?.[0] !== undefined) return end(errors[0]);
      if (!result) return;
      const { event, gap } = result.events;
      hideNotice("end");
      if (gap) showNotice("gap", `A gap: ${describeGap(gap.reason)}.`, "bad");
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
