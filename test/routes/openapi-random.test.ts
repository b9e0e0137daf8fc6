/**
 * Requests made from the document: valid, at its limits and broken, from whoever may ask. Each is answered in time by a status, a content type
 * and a body that the document names, never by a 500; what the document allows is let through and what it does not is refused; no answer holds
 * what the request kept secret or what is another company's.
 * FUZZ_SEED repeats a run, FUZZ_RUNS says how many requests of each operation there are.
 */
import { request as connect } from "node:http";
import fc from "fast-check";
import { buildClientSchema, getIntrospectionQuery, type IntrospectionQuery } from "graphql";
import { describe, expect, it } from "vitest";
import { newTicket, sealToken, TICKET_MS, ticketId } from "../../functions/core/ticket.ts";
import { openapiRoutes } from "../../functions/routes/openapi.ts";
import { readSeed } from "../faults/lib/random.ts";
import { waitFor } from "../support/wait.ts";
import { documentsOf } from "./graphql-documents.ts";
import { inTime, isAllowed, type Known, readAnswer, requestOf } from "./openapi-answers.ts";
import { type Asked, requestsOf } from "./openapi-requests.ts";
import { type ApiDocument, operationsOf } from "./openapi-support.ts";
import { AUTH_TOKEN, startTestApp, type TestApp, token } from "./test-app.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const seed = readSeed("requests made from the document", "FUZZ_SEED");
const RUNS = Number(process.env.FUZZ_RUNS) || 400;

const document = (await (await openapiRoutes().request("/openapi.json")).json()) as ApiDocument;
const operations = operationsOf(document);
const schema = await (async () => {
  await using open = await startTestApp({ settings: { AUTH_MODE: "none" } });
  const body = JSON.stringify({ query: getIntrospectionQuery() });
  const response = await open.ask("/api/graphql?companyId=acme", { method: "POST", body });
  return buildClientSchema(((await response.json()) as { data: IntrospectionQuery }).data);
})();

/** Is in everything of globex and in nothing else. */
const MARK = "of globex alone";
const CURSORS = ["0.0-0", "gone.1-1"];

/** Events, readings, tickets of two companies, and what services say. */
async function fill(test: TestApp): Promise<string[]> {
  const cursors = await test.append("acme", 20);
  await test.append("acme", 2, {
    from: 20,
    type: "audit.txn",
    data: '{"txn_id":"T-1","n":12345678901234567890}',
  });
  await test.append("globex", 3, { data: JSON.stringify({ what: MARK }) });
  await test.append("_operations", 1, { type: "service_status", data: '{"name":"sync","state":"running"}' });
  const line = { level: "warn", service: "sync", message: "slow" };
  await test.append("_logs", 3, { type: "log_line", data: JSON.stringify(line) });
  await test.measure(20);
  await test.measure(20, { metric_name: "DCGM_FI_DEV_POWER_USAGE" });
  await test.measure(5, { uuid: "GPU-2" });
  await test.measure(5, { companyId: "globex", uuid: "GPU-2", labels: { Hostname: MARK } });
  await test.measure(5, { companyId: "globex", uuid: "GPU-9", labels: { Hostname: MARK } });
  for (const [companyId, subject] of [
    ["acme", "Printer"],
    ["globex", MARK],
  ]) {
    const query = `mutation { createTicket(id: "T-1", input: { subject: "${subject}" }) { id } postTicketMessage(ticketId: "T-1", text: "${subject}") { id } }`;
    const asked = { method: "POST", body: JSON.stringify({ query }), token: await token({ companyId }) };
    expect(await (await test.ask("/api/graphql", asked)).json()).not.toHaveProperty("errors");
  }
  return cursors as string[];
}

/** Who asks. */
interface Caller {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** No answer may hold it. */
  readonly secret?: string;
  /** Whether it may see what is globex's. */
  readonly seesGlobex?: boolean;
  /** How many companies its token names. */
  readonly companies?: number;
  /** Not let in for how it says who it is. */
  readonly isOdd?: boolean;
}

const bearer = (secret: string): Caller => ({ secret, headers: { authorization: `Bearer ${secret}` } });
const acme = await token({ companyId: "acme", sub: "user-1" });
const ops = await token({ companyId: "acme", roles: ["ops"] });
const CALLERS: readonly Caller[] = [
  ...Array<Caller>(10).fill({ ...bearer(ops), seesGlobex: true, companies: 1 }),
  ...Array<Caller>(5).fill({ ...bearer(acme), companies: 1 }),
  { ...bearer(await token({ companies: ["acme", "initech"] })), companies: 2 },
  { ...bearer(await token({ companyId: "initech" })), companies: 1 },
  { ...bearer(await token({ companyId: "globex" })), companies: 1, seesGlobex: true },
  { ...bearer(await token({ roles: ["ops"] })), companies: 0, seesGlobex: true },
  { ...bearer(AUTH_TOKEN), seesGlobex: true },
  ...[
    AUTH_TOKEN.slice(0, -1),
    `${AUTH_TOKEN}x`,
    AUTH_TOKEN.toUpperCase(),
    await token({ companyId: "globex" }, 1),
  ].map(bearer),
  ...[`${acme.slice(0, -2)}xx`, `${btoa('{"alg":"none"}')}.${acme.split(".")[1]}.`, "nonsense"].map(bearer),
  { headers: { authorization: `Basic ${btoa("user:the password")}` }, secret: btoa("user:the password") },
  { headers: { cookie: `millrace=${acme}` }, secret: acme, companies: 1 },
  { query: { ticket: "no such ticket" }, secret: "no such ticket" },
  { query: { token: acme }, secret: acme, isOdd: true },
  {},
];

async function withTicket(test: TestApp): Promise<Caller> {
  const ticket = newTicket();
  await test.tickets.put(await ticketId(ticket), await sealToken(ticket, acme), TICKET_MS);
  return { query: { ticket }, secret: ticket, companies: 1 };
}

/** What a description says and no schema can: whether a request that the schemas allow may be answered by 400 all the same. */
function isRuledOut({ operation, path }: Known, request: Request, caller: Caller): boolean {
  const query = new URL(request.url).searchParams;
  if (operation.operationId.endsWith("Gpus") || operation.operationId.endsWith("Readings")) {
    const [start, end] = ["start_time", "end_time"].map((name) => Date.parse(query.get(name) ?? ""));
    return start! > end! || (request.url.includes("/GPU-2/") && !query.has("companyId"));
  }
  return path.startsWith("/api/graphql") && !query.has("companyId") && caller.companies !== 1;
}

/** What is wrong with the answer, if anything is. */
async function problemsOfAnswer(test: TestApp, known: Known, asked: Asked, caller: Caller) {
  const request = requestOf(known, asked, caller);
  const allowed = isAllowed(document, known, request, asked);
  const where = `${request.method} ${request.url}`;
  const { status, text, problems, headers } = await inTime(where, answered(test, known, request));
  const found = [...problems];
  const said = text + [...headers].filter(([name]) => name !== "set-cookie").join("\n");
  if (caller.secret !== undefined && said.includes(caller.secret)) found.push("the secret of the request");
  if (!caller.seesGlobex && said.includes(MARK)) found.push("what is another company's");
  const isGraphql = known.path.startsWith("/api/graphql");
  if (isGraphql && text.includes('"code":"internal"')) found.push("an error of ours");
  // Of a document, GraphQL says it in the answer.
  const isRefused = status === 400 && (!isGraphql || /^\{"error":|"code":"BAD_REQUEST"/.test(text));
  if (isRefused && allowed && !caller.isOdd && !isRuledOut(known, request, caller))
    found.push("refused, though the document allows it");
  if (status < 400 && !allowed && !isGraphql)
    found.push("let through, though the document does not allow it");
  return { status, problems: found.map((problem) => `${where} ${status} ${text.slice(0, 500)}: ${problem}`) };
}

async function answered(test: TestApp, known: Known, request: Request) {
  const isSocket = "port" in test;
  const response = isSocket ? await shakeHands(test as TestServer, request) : await test.app.fetch(request);
  if (response === undefined) return { status: 101, headers: new Headers(), text: "", problems: [] };
  const { status, headers } = response;
  return { status, headers, ...(await readAnswer(document, known, response)) };
}

/** Asks for a WebSocket, which is then left: undefined. */
function shakeHands({ port }: TestServer, { url, headers }: Request): Promise<Response | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Response | undefined>();
  const key = { "sec-websocket-version": "13", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==" };
  const asked = { ...Object.fromEntries(headers), ...key, connection: "Upgrade", upgrade: "websocket" };
  const { pathname, search } = new URL(url);
  const sent = connect({ port, host: "127.0.0.1", path: pathname + search, headers: asked, agent: false });
  sent.once("upgrade", (_, socket) => {
    socket.destroy();
    resolve(undefined);
  });
  sent.once("response", async (given) => {
    const text = Buffer.concat(await given.toArray());
    resolve(
      new Response(text, { status: given.statusCode!, headers: given.headers as Record<string, string> }),
    );
  });
  sent.once("error", reject).end();
  return promise;
}

const documents = documentsOf(schema, {
  ...{ ID: ["T-1", "T-2", "T-3"], id: ["T-1", "T-2"], Cursor: CURSORS, after: CURSORS },
  ...{ subject: ["Printer", "x".repeat(200)], text: ["Hello", "x".repeat(8_000)], assignee: ["ann"] },
  types: ["metric_updated", "ticket.created", "audit.txn"],
});

/** Documents with their variables, by the URL or in the body. */
function withDocuments(requests: fc.Arbitrary<Asked>, { method }: Known): fc.Arbitrary<Asked> {
  const accept = fc.constantFrom(undefined, "*/*", "text/event-stream", "application/graphql-response+json");
  return fc
    .tuple(requests, documents, accept)
    .map(([asked, { query, variables, operationName }, accepts]) => {
      const body = JSON.stringify({ query, variables, operationName });
      const values = { ...asked.values, query: [query], variables: [JSON.stringify(variables)] };
      const named = { ...values, operationName: operationName ? [operationName] : [] };
      const more = method === "get" ? { values: named } : { body, contentType: "application/json" };
      return { ...asked, ...more, accept: accepts };
    });
}

describe(`${RUNS} requests made from the document`, () => {
  it.each(operations.map((known) => [known.operation.operationId, known] as const))(
    "%s answers as it says",
    { timeout: 60_000 + RUNS * 200 },
    async (_, known) => {
      const isSocket = known.operation.responses["101"] !== undefined;
      await using test = isSocket ? await startTestServer() : await startTestApp();
      const cursors = [...CURSORS, ...(await fill(test))];
      const cursor = fc.constantFrom(...cursors, "");
      const company = fc.constantFrom("acme", "acme", "acme", "globex");
      const made = requestsOf(document, known.operation, {
        ...{ companyId: company, lastEventId: cursor, after: cursor, "Last-Event-ID": cursor },
        id: known.path.startsWith("/admin") ? company : fc.constantFrom("GPU-1", "GPU-1", "GPU-2", "GPU-9"),
        query: documents.map(({ query }) => query),
      });
      const isGraphql = known.path.startsWith("/api/graphql");
      const requests = isGraphql
        ? fc.oneof(made, { weight: 4, arbitrary: withDocuments(made, known) })
        : made;
      const callers = fc.constantFrom(...CALLERS, "ticket" as const);
      const statuses = new Map<number, number>();
      await fc.assert(
        fc.asyncProperty(requests, callers, async (asked, who) => {
          const caller = who === "ticket" ? await withTicket(test) : who;
          const { status, problems } = await problemsOfAnswer(test, known, asked, caller);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          expect(problems).toEqual([]);
        }),
        { numRuns: RUNS, seed },
      );
      const logged = test.logged().filter(({ level }) => level === "error");
      expect(logged.map(({ fields }) => fields.reason)).toEqual([]);
      await waitFor("everybody to have left", () => test.hub.stats().totalConnections === 0);
      await waitFor(
        "nobody to watch",
        () => test.counters.stats().watchers + test.board.stats().watchers === 0,
      );
      // It is of use only where some are let in and, where anything can be wrong, some are not.
      const few = Math.min(RUNS / 20, 20);
      const count = (from: number, to: number) =>
        [...statuses].reduce((sum, [status, times]) => sum + (status >= from && status < to ? times : 0), 0);
      expect(count(101, 400)).toBeGreaterThan(few);
      if (known.operation.responses["401"] !== undefined) expect(count(400, 500)).toBeGreaterThan(few);
      const counted = [...statuses].sort(([a], [b]) => a - b).map(([status, times]) => `${status}: ${times}`);
      console.log(`${known.operation.operationId}: ${counted.join(", ")}`);
    },
  );
});
