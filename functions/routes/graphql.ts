/** `/api/graphql` and `/api/graphql/stream`: GraphQL over HTTP, subscriptions over Server-Sent Events. Of one company a request. */
import { type Context, Hono } from "hono";
import { describeError, MillraceError } from "../core/errors.ts";
import type { CompanyId } from "../core/ids.ts";
import type { Logger } from "../core/logger.ts";
import type { Principal } from "../core/principal.ts";
import type { Settings } from "../core/settings.ts";
import { EVENT_STREAM_HEADERS } from "../core/sse.ts";
import { createOutput, type Output, sendResults } from "../graphql/event-stream.ts";
import type { GraphqlRequest } from "../graphql/request.ts";
import type { GraphqlAnswer, GraphqlServer } from "../graphql/server.ts";
import type { EventLog } from "../ports/event-log.ts";
import type { OpenEventStream } from "../ports/event-stream.ts";
import type { Admitted, Gate, Way } from "../ports/gate.ts";
import type { Live } from "../ports/live.ts";
import { methodNotAllowed, NO_STORE } from "./answer.ts";
import { corsHeaders } from "./cors.ts";
import { GRAPHQL_POST, GRAPHQL_STREAM_POST, HEADERS, JSON_PARAMETERS, QUERY } from "./graphql-operations.ts";
import { notAccepted, prefersStream, readJsonText, requestOf, unsupported } from "./graphql-request.ts";
import { sendsJson } from "./json-body.ts";
import { queryOf, readHeaders, readQuery } from "./query.ts";
import { acceptsEventStream } from "./refusal.ts";

/** What GraphQL needs. */
export interface GraphqlDeps {
  readonly settings: Pick<
    Settings,
    "STREAMING_ENABLED" | "CORS_ORIGINS" | "AUTH_MODE" | "HEARTBEAT_MS" | "IDLE_TIMEOUT_MS"
  >;
  readonly gate: Gate;
  readonly log: Pick<EventLog, "append" | "read" | "tip">;
  readonly live: Pick<Live, "follow">;
  readonly openEventStream: OpenEventStream;
  readonly logger: Logger;
}

export function graphqlRoutes(deps: GraphqlDeps): Hono {
  const { settings, gate, openEventStream, logger } = deps;
  let server: GraphqlServer | undefined;
  /** Loaded when it is first asked: that takes longer than all else a process needs to start. No promise of it is kept, which workerd would not settle for another request. */
  const graphqlServer = async () => {
    const { createGraphqlServer } = await import("../graphql/server.ts");
    server ??= createGraphqlServer({ ...deps, introspection: settings.AUTH_MODE === "none" });
    return server;
  };

  const sendStream = (c: Context, headers: Headers, output: Output, results: Results): Response => {
    const cors = corsHeaders(settings.CORS_ORIGINS, c.req.header("origin"));
    const { sink, response } = openEventStream(
      { raw: c.req.raw, env: c.env },
      { ...EVENT_STREAM_HEADERS, ...cors, ...headers },
      output.end,
    );
    const { HEARTBEAT_MS: heartbeatMs, IDLE_TIMEOUT_MS: idleTimeoutMs } = settings;
    sendResults({ sink, results, output, heartbeatMs, idleTimeoutMs }).catch((error) => {
      logger.error({ reason: describeError(error) }, "Cannot send the results of a GraphQL operation");
      output.end();
    });
    return response;
  };

  /** A browser's EventSource gives up for good on any status but 200, so what will pass is said in the stream. */
  const admit = async (c: Context, way: Way): Promise<Admitted | undefined> => {
    try {
      return await gate.admit(c.req.raw, way);
    } catch (error) {
      if (error instanceof MillraceError && error.retryable && prefersStream(c)) return undefined;
      throw error;
    }
  };

  const answer = async (c: Context, way: Way): Promise<Response> => {
    const { method } = c.req;
    if (method !== "GET" && method !== "POST") return methodNotAllowed(c, "GET, POST");
    if (method === "POST" && !sendsJson(c)) return unsupported(c);
    // Before anybody is let in: who holds it back must not be acted for after its token has ended or was revoked.
    const body = method === "POST" ? await readJsonText(c) : undefined;
    const admitted = await admit(c, way);
    if (admitted === undefined) return sendStream(c, {}, createOutput(), refused());
    const { principal, headers } = admitted;
    const company = companyOf(principal, readQuery(QUERY, queryOf(c)).companyId);
    if (method === "GET") readQuery(JSON_PARAMETERS, queryOf(c));
    const lastEventId = readHeaders(HEADERS, c.req.raw.headers)["Last-Event-ID"];
    const { streaming, maxConnections } = gate.permit(principal, company);
    const output = createOutput();
    const readsStreams = acceptsEventStream(c.req.header("accept"));
    const asked: GraphqlRequest = {
      ...{ company, principal, maxConnections, lastEventId, readsStreams, output },
      streaming: streaming && settings.STREAMING_ENABLED,
    };
    const wantsStream = way === "ticket" ? readsStreams : prefersStream(c);
    try {
      const given = await (await graphqlServer()).answer(requestOf(c, body), asked, wantsStream);
      if (given.kind === "stream") return sendStream(c, headers, output, given.results);
      output.end();
      return answerWhole(c, headers, given);
    } catch (error) {
      output.end();
      throw error;
    }
  };

  const app = new Hono();
  // Handlers of all methods: Hono answers HEAD by running GET, which may open a stream that nobody reads.
  app.all(GRAPHQL_POST.path, (c) => answer(c, "cookie"));
  app.all(GRAPHQL_STREAM_POST.path, (c) => answer(c, "ticket"));
  return app;
}

type Headers = Readonly<Record<string, string>>;
type Results = Extract<GraphqlAnswer, { kind: "stream" }>["results"];

async function* refused(): Results {
  const { refusalError } = await import("../graphql/errors.ts");
  yield { errors: [refusalError("busy")] };
}

/** @throws MillraceError `invalid-input` where it is not said and the token does not say it either. */
function companyOf({ companies }: Principal, given: CompanyId | undefined): CompanyId {
  if (given !== undefined) return given;
  if (companies !== "all" && companies.length === 1) return companies[0]!;
  throw new MillraceError(
    "invalid-input",
    "Cannot read companyId: missing, expected it, since the token does not name exactly one company",
  );
}

function answerWhole(
  c: Context,
  headers: Headers,
  given: Extract<GraphqlAnswer, { kind: "whole" }>,
): Response {
  // Yoga says nothing more.
  if (given.status === 406 && given.text === "") return notAccepted(c);
  const own: Record<string, string> = { ...NO_STORE, ...headers };
  for (const name of ["content-type", "allow"]) {
    const value = given.headers.get(name);
    if (value !== null) own[name] = value;
  }
  return c.body(given.text, given.status as 200, own);
}
