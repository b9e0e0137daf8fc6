/** GraphQL over HTTP (the GraphQL Foundation's draft) by graphql-yoga: of a request that was let in, what is to be answered. Sending it is the route's. */
import { type ExecutionResult, type GraphQLError, type ParseOptions, parse, visit } from "graphql";
import { createYoga, type Plugin } from "graphql-yoga";
import { describeError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { boundedResult } from "./answer-size.ts";
import { maskError, restate } from "./errors.ts";
import {
  introspectionOff,
  limitsRule,
  MAX_TOKENS,
  noSchemaRule,
  typesAskedFor,
  wholeSubscriptionRule,
} from "./limits.ts";
import type { GraphqlContext, GraphqlRequest } from "./request.ts";
import { createMillraceSchema, type SchemaDeps } from "./schema.ts";

export interface GraphqlServerOptions extends SchemaDeps {
  /** Whether clients may ask for the schema, and are told what they may have meant. */
  readonly introspection: boolean;
  readonly logger: Logger;
}

export type GraphqlAnswer =
  | { readonly kind: "whole"; readonly status: number; readonly headers: Headers; readonly text: string }
  /** To be sent one by one. */
  | { readonly kind: "stream"; readonly results: AsyncIterable<ExecutionResult> };

export interface GraphqlServer {
  /**
   * `request`: of this server's path, its body whole. `wantsStream`: the client reads nothing but an event stream.
   * Never rejects for what a client did.
   */
  answer(request: Request, asked: GraphqlRequest, wantsStream: boolean): Promise<GraphqlAnswer>;
}

/** What yoga hands on with a request. */
interface ServerContext extends GraphqlContext {
  readonly wantsStream: boolean;
  /** In an object of its own, since yoga copies this one. */
  readonly stream: { results: AsyncIterable<ExecutionResult> | undefined };
}

export function createGraphqlServer(options: GraphqlServerOptions): GraphqlServer {
  const { introspection, logger } = options;
  const yoga = createYoga<ServerContext>({
    schema: createMillraceSchema<ServerContext>(options),
    graphqlEndpoint: "/graphql",
    // All of this is the product's own, on every route the same; and no page comes from a CDN.
    ...{ cors: false, graphiql: false, landingPage: false, multipart: false, maxRequestBodySize: false },
    batching: false,
    // Its caches count documents, whatever their size.
    parserAndValidationCache: false,
    maskedErrors: { maskError: (error) => maskError(error, logger) },
    logging: {
      debug() {},
      info() {},
      warn: (...texts) => logger.warn({ reason: texts.map(describeError).join(" ") }, "GraphQL"),
      // Said by maskError.
      error() {},
    },
    fetchAPI: { Request, Response, Headers, ReadableStream, TextEncoder, TextDecoder, URL, URLSearchParams },
    plugins: [
      limits(),
      ...(introspection ? [] : [hideSchema()]),
      streams((error) => toldError(error, introspection)),
    ],
  });

  return {
    async answer(request, asked, wantsStream) {
      const context: ServerContext = { asked, wantsStream, stream: { results: undefined } };
      const response = await yoga.fetch(request, context);
      const { results } = context.stream;
      if (results !== undefined) return { kind: "stream", results };
      return {
        kind: "whole",
        status: response.status,
        headers: response.headers,
        text: await response.text(),
      };
    },
  };
}

function limits(): Plugin {
  return {
    onParse: ({ setParseFn }) =>
      setParseFn((source: string, options?: ParseOptions) =>
        parse(source, { ...options, maxTokens: MAX_TOKENS }),
      ),
    onValidate({ addValidationRule }) {
      addValidationRule(limitsRule);
      addValidationRule(wholeSubscriptionRule);
    },
  };
}

/** Type names that are not there may be asked for, as in a fragment: that says no more than the answer to one. */
function hideSchema(): Plugin {
  return {
    onValidate: ({ addValidationRule }) => addValidationRule(noSchemaRule),
    onExecute({ args, setResultAndStopExecution }) {
      const { schema, document, variableValues } = args;
      const errors: GraphQLError[] = [];
      visit(
        document,
        typesAskedFor(variableValues ?? {}, (name, node) => {
          if (typeof name === "string" && schema.getType(name)) errors.push(introspectionOff(node));
        }),
      );
      if (errors.length > 0) setResultAndStopExecution({ errors });
    },
  };
}

/** Hands event streams to who sends them, and every other answer to yoga. */
function streams(tell: (error: GraphQLError) => GraphQLError): Plugin<object, ServerContext> {
  const tidy = (given: ExecutionResult): ExecutionResult => {
    const result = boundedResult(given);
    return result.errors === undefined ? result : { ...result, errors: result.errors.map(tell) };
  };
  return {
    onResultProcess({ result, setResult, setResultProcessor, serverContext }) {
      if (Array.isArray(result)) return;
      const isMany = Symbol.asyncIterator in result;
      if (!isMany) setResult(tidy(result as ExecutionResult));
      if (!isMany && !serverContext.wantsStream) return;
      setResultProcessor((results) => {
        serverContext.stream.results = tidied(results as Results, tidy);
        return new Response(null);
      }, "text/event-stream");
    },
  };
}

type Results = ExecutionResult | AsyncIterable<ExecutionResult>;

async function* tidied(results: Results, tidy: (result: ExecutionResult) => ExecutionResult) {
  if (!(Symbol.asyncIterator in results)) yield withoutStatus(results);
  else for await (const result of results) yield withoutStatus(tidy(result));
}

/** What yoga notes for the status of the answer, which a stream has had. */
function withoutStatus(result: ExecutionResult): ExecutionResult {
  if (result.errors === undefined) return result;
  const errors = result.errors.map((error) => {
    const { http, ...extensions } = error.extensions;
    return http === undefined ? error : restate(error, error.message, extensions);
  });
  return { ...result, errors };
}

/** What of an error the client is told. What names of the schema it may have meant is for those who may see that. */
function toldError(error: GraphQLError, hints: boolean): GraphQLError {
  const extensions = { ...error.extensions };
  // Of a variable's value, which is read before any resolver: what comes out of those has a code.
  extensions.code ??= "invalid-input";
  return restate(error, hints ? error.message : error.message.replace(HINT, ""), extensions);
}

const HINT = / ?Did you mean .*\?$/s;
