/** An answer that is a stream of Server-Sent Events, and a refusal to one, the same on every route that streams. */
import type { Context } from "hono";
import { describeError, MillraceError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { Settings } from "../core/settings.ts";
import type { Authenticator, Principal } from "../ports/authenticator.ts";
import type { EventStream, OpenEventStream } from "../ports/event-stream.ts";
import { authenticate } from "./access.ts";
import { corsHeaders } from "./cors.ts";
import { acceptsEventStream, REFUSALS, type Refused, refuseByStatus, writeRefusal } from "./refusal.ts";

/** What streaming an answer needs. */
export interface SseAnswerDeps {
  readonly settings: Pick<Settings, "CORS_ORIGINS">;
  readonly authenticator: Authenticator;
  readonly openEventStream: OpenEventStream;
  readonly logger: Logger;
}

/** Not told apart by `instanceof Response`: a runtime's own responses need not be one. */
export type Admission = { readonly principal: Principal } | { readonly refused: Response };

export interface SseAnswer {
  /** Opens the stream; `onGone` as of OpenEventStream. */
  open(c: Context, onGone: () => void): EventStream;
  /** Refuses for now: in a stream where the client reads one, else by status. */
  refuse(c: Context, refused: Refused): Response;
  /** Who asks; a refusal where that cannot be told at the moment. @throws MillraceError where it cannot be told at all. */
  admit(c: Context, query: URLSearchParams): Promise<Admission>;
}

/** No cache keeps any of it, no proxy changes it, and nginx hands every byte on at once (`X-Accel-Buffering`, ngx_http_proxy_module). */
const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "private, no-cache, no-store, no-transform",
  "x-accel-buffering": "no",
};

export function createSseAnswer(deps: SseAnswerDeps): SseAnswer {
  const { settings, authenticator, openEventStream, logger } = deps;

  const open: SseAnswer["open"] = (c, onGone) =>
    openEventStream(
      { raw: c.req.raw, env: c.env },
      { ...HEADERS, ...corsHeaders(settings.CORS_ORIGINS, c.req.header("origin")) },
      onGone,
    );

  const refuse: SseAnswer["refuse"] = (c, refused) => {
    if (!acceptsEventStream(c.req.header("accept"))) return refuseByStatus(c, refused);
    const { sink, response } = open(c, () => {});
    writeRefusal(sink, refused);
    return response;
  };

  return {
    open,
    refuse,
    async admit(c, query) {
      try {
        return { principal: await authenticate(authenticator, c.req.raw, query) };
      } catch (error) {
        // It will pass, so a browser must be able to come back from it.
        if (!(error instanceof MillraceError && error.retryable)) throw error;
        logger.warn({ reason: describeError(error) }, "Cannot check a token");
        return { refused: refuse(c, REFUSALS.unverifiable) };
      }
    },
  };
}
