/** Defects planted in front of Millrace, for the conformance kit to find. */
import type { Asked, Defect } from "./tampering-proxy.ts";

const LINES = "/api/services/logs/stream";
const STATUS = "/api/services/status/stream";

/** Parameters that the server never sees, where the path is so. */
const ignores = (path: string | RegExp, ...names: readonly string[]): Defect => ({
  ask({ url, headers }) {
    if (!url.pathname.match(path)) return;
    for (const name of names) {
      url.searchParams.delete(name);
      delete headers[name];
    }
  },
});

/** The JSON of answers of the path, changed. */
const says = (path: string | RegExp, change: (json: Json, query: URLSearchParams) => void): Defect => ({
  answer(answered, { url }) {
    if (!url.pathname.match(path) || !answered.headers["content-type"]?.includes("json")) return;
    const json = JSON.parse(answered.text) as Json;
    change(json, url.searchParams);
    answered.text = JSON.stringify(json);
  },
});
// biome-ignore lint/suspicious/noExplicitAny: whatever the server says
type Json = any;

/** The document and variables of what is posted, changed. */
const asks = (change: (posted: Json) => void): Defect => ({
  ask(asked) {
    if (!asked.url.pathname.startsWith("/api/graphql") || !asked.body.startsWith("{")) return;
    try {
      const posted = JSON.parse(asked.body) as Json;
      change(posted);
      asked.body = JSON.stringify(posted);
    } catch {
      // What is no JSON stays as it is.
    }
  },
});

/** Blocks of streams of the path that are kept back. */
const swallows = (path: string, isSwallowed: (block: string, index: number) => boolean): Defect => ({
  block: (block, index, { url }) =>
    url.pathname.startsWith(path) && isSwallowed(block, index) ? undefined : block,
});

const replaced = (path: string, from: RegExp, to: string): Defect => ({
  answer(answered, { url }) {
    if (url.pathname === path) answered.text = answered.text.replace(from, to);
  },
});

/** As somebody else, where the path is so. */
const asToken = (path: string, whose: keyof Asked["tokens"]): Defect => ({
  ask({ url, headers, tokens }) {
    if (url.pathname.startsWith(path)) headers.authorization = `Bearer ${tokens[whose]}`;
  },
});

export type Defects = Readonly<
  Record<string, readonly [defect: Defect, must: readonly string[], may?: readonly string[]]>
>;

/** Every defect with the checks that must find it; those of other rules must not blame it unless they are named behind it. */
export const PRODUCT_DEFECTS: Defects = {
  "shows the pipeline to anybody": [asToken("/api/pipeline", "operator"), ["pipeline.shape"]],
  "leaves a member of the pipeline out": [
    {
      ask({ url, headers, tokens }) {
        if (url.pathname === "/api/pipeline" && headers.authorization !== undefined)
          headers.authorization = `Bearer ${tokens.operator}`;
      },
      answer: says("/api/pipeline", (json) => {
        if (json.log !== undefined) delete json.log.events;
      }).answer!,
    },
    ["pipeline.shape"],
  ],
  "takes any limit": [
    ignores("/api/v1/gpus", "limit"),
    ["telemetry.bad-parameters"],
    ["telemetry.pages", "telemetry.shape"],
  ],
  "takes any sort": [ignores("/api/v1/gpus", "sort"), ["telemetry.bad-parameters", "telemetry.shape"]],
  "takes any page": [ignores("/api/v1/gpus", "page"), ["telemetry.bad-parameters", "telemetry.pages"]],
  "refuses without a name": [
    says("/api/v1/gpus", (json) => {
      if (json.error !== undefined) json.message = "Bad parameter";
    }),
    ["telemetry.bad-parameters"],
  ],
  "pages overlap": [
    {
      ask({ url }) {
        const page = Number(url.searchParams.get("page"));
        if (url.searchParams.get("limit") !== "7" || page < 2) return;
        // The first of a page is the last of the one before.
        url.searchParams.set("limit", "6");
      },
      answer: says("/telemetry", (json, query) => {
        if (query.get("limit") === "6") json.limit = 7;
      }).answer!,
    },
    ["telemetry.pages"],
  ],
  "counts a page for the total": [
    says("/api/v1/gpus", (json) => {
      if (json.items !== undefined) json.total = json.items.length;
    }),
    ["telemetry.pages"],
  ],
  "leaves a member out": [
    says("/telemetry", (json) => {
      for (const item of json.items ?? []) delete item.labels_raw;
    }),
    ["telemetry.shape"],
  ],
  "ends before end_time": [
    {
      ask({ url }) {
        const end = url.searchParams.get("end_time");
        if (end === null || !url.searchParams.has("start_time") || !url.pathname.endsWith("/telemetry"))
          return;
        const endMs = Date.parse(end);
        if (endMs > Date.now() - 86_400_000)
          url.searchParams.set("end_time", new Date(endMs - 1).toISOString());
      },
    },
    ["telemetry.filters"],
  ],
  "knows no metric": [ignores("/telemetry", "metric"), ["telemetry.filters", "telemetry.bad-parameters"]],
  "knows every GPU": [
    {
      answer(answered, { url }) {
        if (!url.pathname.endsWith("/telemetry") || answered.status !== 404) return;
        answered.status = 200;
        answered.text = JSON.stringify({ total: 0, page: 1, limit: 100, items: [] });
      },
    },
    ["telemetry.unknown", "telemetry.tenant"],
  ],
  "shows all GPUs to all": [asToken("/api/v1/gpus", "metrics"), ["telemetry.tenant", "telemetry.auth-token"]],
  "forgets a route": [
    {
      answer(answered, { url }) {
        if (url.pathname === "/openapi.yaml")
          answered.text = answered.text.replaceAll("/api/v1/gpus:", "/api/v1/gpu:");
        if (url.pathname === "/openapi.json")
          answered.text = answered.text.replace('"/api/v1/gpus":', '"/api/v1/gpu":');
      },
    },
    ["openapi.document", "openapi.routes"],
  ],
  "says another document as JSON": [
    says("/openapi.json", (json) => {
      delete json.paths["/healthz"];
    }),
    ["openapi.document"],
  ],
  "is of an older OpenAPI": [
    replaced("/openapi.yaml", /^openapi: .*/m, "openapi: 3.0.3"),
    ["openapi.document", "openapi.routes"],
  ],
  "loads from elsewhere": [
    replaced("/swagger/index.html", /src="[^"]*"/, 'src="https://cdn.example/swagger.js"'),
    ["openapi.page", "openapi.files"],
  ],
  "has no policy": [
    {
      answer({ headers }) {
        delete headers["content-security-policy"];
      },
    },
    ["openapi.page"],
  ],
  "lacks the page's files": [
    {
      answer(answered, { url }) {
        if (url.pathname.startsWith("/assets/")) answered.status = 404;
      },
    },
    ["openapi.files"],
  ],
  "has no snapshot": [
    swallows(STATUS, (block) => block.includes("event: snapshot")),
    ["services.snapshot", "services.change"],
    ["services.silent"],
  ],
  "tells no change": [
    swallows(STATUS, (block) => block.includes("event: service_status")),
    ["services.change", "services.silent"],
  ],
  "never takes one for silent": [
    {
      block: (block, _, { url }) =>
        url.pathname === STATUS ? block.replaceAll('"state":"stopped"', '"state":"running"') : block,
    },
    ["services.silent"],
  ],
  "loses a line": [
    swallows(LINES, (block) => /line (100|41|13)"/.test(block)),
    ["services.lines", "services.resume"],
  ],
  "knows no level": [ignores(LINES, "level"), ["services.filter", "services.refusals"]],
  "knows no service": [
    ignores(LINES, "service"),
    ["services.filter", "services.refusals"],
    ["services.lines", "services.resume"],
  ],
  "knows no cursor of lines": [
    ignores(LINES, "lastEventId", "last-event-id"),
    ["services.resume", "services.refusals"],
  ],
  "lets the stale query win": [ignores(LINES, "last-event-id"), ["services.resume"]],
  "shows services to all": [asToken("/api/services/", "operator"), ["services.role"]],
  "stores twice": [
    asks(({ query, variables }) => {
      if (/^mutation/.test(query) && variables?.subject === "second") variables.id = `${variables.id}-2`;
    }),
    ["graphql.once"],
  ],
  "knows no before": [
    asks(({ variables }) => {
      if (variables?.before !== undefined) delete variables.before;
    }),
    ["graphql.past"],
  ],
  "forgets who changed what": [
    says("/api/graphql", (json) => {
      if (json.data?.ticket?.changes !== undefined) json.data.ticket.changes = [];
    }),
    ["graphql.past"],
  ],
  "knows no after": [
    asks(({ variables }) => {
      if (variables?.after !== undefined) delete variables.after;
    }),
    ["graphql.resume", "graphql.complete"],
  ],
  "knows no Last-Event-ID": [ignores("/api/graphql", "last-event-id"), ["graphql.resume"]],
  "loses a message": [swallows("/api/graphql", (block) => block.includes('"message 5"')), ["graphql.resume"]],
  "tells no update": [
    swallows("/api/graphql", (block) => block.includes('"CLOSED"')),
    ["graphql.subscription"],
  ],
  "follows every ticket": [
    asks(({ query, variables }) => {
      if (query.includes("ticketUpdated")) delete variables.id;
    }),
    ["graphql.subscription"],
  ],
  "does not complete": [
    swallows("/api/graphql", (block) => block.includes("complete")),
    ["graphql.complete"],
  ],
  "says no code": [
    says("/api/graphql", (json) => {
      for (const error of json.errors ?? []) delete error.extensions;
    }),
    ["graphql.errors"],
    ["graphql.limits", "graphql.introspection"],
  ],
  "tells its inside": [
    says("/api/graphql", (json) => {
      for (const error of json.errors ?? []) error.extensions.stack = "at resolve (/srv/schema.ts:10:5)";
    }),
    ["graphql.errors"],
    ["graphql.limits", "graphql.introspection"],
  ],
  "has no limits": [
    asks((posted) => {
      if (/tickets\(first: (100|\$n)\)|t10:|\{ a \{|x{9}|first: 101/.test(posted.query)) {
        posted.query = "{ __typename }";
        delete posted.variables;
      }
    }),
    ["graphql.limits"],
  ],
  "takes a batch": [
    {
      ask(asked) {
        if (asked.url.pathname === "/api/graphql" && asked.body.startsWith("["))
          asked.body = '{"query":"{ __typename }"}';
      },
    },
    ["graphql.limits"],
  ],
  "answers for any company": [ignores("/api/graphql", "companyId"), ["graphql.tenant"]],
  "shows its schema": [
    asks((posted) => {
      if (/__schema|__type\(/.test(posted.query)) posted.query = "{ __typename }";
    }),
    ["graphql.introspection"],
  ],
  "takes a mutation by GET": [
    {
      answer(answered, { url }) {
        if (url.pathname === "/api/graphql" && answered.status === 405) answered.status = 200;
      },
    },
    ["graphql.query"],
  ],
};

/** The same for a server on which streaming is switched off. */
export const DISABLED_DEFECTS: Defects = {
  "leaves viewers without a word": [
    swallows("/api/services", (block) => block.includes("event: disabled")),
    ["services.disabled"],
  ],
  "does not say when to come back": [
    { block: (block) => block.replace(/^retry:.*\n?/m, "") },
    ["services.disabled", "graphql.disabled"],
  ],
  "does not complete": [
    swallows("/api/graphql", (block) => block.includes("complete")),
    ["graphql.disabled"],
  ],
};
