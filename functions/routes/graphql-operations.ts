/** What `/api/graphql` and `/api/graphql/stream` take and answer: what is read, and what the OpenAPI document says. */
import * as z from "zod";
import { isJsonObject } from "./graphql-request.ts";
import type { Operation } from "./operation.ts";
import { COMPANY, CURSOR } from "./query.ts";

export const QUERY = z.object({
  companyId: COMPANY.optional().meta({
    description: "One of the companies of the caller's token; may be left out where that names one alone",
  }),
});
/** Empty: as if it were not there. */
const OBJECT_TEXT = z
  .string()
  .refine((text) => text === "" || isJsonObject(text), "expected a JSON object")
  .meta({
    contentMediaType: "application/json",
    contentSchema: { type: ["object", "null"] },
    examples: ["{}"],
  });
export const JSON_PARAMETERS = z.object({
  variables: OBJECT_TEXT.optional().meta({ description: "A JSON object" }),
  extensions: OBJECT_TEXT.optional().meta({ description: "A JSON object" }),
});
export const HEADERS = z.object({
  "Last-Event-ID": CURSOR.optional().meta({
    description: "Resume a subscription after this cursor. It wins over the argument `after`",
  }),
});
const RESULT = z.looseObject({
  data: z.unknown().optional(),
  errors: z.array(z.looseObject({ message: z.string() })).optional(),
});

const REFUSED = z.looseObject({ message: z.string().optional() });
const GRAPHQL_TYPES = ["application/json", "application/graphql-response+json"] as const;

const ANSWERS = {
  200: {
    description: "What was asked for, or why not; with `Accept: text/event-stream` as a stream of such",
    json: RESULT,
    jsonTypes: GRAPHQL_TYPES,
    text: {
      type: "text/event-stream",
      examples: {
        whole: 'event: next\ndata: {"data":{"__typename":"Query"}}\n\nevent: complete\ndata:\n\n',
      },
    },
  },
  400: {
    description: "Bad Request: the request, or with `errors` the document",
    json: REFUSED,
    jsonTypes: GRAPHQL_TYPES,
  },
  405: { description: "A mutation by GET", json: RESULT, jsonTypes: GRAPHQL_TYPES },
  406: {
    description: "Nothing that is accepted; of subscriptions, anything but an event stream",
    json: REFUSED,
    jsonTypes: GRAPHQL_TYPES,
  },
  415: { description: "A body that is not `application/json`", json: REFUSED },
} as const;

const BASE = {
  tag: "GraphQL",
  headers: HEADERS,
  answers: ANSWERS,
  problems: [401, 403, 503],
} as const;

export const GRAPHQL_POST = {
  ...BASE,
  method: "post",
  path: "/api/graphql",
  id: "runGraphql",
  access: "bearer",
  summary: "Queries, mutations and subscriptions",
  description: `GraphQL over HTTP. With \`Accept: text/event-stream\` the results are Server-Sent Events, each an event \`next\`, and \`complete\` at the
end (graphql-sse, distinct connections mode): subscriptions have no other answer.`,
  query: QUERY,
  body: z.strictObject({
    query: z.string(),
    variables: z.looseObject({}).nullable().optional(),
    operationName: z.string().nullable().optional(),
    extensions: z.looseObject({}).nullable().optional(),
  }),
} as const satisfies Operation;

export const GRAPHQL_GET = {
  ...BASE,
  method: "get",
  path: "/api/graphql",
  id: "queryGraphql",
  access: "cookie",
  summary: "Queries of a document in the URL",
  query: QUERY.extend({
    query: z.string().meta({ description: "The document", examples: ["{ __typename }"] }),
    ...JSON_PARAMETERS.shape,
    operationName: z.string().optional(),
  }),
} as const satisfies Operation;

/** By graphql-sse, and by an EventSource. */
const STREAM = { path: "/api/graphql/stream", access: "ticket" } as const;
export const GRAPHQL_STREAM_POST = {
  ...{ ...GRAPHQL_POST, ...STREAM, id: "streamGraphql", summary: "Operations as event streams" },
} as const satisfies Operation;
export const GRAPHQL_STREAM_GET = {
  ...{ ...GRAPHQL_GET, ...STREAM, id: "streamGraphqlByUrl", summary: "Subscriptions of an EventSource" },
} as const satisfies Operation;
