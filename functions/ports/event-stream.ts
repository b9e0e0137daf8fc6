/**
 * EventStream: one open response and the sink its bytes go through. How a response is streamed cheapest is a runtime's own business
 * (FACTS.md: on Node the raw socket, elsewhere a web stream), so each brings its own way to open one.
 */
import type { Sink } from "./hub.ts";

export interface EventStream {
  readonly sink: Sink;
  /** What the route returns. */
  readonly response: Response;
}

export interface EventStreamRequest {
  readonly raw: Request;
  /** The runtime's own bindings of the request: Hono's `c.env`. */
  readonly env: unknown;
}

/**
 * Opens a stream with status 200 and these headers. `onGone` is called once: when the client is gone, or when what was taken before
 * `sink.end()` is on its way. Writes after that are dropped.
 */
export type OpenEventStream = (
  request: EventStreamRequest,
  headers: Readonly<Record<string, string>>,
  onGone: () => void,
) => EventStream;
