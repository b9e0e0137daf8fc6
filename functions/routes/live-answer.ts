/** An answer that stays open, and a refusal to one, the same on every route that has any: as Server-Sent Events, or over WebSocket. */
import type { Context } from "hono";
import { describeError, MillraceError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Principal } from "../core/principal.ts";
import type { RefusalReason } from "../core/refusal-counts.ts";
import { REFUSALS, type Refused } from "../core/refusals.ts";
import type { Settings } from "../core/settings.ts";
import { EVENT_STREAM_HEADERS } from "../core/sse.ts";
import type { OpenEventStream } from "../ports/event-stream.ts";
import type { Gate } from "../ports/gate.ts";
import type { Live, LiveRequest } from "../ports/live.ts";
import { methodNotAllowed } from "./answer.ts";
import { corsHeaders } from "./cors.ts";
import { acceptsEventStream, refuseByStatus, writeRefusal } from "./refusal.ts";
import { refuseUpgrade, requireOrigin } from "./web-socket.ts";

/** What live answers need. */
export interface LiveAnswerDeps {
  readonly settings: Pick<Settings, "STREAMING_ENABLED" | "CORS_ORIGINS">;
  readonly gate: Gate;
  readonly live: Pick<Live, "open">;
  /** For refusals, which are streams too. */
  readonly openEventStream: OpenEventStream;
  /** Called of each refusal that is no error. */
  readonly onRefused?: ((reason: RefusalReason) => void) | undefined;
  readonly logger: Logger;
}

/** What is wanted by the query, for whom; a refusal by its name where the company may not stream. @throws MillraceError as a route does. */
export type ReadWanted = (
  query: URLSearchParams,
  principal: Principal,
  c: Context,
) => DistributiveOmit<LiveRequest, "transport" | "principal"> | keyof typeof REFUSALS;

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** Handlers of all methods: Hono answers HEAD by running GET, and here that would open a stream nobody reads. */
export interface LiveAnswer {
  readonly sse: (c: Context) => Promise<Response>;
  readonly webSocket: (c: Context) => Promise<Response>;
}

export function liveAnswer(deps: LiveAnswerDeps, readWanted: ReadWanted): LiveAnswer {
  const { settings, gate, live, openEventStream, onRefused, logger } = deps;

  /** Refuses for now: in a stream where the client reads one, else by status. */
  const refuse = (c: Context, refused: Refused, headers: Headers): Response => {
    if (!acceptsEventStream(c.req.header("accept"))) return refuseByStatus(c, refused, headers);
    const request = { raw: c.req.raw, env: c.env };
    const { sink, response } = openEventStream(request, { ...EVENT_STREAM_HEADERS, ...headers }, () => {});
    writeRefusal(sink, refused);
    return response;
  };

  /** Undefined where it cannot be had at the moment: that will pass, so a browser must be able to come back from it. */
  const unlessAway = async <T>(what: string, answer: Promise<T>): Promise<T | undefined> => {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof MillraceError && error.retryable)) throw error;
      logger.warn({ reason: describeError(error) }, what);
      return undefined;
    }
  };

  const answer = async (
    c: Context,
    transport: LiveRequest["transport"],
    cors: Headers,
    refuseAs: (refused: Refused, headers: Headers) => Response,
  ): Promise<Response> => {
    const refuseFor = (reason: keyof typeof REFUSALS, headers: Headers) => {
      onRefused?.(reason);
      return refuseAs(REFUSALS[reason], headers);
    };
    const admitted = await unlessAway("Cannot check a token", gate.admit(c.req.raw, "ticket"));
    if (admitted === undefined) return refuseFor("unverifiable", cors);
    const { principal } = admitted;
    const headers = { ...cors, ...admitted.headers };
    if (transport === "websocket") requireOrigin(c, settings.CORS_ORIGINS);
    const wanted = readWanted(new URL(c.req.url).searchParams, principal, c);
    if (typeof wanted === "string") return refuseFor(wanted, headers);
    if (!settings.STREAMING_ENABLED) return refuseFor("disabled", headers);
    const request = { raw: c.req.raw, env: c.env };
    const opening = live.open(request, { ...wanted, transport, principal }, headers);
    const opened = await unlessAway("Cannot open a live answer", opening);
    if (opened === undefined) return refuseFor("unreachable", headers);
    return typeof opened === "string" ? refuseFor(opened, headers) : opened;
  };

  return {
    async sse(c) {
      if (c.req.method !== "GET") return methodNotAllowed(c, "GET");
      const cors = corsHeaders(settings.CORS_ORIGINS, c.req.header("origin"));
      return answer(c, "sse", cors, (refused, headers) => refuse(c, refused, headers));
    },
    async webSocket(c) {
      const unfit = refuseUpgrade(c);
      if (unfit !== undefined) return unfit;
      return answer(c, "websocket", {}, (refused, headers) => refuseByStatus(c, refused, headers));
    },
  };
}

type Headers = Readonly<Record<string, string>>;
