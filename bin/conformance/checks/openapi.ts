/** The document of every route, and the page that shows it. */
import { parse } from "yaml";
import { type Check, fail, MILLRACE, pass } from "../check.ts";
import { sameJson } from "../compare.ts";
import type { Context } from "../context.ts";
import { type Answer, ask } from "../http.ts";
import { show } from "../sse-parser.ts";
import { routeUrl } from "../target.ts";

const area = "openapi";
const source = "Millrace PROTOCOL, OpenAPI";
const PAGE = "/swagger/index.html";

/** What users rely on; a server may have more. */
const ROUTES = [
  ...["/stream/updates", "/stream/stats", "/stream/health", "/stream/history", "/stream/dashboard"],
  ...["/stream/tickets", "/stream/renew", "/ws/updates", "/ws/dashboard", "/sse", "/api/metrics"],
  ...["/api/v1/gpus", "/api/v1/gpus/{id}/telemetry", "/api/graphql", "/api/graphql/stream"],
  ...["/api/services/status/stream", "/api/services/logs/stream"],
  ...["/healthz", "/ready", "/metrics", "/openapi.yaml"],
];

interface Document {
  readonly openapi?: string;
  readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const typeOf = ({ headers }: Answer) => headers["content-type"]?.split(";")[0];

async function readDocument(context: Context): Promise<Document> {
  const answer = await context.askRoute("/openapi.yaml", { token: null });
  if (answer.status !== 200 || typeOf(answer) !== "application/yaml")
    throw new Error(
      `/openapi.yaml answered ${answer.status} ${typeOf(answer)}, expected 200 and application/yaml, for everybody`,
    );
  const document = parse(answer.text) as Document;
  if (!/^3\.1\./.test(document?.openapi ?? ""))
    throw new Error(`openapi: ${document?.openapi}, expected 3.1`);
  return document;
}

async function readPage(context: Context): Promise<Answer> {
  const page = await context.askRoute(PAGE, { token: null, headers: { accept: "text/html" } });
  if (page.status === 200 && typeOf(page) === "text/html") return page;
  throw new Error(`${PAGE} answered ${page.status} ${typeOf(page)}, expected 200 and text/html`);
}

/** Sources of a page or a policy that are not of this origin. */
function foreignSource(text: string, origin: string): string | undefined {
  return [...text.matchAll(/\b(?:https?:)?\/\/[\w.-]+(?::\d+)?/g)].map(String).find((url) => {
    const found = url.startsWith("//") ? `${new URL(origin).protocol}${url}` : url;
    return URL.canParse(found) && new URL(found).origin !== origin;
  });
}

export const openapiChecks: readonly Check[] = [
  {
    id: "openapi.document",
    area,
    title: "An OpenAPI 3.1 document names every route, the same as YAML and as JSON",
    source,
    levels: MILLRACE,
    needs: [],
    async run(context) {
      const document = await readDocument(context);
      const { paths = {} } = document;
      const missing = ROUTES.filter((route) => paths[route] === undefined);
      if (missing.length > 0) return fail(`not named: ${missing.join(", ")}`);
      const asJson = await context.askRoute("/openapi.json", { token: null });
      if (!sameJson(asJson.json, document))
        return fail(`/openapi.json answered ${asJson.status} and something else than /openapi.yaml`);
      return pass(`${Object.keys(paths).length} paths`);
    },
  },
  {
    id: "openapi.routes",
    area,
    title: "What the document says can be asked for is there",
    source,
    levels: MILLRACE,
    needs: [],
    async run(context) {
      const { paths = {} } = await readDocument(context);
      const asked = Object.keys(paths).filter((path) => paths[path]!.get && !path.includes("{"));
      for (const path of asked) {
        const { companyParam, company } = context.target;
        const answer = await context.askRoute(`${path}?${companyParam}=${company}`);
        if (answer.status === 404 || answer.status === 405 || answer.status === 500)
          return fail(`GET ${path} was answered ${answer.status} ${show(answer.text)}`);
      }
      return pass(`${asked.length} routes asked`);
    },
  },
  {
    id: "openapi.page",
    area,
    title: "Swagger UI comes from this origin alone, under a Content-Security-Policy that says so",
    source: "Millrace PROTOCOL, OpenAPI; CSP Level 3",
    levels: MILLRACE,
    needs: [],
    async run(context) {
      const page = await readPage(context);
      const policy = page.headers["content-security-policy"] ?? "";
      if (!/(^|;)\s*(default|script)-src '(self|none)'\s*(;|$)/.test(policy))
        return fail(`content-security-policy: ${show(policy)}, expected scripts of 'self' alone`);
      if (/'unsafe-eval'|(script-src|default-src)[^;]*'unsafe-inline'|\*/.test(policy))
        return fail(`content-security-policy: ${show(policy)}, which lets any script in`);
      const url = routeUrl(context.target, PAGE);
      const foreign = foreignSource(policy, url.origin) ?? foreignSource(page.text, url.origin);
      if (foreign) return fail(`${show(foreign)} is not of this origin`);
      return pass(policy);
    },
  },
  {
    id: "openapi.files",
    area,
    title: "What the page of Swagger UI loads is there",
    source,
    levels: MILLRACE,
    needs: [],
    async run(context) {
      const url = routeUrl(context.target, PAGE);
      const { text } = await readPage(context);
      const loaded = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => new URL(path!, url));
      if (!loaded.some(({ pathname }) => /\.js$/.test(pathname))) return fail("the page loads no script");
      for (const file of loaded) {
        const answer = await ask(file, { timeoutMs: 5_000 });
        if (answer.status !== 200)
          return fail(`${file.pathname} was answered ${answer.status}, expected 200`);
      }
      return pass(`${loaded.length} files`);
    },
  },
];
