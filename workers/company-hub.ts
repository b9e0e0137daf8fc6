/**
 * The Durable Object that holds a company's streams: one tail and one fan-out for all of its clients; another one holds the views over all
 * companies. It wakes with the first client and sleeps with the last: in between nothing is open and no timer runs, so nothing is billed. It
 * stores nothing: when it is evicted its clients come back with their cursors.
 */
import { DurableObject } from "cloudflare:workers";
import { createRulesCopy } from "../functions/access/rules-copy.ts";
import { createSessions } from "../functions/access/sessions.ts";
import { describeError, MillraceError } from "../functions/core/errors.ts";
import type { CompanyId } from "../functions/core/ids.ts";
import type { Logger } from "../functions/core/logger.ts";
import type { Settings } from "../functions/core/settings.ts";
import { startLive } from "../functions/live/start.ts";
import { type Live, scopeOf } from "../functions/ports/live.ts";
import { deflate } from "../functions/runtimes/zlib.ts";
import { openEdgeStore, readBindings } from "./environment.ts";
import { openWorkerStream } from "./event-stream.ts";
import { tellEnd } from "./follow-answer.ts";
import {
  companyOfHub,
  decodeHubRequest,
  type HubRequest,
  isFollowed,
  refusedResponse,
  SHARD_CONNECTIONS,
} from "./hub-request.ts";
import { createConsoleLogger } from "./logger.ts";
import { createTurnSchedule } from "./turns.ts";
import { createVisits, type Visits } from "./visits.ts";
import { createWebSockets } from "./web-sockets.ts";

/** Milliseconds a hub stays awake after a poll: polls come again, and each would wake it anew. */
const POLL_LINGER_MS = 5_000;

interface AwakeHub {
  readonly live: Live;
  /** Ends what is open; never rejects. */
  stop(): Promise<void>;
}

export class CompanyHub extends DurableObject<Env> {
  readonly #company: CompanyId | undefined;
  readonly #visits: Visits<AwakeHub>;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const hub = ctx.id.name ?? "";
    this.#company = companyOfHub(hub);
    const settings = readBindings(env);
    const logger = createConsoleLogger({ level: settings.LOG_LEVEL });
    logger.debug({ hub }, "A company's hub was loaded");
    const visits: Visits<AwakeHub> = createVisits(
      () => wakeHub(settings, logger, visits),
      (awake) => ctx.waitUntil(awake.stop()),
    );
    this.#visits = visits;
  }

  override async fetch(request: Request): Promise<Response> {
    const asked = decodeHubRequest(request);
    const { host, leave } = this.#visits.enter();
    try {
      return await answer(host.live, this.#company, asked, request);
    } catch (error) {
      if (error instanceof MillraceError && error.retryable) return refusedResponse("unavailable");
      throw error;
    } finally {
      if (asked.kind === "poll") setTimeout(leave, POLL_LINGER_MS);
      else leave();
    }
  }
}

async function answer(
  live: Live,
  company: CompanyId | undefined,
  asked: HubRequest,
  request: Request,
): Promise<Response> {
  if (asked.kind === "poll") return new Response((await live.poll(company)).text);
  const { wanted, headers } = asked;
  // Whatever the Worker's code comes to: what is held here is this company's.
  if (scopeOf(wanted) !== company)
    throw new Error("Cannot open a stream: this is the hub of another company");
  const opened = await live.open({ raw: request, env: undefined }, wanted, headers);
  return typeof opened === "string" ? refusedResponse(opened) : opened;
}

/** Every stream that is open is a visit. */
function wakeHub(settings: Settings, logger: Logger, visits: Visits<AwakeHub>): AwakeHub {
  const store = openEdgeStore(settings, logger);
  const copy = createRulesCopy({ rules: store.rules, logger });
  const openWebSocket = createWebSockets();
  const { live, stop } = startLive({
    settings: {
      ...settings,
      MAX_CONNECTIONS_PER_COMPANY: Math.min(SHARD_CONNECTIONS, settings.MAX_CONNECTIONS_PER_COMPANY),
    },
    ...store,
    sessions: createSessions({ copy, logger }),
    instance: crypto.randomUUID(),
    openEventStream(request, headers, onGone) {
      const opened = openWorkerStream(request, headers, leaving(visits, onGone));
      if (isFollowed(request.raw)) tellEnd(opened.sink);
      return opened;
    },
    openWebSocket: (request, headers, onGone) => openWebSocket(request, headers, leaving(visits, onGone)),
    deflate,
    scheduleTurn: createTurnSchedule(visits.count),
    logger,
  });
  return {
    live,
    async stop() {
      try {
        await stop();
        copy[Symbol.dispose]();
        await store[Symbol.asyncDispose]();
      } catch (error) {
        logger.error({ reason: describeError(error) }, "Cannot put a company's hub to sleep");
      }
    },
  };
}

/** Enters, and leaves when the client has gone. */
function leaving(visits: Visits<AwakeHub>, onGone: () => void): () => void {
  const { leave } = visits.enter();
  return () => {
    onGone();
    leave();
  };
}
