/** `GET /openapi.yaml` and `GET /openapi.json`: every route of the product, from the operations beside the handlers. */
import { Hono } from "hono";
import { etag } from "hono/etag";
import { stringify } from "yaml";
import * as z from "zod";
import { CHANGE_FEATURES, READ_FEATURES, REVOKE } from "./admin.ts";
import { DASHBOARD, DASHBOARD_SOCKET } from "./dashboard.ts";
import { LIST_GPUS, LIST_READINGS } from "./gpus.ts";
import { GRAPHQL_GET, GRAPHQL_POST, GRAPHQL_STREAM_GET, GRAPHQL_STREAM_POST } from "./graphql-operations.ts";
import { STREAM_HEALTH } from "./health.ts";
import { HISTORY } from "./history.ts";
import { FEED, FEED_ONCE } from "./mq.ts";
import { openapiDocument } from "./openapi-document.ts";
import type { Operation } from "./operation.ts";
import { PIPELINE } from "./pipeline.ts";
import { HEALTHZ, METRICS, READY } from "./probes.ts";
import { RENEW } from "./renew.ts";
import { STREAM_LOG_LINES, STREAM_SERVICE_STATUS } from "./services.ts";
import { STATS } from "./stats.ts";
import { UPDATES, UPDATES_SOCKET } from "./stream.ts";
import { TAKE_TICKET } from "./tickets.ts";

const DOCUMENT = z
  .looseObject({ openapi: z.string() })
  .meta({ examples: [{ openapi: "3.1.1", info: { title: "Millrace", version: "0.1.0" } }] });

const TAG = { ETag: "Names this version of it" };
const UNCHANGED = { description: "The version that `If-None-Match` names", headers: TAG };

const READ_YAML = {
  method: "get",
  path: "/openapi.yaml",
  id: "readOpenapiYaml",
  tag: "Operation",
  access: "open",
  summary: "This document",
  // A schema is of what YAML says, as it is of what JSON does.
  answers: {
    200: {
      ...{ description: "OpenAPI 3.1", json: DOCUMENT, jsonTypes: ["application/yaml"] },
      headers: TAG,
    },
    304: UNCHANGED,
  },
} as const satisfies Operation;

const READ_JSON = {
  ...READ_YAML,
  path: "/openapi.json",
  id: "readOpenapiJson",
  summary: "This document as JSON",
  answers: { 200: { description: "OpenAPI 3.1", json: DOCUMENT, headers: TAG }, 304: UNCHANGED },
} as const satisfies Operation;

/** In the order of the document. */
const OPERATIONS: readonly Operation[] = [
  ...[UPDATES, UPDATES_SOCKET, HISTORY, STATS, STREAM_HEALTH],
  ...[FEED, FEED_ONCE, DASHBOARD, DASHBOARD_SOCKET],
  ...[LIST_GPUS, LIST_READINGS],
  ...[STREAM_SERVICE_STATUS, STREAM_LOG_LINES],
  ...[GRAPHQL_GET, GRAPHQL_POST, GRAPHQL_STREAM_GET, GRAPHQL_STREAM_POST],
  ...[TAKE_TICKET, RENEW, READ_FEATURES, CHANGE_FEATURES, REVOKE],
  ...[PIPELINE, HEALTHZ, READY, METRICS, READ_YAML, READ_JSON],
];

const INFO = {
  title: "Millrace",
  // As package.json has it.
  version: "0.1.0",
  description: `Message queues to live browser pages: brokers into a log, out over Server-Sent Events and WebSocket, replayable and scoped by company.

Answers that stay open begin with the example they show and go on: follow them with \`curl -N\` or an EventSource, not with what waits for the end.
Refusals to them that will pass are in the stream, for who accepts \`text/event-stream\`: a browser's EventSource gives up for good on any status but 200.`,
};

export function openapiRoutes(): Hono {
  let made: { readonly yaml: string; readonly json: string } | undefined;
  /** When it is first asked for: most processes never are. */
  const texts = () => {
    if (made === undefined) {
      const document = openapiDocument(INFO, OPERATIONS);
      made = { yaml: stringify(document, { aliasDuplicateObjects: false }), json: JSON.stringify(document) };
    }
    return made;
  };
  const app = new Hono();
  app.get(READ_YAML.path, etag(), (c) =>
    c.body(texts().yaml, 200, { "content-type": "application/yaml; charset=utf-8", ...REVALIDATE }),
  );
  app.get(READ_JSON.path, etag(), (c) =>
    c.body(texts().json, 200, { "content-type": "application/json", ...REVALIDATE }),
  );
  return app;
}

/** It changes with a new version alone, but then at once. */
const REVALIDATE = { "cache-control": "no-cache" };
