/** The document: every route is in it and nothing else, its examples are valid, and answers are what it says they are. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseReading } from "../../functions/core/reading.ts";
import { type ApiDocument, type ApiMedia, operationsOf, problemsOf, responseOf } from "./openapi-support.ts";
import { startTestApp, type TestApp, token } from "./test-app.ts";

let test: TestApp;
let document: ApiDocument;
let ops: string;
beforeAll(async () => {
  test = await startTestApp();
  document = (await (await test.ask("/openapi.json", { token: null })).json()) as ApiDocument;
  ops = await token({ roles: ["ops"] });
  await test.append("acme", 3);
  await test.append("acme", 1, { from: 3, type: "audit.txn", data: '{"txn_id":"T-1"}' });
  const data = {
    uuid: "GPU-1",
    metric_name: "DCGM_FI_DEV_GPU_UTIL",
    timestamp: "2026-01-31T12:00:00Z",
    value: 87,
  };
  await test.telemetry.write([
    parseReading({ companyId: "acme" as never, data: JSON.stringify({ ...data, labels_raw: "a" }) as never }),
    parseReading({
      companyId: "acme" as never,
      data: JSON.stringify({ ...data, uuid: "GPU-2", value: "idle" }) as never,
    }),
  ]);
});
afterAll(() => test?.[Symbol.asyncDispose]());

const operations = () => operationsOf(document);

describe("the OpenAPI document", () => {
  it("is served to anybody as YAML and as JSON, which say the same", async () => {
    const response = await test.ask("/openapi.yaml", { token: null });
    expect(response.headers.get("content-type")).toBe("application/yaml; charset=utf-8");
    expect(parse(await response.text())).toEqual(document);
    expect(document.openapi).toBe("3.1.1");
  });

  it("has the version of the package", () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(document.info.version).toBe(version);
  });

  it("has every route of the app, and no other", async () => {
    const byPath = new Map<string, Set<string>>();
    for (const { path, method } of test.app.routes) {
      if (path.includes("*")) continue;
      const methods = byPath.get(path) ?? new Set();
      byPath.set(path, methods.add(method));
    }
    const routes: string[] = [];
    for (const [path, methods] of byPath) {
      // What refuses other methods is mounted under all of them. What stays open is too, so that HEAD opens nothing: it is asked.
      methods.delete("ALL");
      if (methods.size === 0) {
        for (const method of ["GET", "POST", "PUT", "DELETE"])
          if ((await test.ask(path, { method })).status !== 405) methods.add(method);
      }
      for (const method of methods)
        routes.push(`${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    }
    const documented = operations().map(({ path, method }) => `${method} ${path}`);
    expect(documented.toSorted()).toEqual(routes.toSorted());
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(ids).toEqual([...new Set(ids)]);
  });

  it("has examples that are valid, of parameters, bodies, answers and schemas", () => {
    const problems: string[] = [];
    let checked = 0;
    const check = (where: string, schema: object | undefined, example: unknown) => {
      if (schema === undefined) return;
      checked++;
      for (const problem of problemsOf(document, schema, example)) problems.push(`${where}: ${problem}`);
    };
    /** Of the schema itself, and of those in it. */
    const inside = (where: string, schema: unknown): void => {
      if (typeof schema !== "object" || schema === null) return;
      const { examples, ...rest } = schema as { examples?: unknown };
      if (Array.isArray(examples)) for (const example of examples) check(where, rest, example);
      for (const [name, member] of Object.entries(rest)) inside(`${where}/${name}`, member);
    };
    const inContent = (where: string, content: Readonly<Record<string, ApiMedia>> = {}) => {
      for (const [type, { schema, example, examples }] of Object.entries(content)) {
        inside(`${where} ${type}`, schema);
        if (example !== undefined) check(`${where} ${type}`, schema, example);
        for (const { value } of Object.values(examples ?? {})) check(`${where} ${type}`, schema, value);
      }
    };
    for (const { path, method, operation } of operations()) {
      const where = `${method} ${path}`;
      for (const { name, schema, example } of operation.parameters ?? []) {
        inside(`${where} ${name}`, schema);
        if (example !== undefined) check(`${where} ${name}`, schema, example);
      }
      inContent(where, operation.requestBody?.content);
      for (const [status, { content }] of Object.entries(operation.responses))
        inContent(`${where} ${status}`, content);
    }
    for (const [name, { content }] of Object.entries(document.components.responses)) inContent(name, content);
    for (const [name, schema] of Object.entries(document.components.schemas)) inside(name, schema);
    expect(problems).toEqual([]);
    expect(checked).toBeGreaterThan(50);
  });
});

describe("answers", () => {
  interface Ask {
    readonly id: string;
    readonly path: string;
    readonly status: number;
    readonly token?: string | null;
    readonly method?: string;
    readonly body?: object;
    readonly headers?: Readonly<Record<string, string>>;
  }

  /** Asked of the app itself, by operationId. */
  const asks = (): Ask[] => [
    { id: "streamUpdates", path: "/stream/updates", status: 400 },
    { id: "streamUpdates", path: "/stream/updates?companyId=globex", status: 403 },
    { id: "socketUpdates", path: "/ws/updates?companyId=acme", status: 426 },
    { id: "readHistory", path: "/stream/history?companyId=acme&limit=2", status: 200 },
    { id: "readHistory", path: "/stream/history?companyId=acme&after=gone.1-1", status: 200 },
    { id: "readHistory", path: "/stream/history?companyId=acme&after=latest", status: 200 },
    { id: "readHistory", path: "/stream/history?companyId=acme", status: 401, token: null },
    { id: "readStats", path: "/stream/stats", status: 200 },
    { id: "readStats", path: "/stream/stats", status: 200, token: ops },
    { id: "readStreamHealth", path: "/stream/health", status: 200 },
    { id: "readFeed", path: "/api/metrics?companyId=acme", status: 200 },
    { id: "readFeed", path: "/api/metrics", status: 403 },
    { id: "listGpus", path: "/api/v1/gpus", status: 200 },
    { id: "listGpus", path: "/api/v1/gpus?limit=0", status: 400 },
    { id: "listReadings", path: "/api/v1/gpus/GPU-1/telemetry", status: 200 },
    { id: "listReadings", path: "/api/v1/gpus/GPU-2/telemetry", status: 200 },
    { id: "listReadings", path: "/api/v1/gpus/GPU-3/telemetry", status: 404 },
    { id: "takeTicket", path: "/stream/tickets", status: 200, method: "POST" },
    { id: "takeTicket", path: "/stream/tickets", status: 401, method: "POST", token: "x" },
    ...[{ connectionId: "3b241101-e2bb-4255-8caf-4136c566a962" }].map((body) => ({
      ...{ id: "renewStream", path: "/stream/renew", status: 202, method: "POST", body },
    })),
    { id: "renewStream", path: "/stream/renew", status: 400, method: "POST", body: {} },
    { id: "readFeatures", path: "/admin/companies/acme/features", status: 200, token: ops },
    { id: "readFeatures", path: "/admin/companies/a%20b/features", status: 400, token: ops },
    ...[{ streaming: true }, { maxConnections: 500 }, {}].map((body) => ({
      ...{ id: "changeFeatures", path: "/admin/companies/acme/features", status: 200, method: "PUT", body },
      token: ops,
    })),
    { id: "changeFeatures", path: "/admin/companies/acme/features", status: 403, method: "PUT", body: {} },
    ...[{ subject: "user-7" }, { companyId: "initech" }].map((body) => ({
      ...{ id: "revoke", path: "/admin/revocations", status: 200, method: "POST", token: ops, body },
    })),
    ...["queryGraphql", "streamGraphqlByUrl"].flatMap((id) =>
      [200, 400].map((status) => ({
        ...{ id, status, headers: { accept: "application/graphql-response+json" } },
        path: `/api/graphql${id === "queryGraphql" ? "" : "/stream"}?query=${status === 200 ? "{__typename}" : "{"}`,
      })),
    ),
    ...["runGraphql", "streamGraphql"].flatMap((id) =>
      [200, 415].map((status) => ({
        ...{ id, status, method: "POST", body: { query: "{__typename}" } },
        path: `/api/graphql${id === "runGraphql" ? "" : "/stream"}`,
        headers: {
          accept: "application/json",
          "content-type": status === 200 ? "application/json" : "text/plain",
        },
      })),
    ),
    { id: "readPipeline", path: "/api/pipeline", status: 200, token: ops },
    { id: "readPipeline", path: "/api/pipeline", status: 403 },
    { id: "readPipeline", path: "/api/pipeline", status: 401, token: null },
    { id: "readAlive", path: "/healthz", status: 200, token: null },
    { id: "readReady", path: "/ready", status: 200, token: null },
    { id: "readOpenapiJson", path: "/openapi.json", status: 200, token: null },
  ];

  const check = async (app: TestApp, { id, path, status, body, ...init }: Ask) => {
    const sent = body === undefined ? init : { ...init, body: JSON.stringify(body) };
    const response = await app.ask(path, sent);
    const text = await response.text();
    expect(response.status, `${id}: ${text}`).toBe(status);
    const { operation } = operations().find((known) => known.operation.operationId === id)!;
    if (body !== undefined && status < 300) {
      const { schema } = operation.requestBody!.content["application/json"]!;
      expect(problemsOf(document, schema!, body), id).toEqual([]);
    }
    const documented = responseOf(document, operation.responses[String(status)]);
    expect(documented, `${id} ${status}`).toBeDefined();
    const [type] = (response.headers.get("content-type") ?? "").split(";");
    const media = documented!.content?.[type!];
    expect(media, `${id} ${status} ${type}`).toBeDefined();
    expect(problemsOf(document, media!.schema!, JSON.parse(text)), `${id}: ${text}`).toEqual([]);
  };

  it("match what is documented, and every JSON route is asked", async () => {
    for (const ask of asks()) await check(test, ask);
    const asked = new Set(asks().flatMap(({ id, status }) => (status < 300 ? [id] : [])));
    const withJson = operations().filter(({ operation }) =>
      Object.entries(operation.responses).some(
        ([status, { content }]) => status < "300" && content?.["application/json"],
      ),
    );
    expect(withJson.map(({ operation }) => operation.operationId).filter((id) => !asked.has(id))).toEqual([]);
  });

  it("of what is not JSON have the content type that is documented", async () => {
    for (const [id, path] of [
      ["readMetrics", "/metrics"],
      ["readOpenapiYaml", "/openapi.yaml"],
      ["streamUpdates", "/stream/updates?companyId=acme"],
      ["streamFeed", "/sse?companyId=acme"],
      ["streamDashboard", "/stream/dashboard?companyId=acme"],
    ]) {
      const response = await test.ask(path!);
      expect(response.status).toBe(200);
      await response.body?.cancel();
      const { operation } = operations().find((known) => known.operation.operationId === id)!;
      const [type] = response.headers.get("content-type")!.split(";");
      expect(Object.keys(operation.responses["200"]!.content!)).toEqual([type]);
    }
  });

  it("match with a bridge, a switched-off stream, and a log that is away", async () => {
    const sources = () => [
      { name: "a", kind: "nats", state: "up" as const, lastError: undefined },
      { name: "b", kind: "nats", state: "down" as const, lastError: "it is away" },
    ];
    await using bridge = await startTestApp({ deps: { sources: () => sources().slice(0, 1) } });
    await check(bridge, { id: "readReady", path: "/ready", status: 200 });
    await using waiting = await startTestApp({ deps: { sources } });
    await check(waiting, { id: "readReady", path: "/ready", status: 503 });
    await using off = await startTestApp({ settings: { STREAMING_ENABLED: false } });
    await check(off, { id: "readStreamHealth", path: "/stream/health", status: 200 });
    await check(off, { id: "readHistory", path: "/stream/history?companyId=acme", status: 503 });
    await using away = await startTestApp();
    await away.telemetry[Symbol.asyncDispose]();
    await check(away, { id: "listGpus", path: "/api/v1/gpus", status: 503 });
  });
});
