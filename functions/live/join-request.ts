/** What is asked of the hub by what is wanted of the live side. */
import type { Cursor } from "../core/cursor.ts";
import { JSON_LINES } from "../core/json-lines.ts";
import { SSE } from "../core/sse.ts";
import { typeFilter } from "../hub/type-filter.ts";
import type { JoinRequest, Sink } from "../ports/hub.ts";
import { type LinesRequest, type LiveRequest, scopeOf, type UpdatesRequest } from "../ports/live.ts";
import { lineFilter } from "../services/line-filter.ts";
import type { FindLineStart } from "../services/line-start.ts";

/** What the hub serves; the rest is snapshots. */
export type EventsRequest = UpdatesRequest | LinesRequest;

export function isOfEvents(wanted: LiveRequest): wanted is EventsRequest {
  return wanted.kind === "updates" || wanted.kind === "lines";
}

/** After which cursor; undefined: from now on. @throws MillraceError `unavailable`. */
export async function startOf(
  wanted: EventsRequest,
  findLineStart: FindLineStart,
): Promise<Cursor | undefined> {
  if (wanted.kind === "updates" || wanted.after !== undefined) return wanted.after;
  return findLineStart(lineFilter(wanted));
}

export function joinRequest(wanted: EventsRequest, after: Cursor | undefined, sink: Sink): JoinRequest {
  const base = {
    ...{ company: scopeOf(wanted), after, sink },
    encoding: wanted.transport === "sse" ? SSE : JSON_LINES,
  };
  if (wanted.kind === "updates") {
    const { types, format, overflow } = wanted;
    return { ...base, filter: types && typeFilter(types), format, overflow };
  }
  // Who watches wants to know what is going on now, and a service that floods must not keep it from that.
  return { ...base, filter: lineFilter(wanted), format: "data", overflow: "drop-oldest" };
}
