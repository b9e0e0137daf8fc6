/** One request, as the route has let it in and the resolvers see it. All they touch is of its company. */
import type { Cursor } from "../core/cursor.ts";
import type { CompanyId } from "../core/ids.ts";
import type { Principal } from "../core/principal.ts";

export interface GraphqlRequest {
  readonly company: CompanyId;
  readonly principal: Principal;
  /** Whether the company may stream now. */
  readonly streaming: boolean;
  /** Subscriptions of the company; undefined: MAX_CONNECTIONS_PER_COMPANY. */
  readonly maxConnections: number | undefined;
  /** What a browser's own reconnect says; it wins over `after`. */
  readonly lastEventId: Cursor | undefined;
  /** Whether the client reads event streams, so that subscriptions may be answered. */
  readonly readsStreams: boolean;
  readonly output: Progress;
}

/** What a subscription and who sends its results say to each other, beside the results. */
export interface Progress {
  /** Aborts when the client has gone, or is answered. */
  readonly signal: AbortSignal;
  /** Where the subscription stands; set before each of its results. */
  cursor: Cursor | undefined;
}

/** What resolvers are given. */
export interface GraphqlContext {
  readonly asked: GraphqlRequest;
}

/** Where the server believes to be. */
export const GRAPHQL_URL = "http://localhost/graphql";
