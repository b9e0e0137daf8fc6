/** `/api/graphql` on the wire: conformance, company scope, limits, CSRF. */
import { serverAudits } from "graphql-http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import { token } from "./test-app.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

describe.for(["jwt", "none"] as const)("GraphQL over HTTP, AUTH_MODE=%s", (mode) => {
  let test: TestServer;
  let acme: string;
  beforeAll(async () => {
    acme = await token({ sub: "a", companyId: "acme" });
    test = await startTestServer({
      settings: { AUTH_MODE: mode },
      ...(mode === "none" ? { authenticator: createNoAuthenticator() } : {}),
    });
  });
  afterAll(() => test?.[Symbol.asyncDispose]());

  const audits = serverAudits({
    url: () => `${test.url}/api/graphql?companyId=acme`,
    fetchFn: (url: string, init: RequestInit = {}) => {
      const headers = new Headers(init.headers);
      if (mode === "jwt") headers.set("authorization", `Bearer ${acme}`);
      return fetch(url, { ...init, headers });
    },
  });
  it.for(audits.map((audit) => [audit.id, audit.name, audit] as const))(
    "audit %s: %s",
    async ([, , audit]) => {
      const result = await audit.fn();
      expect(result.status === "ok" ? "ok" : `${result.status}: ${result.reason}`).toBe("ok");
    },
  );
});

describe("GraphQL, who may ask what", () => {
  let test: TestServer;
  let acme: string;
  let both: string;
  beforeAll(async () => {
    acme = await token({ sub: "a", companyId: "acme" });
    both = await token({ sub: "b", companies: ["acme", "globex"] });
    test = await startTestServer({ settings: { CORS_ORIGINS: ["https://app.example.com"] } });
  });
  afterAll(() => test?.[Symbol.asyncDispose]());

  const post = (body: unknown, { path = "/api/graphql", as = acme as string | null, headers = {} } = {}) =>
    fetch(test.url + path, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...(as === null ? {} : { authorization: `Bearer ${as}` }),
        ...headers,
      },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
  const ask = async (query: string, options: Parameters<typeof post>[1] = {}) =>
    (await (await post({ query }, options)).json()) as {
      data?: unknown;
      errors?: { message: string; extensions?: { code: string } }[];
      message?: string;
    };
  const get = (query: string, headers: Record<string, string>, path = "/api/graphql") =>
    fetch(`${test.url}${path}?companyId=acme&query=${encodeURIComponent(query)}`, { headers });
  const CREATE = 'mutation { createTicket(input: { subject: "s" }, id: "csrf") { id } }';

  it("the company is the token's, unless it names several", async () => {
    expect((await post({ query: "{ __typename }" })).status).toBe(200);
    expect((await post({ query: "{ __typename }" }, { as: both })).status).toBe(400);
    expect(
      (await post({ query: "{ __typename }" }, { as: both, path: "/api/graphql?companyId=globex" })).status,
    ).toBe(200);
  });

  it("asked for another company's, it refuses: query, mutation and subscription, on both routes", async () => {
    for (const path of ["/api/graphql", "/api/graphql/stream"]) {
      for (const query of ["{ events { next } }", CREATE, "subscription { events { cursor } }"]) {
        const headers = { accept: "text/event-stream, application/json" };
        const response = await post({ query }, { path: `${path}?companyId=globex`, headers });
        expect(response.status).toBe(403);
        expect(await response.json()).toMatchObject({ error: "Forbidden" });
      }
    }
  });

  it("one company's tickets and events are in no answer to another", async () => {
    const globex = await token({ sub: "g", companyId: "globex" });
    await post(
      { query: 'mutation { createTicket(input: { subject: "secret" }, id: "theirs") { id } }' },
      { as: globex },
    );
    const [cursor] = await test.append("globex", 1, { data: '{"mark":"secret"}' });
    for (const query of [
      "{ tickets { items { id subject } } }",
      '{ ticket(id: "theirs") { id subject } }',
      "{ events { items { cursor data } next } }",
      `{ events(after: "${cursor}") { items { cursor data } } }`,
      '{ events(after: "0.0-0") { items { cursor data } } }',
    ]) {
      expect(JSON.stringify((await ask(query)).data ?? null)).not.toContain("secret");
    }
    const update = await ask('mutation { updateTicket(id: "theirs", input: { subject: "mine" }) { id } }');
    expect(update.errors![0]!.extensions!.code).toBe("invalid-input");
    const message = await ask('mutation { postTicketMessage(ticketId: "theirs", text: "x") { id } }');
    expect(message.errors![0]!.extensions!.code).toBe("invalid-input");
  });

  it("a cookie is good for queries, and for nothing that changes anything", async () => {
    const cookie = `millrace=${acme}`;
    expect((await get("{ __typename }", { cookie })).status).toBe(200);
    expect((await get(CREATE, { cookie })).status).toBe(405);
    expect((await post({ query: CREATE }, { as: null, headers: { cookie } })).status).toBe(401);
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "application/graphql",
      "multipart/form-data; boundary=x",
    ]) {
      const response = await post(CREATE, { headers: { cookie, "content-type": type } });
      expect(response.status).toBe(415);
    }
    expect(await ask('{ ticket(id: "csrf") { id } }')).toEqual({ data: { ticket: null } });
  });

  it("other origins read it where they are named, and never as a wildcard", async () => {
    const from = async (origin: string, accept: string) => {
      const query = accept === "text/event-stream" ? "subscription { events { cursor } }" : "{ __typename }";
      const response = await get(query, { origin, accept, authorization: `Bearer ${acme}` });
      await response.body?.cancel();
      return response.headers.get("access-control-allow-origin");
    };
    for (const accept of ["application/json", "text/event-stream"]) {
      expect(await from("https://app.example.com", accept)).toBe("https://app.example.com");
      expect(await from("https://evil.example.com", accept)).toBeNull();
    }
  });

  it("without a token it is 401, with a JWT in the URL 400", async () => {
    expect((await post({ query: "{ __typename }" }, { as: null })).status).toBe(401);
    for (const path of ["/api/graphql", "/api/graphql/stream"])
      expect((await fetch(`${test.url}${path}?token=${acme}&query={__typename}`)).status).toBe(400);
  });

  it("subscriptions are answered by event streams alone", async () => {
    const response = await post(
      { query: "subscription { events { cursor } }" },
      { headers: { accept: "application/json" } },
    );
    expect(response.status).toBe(406);
    expect(test.hub.stats().totalConnections).toBe(0);
  });

  it("whoever accepts event streams alone is told of errors there (graphql-sse)", async () => {
    const response = await post({ query: "{ nothing }" }, { headers: { accept: "text/event-stream" } });
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toMatch(/^:\n\nevent: next\ndata: \{"errors":\[/);
    expect(text).toMatch(/event: complete\ndata:\n\n$/);
    // What yoga notes for a status that there is none of.
    expect(text).not.toContain('"http"');
  });

  const nested = (depth: number) =>
    `{ tickets { items { ${"...on Ticket { ".repeat(depth)} id ${"}".repeat(depth)} } } }`;
  it.each([
    [
      "11 fields at the top",
      `{ ${Array.from({ length: 11 }, (_, n) => `a${n}: __typename`).join(" ")} }`,
      "too-large",
    ],
    [
      "messages of many tickets",
      "{ tickets(first: 100) { items { messages(last: 100) { text } } } }",
      "too-large",
    ],
    [
      "as many by variables",
      "query ($a: Int = 100, $b: Int = 100) { tickets(first: $a) { items { messages(last: $b) { text } } } }",
      "too-large",
    ],
    [
      "as many by fragments",
      "{ tickets(first: 100) { ...p } } fragment p on TicketPage { items { ...t } } fragment t on Ticket { messages(last: 100) { text } }",
      "too-large",
    ],
    [
      "fragments in circles",
      "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
      "GRAPHQL_VALIDATION_FAILED",
    ],
    ["over 1,000 tokens", nested(400), "GRAPHQL_PARSE_FAILED"],
    [
      "a subscription that may be of nothing",
      "subscription { events @skip(if: true) { cursor } }",
      "invalid-input",
    ],
    [
      "one by fragments",
      "subscription { ...a } fragment a on Subscription { ... @include(if: false) { events { cursor } } }",
      "invalid-input",
    ],
    ["introspection", "{ __schema { types { name } } }", "forbidden"],
    ["a type of the schema", '{ __type(name: "Ticket") { name } }', "forbidden"],
    ["one by a variable", 'query ($n: String = "Ticket") { __type(name: $n) { name } }', "forbidden"],
  ])("%s: refused", async (_, query, code) => {
    const { data, errors } = await ask(query);
    expect([data, errors?.[0]?.extensions?.code]).toEqual([undefined, code]);
  });

  it("what fits is answered: 100 tickets with 10 messages each", async () => {
    const query = `{ tickets(first: 100) { items { id subject status priority requester assignee createdAt updatedAt
      messages(last: 10) { id ticketId author text at } } next } }`;
    expect(await ask(query)).toHaveProperty("data.tickets");
  });

  it("what the client may have meant is not said", async () => {
    for (const query of [
      "{ tickts { next } }",
      "{ tickets(statuss: OPEN) { next } }",
      "{ tickets(status: OPN) { next } }",
    ])
      expect(JSON.stringify(await ask(query))).not.toContain("Did you mean");
  });

  it("batches, and bodies over 64 KiB, are refused", async () => {
    expect((await post([{ query: "{ __typename }" }, { query: "{ __typename }" }])).status).toBe(400);
    expect((await post({ query: `{ __typename } # ${"x".repeat(65_536)}` })).status).toBe(400);
  });

  it("methods other than GET and POST are 405 with Allow", async () => {
    for (const method of ["PUT", "DELETE", "HEAD", "OPTIONS"]) {
      const response = await fetch(`${test.url}/api/graphql/stream`, {
        method,
        headers: { authorization: `Bearer ${acme}` },
      });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "GET, POST"]);
    }
  });
});
