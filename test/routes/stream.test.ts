import { afterEach, describe, expect, it, vi } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import { openWebStream } from "../../functions/adapters/event-stream-web.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Live, LiveRequest } from "../../functions/ports/live.ts";
import { json, startTestApp, type TestApp, token } from "./test-app.ts";

const URL_ACME = "/stream/updates?companyId=acme";
const SSE = { headers: { accept: "text/event-stream" } };
const JSON_ONLY = { headers: { accept: "application/json" } };

let test: TestApp | undefined;
const start = async (...options: Parameters<typeof startTestApp>) => {
  test = await startTestApp(...options);
  return test;
};
afterEach(async () => {
  await test?.[Symbol.asyncDispose]();
  test = undefined;
});

describe("GET /stream/updates", () => {
  it("answers with the headers of PROTOCOL.md and no others", async () => {
    const { open } = await start();
    const { response } = await open(URL_ACME, SSE);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toEqual({
      "content-type": "text/event-stream",
      "cache-control": "private, no-cache, no-store, no-transform",
      "x-accel-buffering": "no",
    });
  });

  it("carries live events of the company and of no other", async () => {
    const { open, append } = await start();
    const stream = await open(URL_ACME, SSE);
    await stream.until("retry: 3000\n\n");
    await append("globex", 1, { data: '{"secret":1}' });
    const [cursor] = await append("acme", 1, { data: '{"value":12345678901234567890}' });
    await stream.until(
      `event: metric_updated\nid: ${cursor}\ndata: {"companyId":"acme","value":12345678901234567890}\n\n`,
    );
    expect(stream.text()).not.toContain("globex");
  });

  it("misses nothing that is published once its headers are there", async () => {
    const { open, append } = await start();
    for (let round = 0; round < 5; round++) {
      const stream = await open(URL_ACME);
      const [cursor] = await append("acme", 1, { from: round });
      await stream.until(`id: ${cursor}\ndata:`);
    }
  });

  it("resumes after Last-Event-ID, which wins over lastEventId", async () => {
    const { open, append } = await start();
    const [first, second, third] = await append("acme", 3);
    const fromQuery = await open(`${URL_ACME}&lastEventId=${second}`);
    await fromQuery.until(`id: ${third}\ndata:`);
    expect(fromQuery.text()).not.toContain(`id: ${second}`);
    const fromHeader = await open(`${URL_ACME}&lastEventId=${second}`, {
      headers: { "last-event-id": first! },
    });
    await fromHeader.until(`id: ${second}\ndata:`);
    const none = await open(`${URL_ACME}&lastEventId=${second}`, { headers: { "last-event-id": "" } });
    await none.until(`id: ${third}\ndata:`);
    expect(none.text()).not.toContain(`id: ${second}`);
  });

  it("filters by types and gives whole CloudEvents", async () => {
    const { open, append } = await start();
    const stream = await open(`${URL_ACME}&types=wanted,also&format=cloudevents&overflow=drop-oldest`);
    await stream.until("retry:");
    await append("acme", 1, { type: "other" });
    await append("acme", 1, { type: "wanted", from: 1 });
    await stream.until('"type":"wanted","source":"/test"');
    expect(stream.text()).not.toContain("event: other");
  });

  it("lets go of the hub when the client is gone", async () => {
    const { open, hub } = await start();
    const stream = await open(URL_ACME);
    await stream.until("retry:");
    expect(hub.stats().totalConnections).toBe(1);
    await stream.close();
    expect(hub.stats().totalConnections).toBe(0);
  });

  it("leaves at once when the client was gone before it joined", async () => {
    const { app, hub } = await start();
    const gone = new AbortController();
    gone.abort();
    const request = new Request(`http://localhost${URL_ACME}`, {
      signal: gone.signal,
      headers: { authorization: `Bearer ${await token()}` },
    });
    await app.fetch(request);
    expect(hub.stats().totalConnections).toBe(0);
  });

  it("hands on who asks, and until when: the token's exp, tolerance included", async () => {
    const opened: LiveRequest[] = [];
    const live: Live = {
      open: async (_request, wanted) => {
        opened.push(wanted);
        return new Response(null);
      },
      follow: vi.fn(),
      poll: vi.fn(),
      stats: vi.fn(),
    };
    const { ask } = await start({ deps: { live } });
    const exp = Math.floor(Date.now() / 1000) + 600;
    await ask(`${URL_ACME}&types=a`, { token: await token({ companyId: "acme" }, exp) });
    expect(opened).toEqual([
      {
        ...{ kind: "updates", transport: "sse", company: "acme", types: ["a"], after: undefined },
        ...{ format: "data", overflow: "catch-up", maxConnections: undefined },
        principal: {
          ...{ subject: undefined, companies: ["acme"], roles: [], issuedAtMs: 0 },
          expiresAtMs: (exp + 5) * 1_000,
        },
      },
    ]);
  });

  it.each([
    ["no company", "/stream/updates", "companyId: missing"],
    ["an empty company", "/stream/updates?companyId=", 'companyId ""'],
    ["two companies", `${URL_ACME}&companyId=globex`, "companyId: given 2 times"],
    ["a control character", "/stream/updates?companyId=acme%0d%0ax", 'companyId "acme\\r\\nx"'],
    ["a broken escape", "/stream/updates?companyId=%zz", 'companyId "%zz"'],
    [
      "a company too long",
      `/stream/updates?companyId=${"x".repeat(5_000)}`,
      `companyId "${"x".repeat(80)}…"`,
    ],
    ["a bad type", `${URL_ACME}&types=good,Bad`, 'types "Bad"'],
    ["an empty type", `${URL_ACME}&types=`, 'types ""'],
    ["too many types", `${URL_ACME}&types=${"a,".repeat(32)}a`, "at most 32"],
    ["a bad cursor", `${URL_ACME}&lastEventId=nonsense`, 'lastEventId "nonsense"'],
    ["a bad format", `${URL_ACME}&format=xml`, 'format "xml": expected data or cloudevents'],
    ["a bad overflow", `${URL_ACME}&overflow=x`, 'overflow "x": expected catch-up or drop-oldest'],
  ])("refuses %s with 400 that names parameter and value", async (_name, path, message) => {
    const { ask } = await start();
    const response = await ask(path, SSE);
    expect(response.status).toBe(400);
    expect(await json(response)).toEqual({ error: "Bad Request", message: expect.stringContaining(message) });
  });

  it("refuses a bad cursor in the header with 400, also beside a good one in the query", async () => {
    const { ask } = await start();
    const headers = { "last-event-id": "abc.1-1\u00e9" };
    const response = await ask(`${URL_ACME}&lastEventId=abc.1-1`, { headers });
    expect(response.status).toBe(400);
    expect((await json(response)).message).toContain("Last-Event-ID");
  });

  it("refuses who does not say who asks with 401, before it looks at anything else", async () => {
    const { ask } = await start();
    const response = await ask("/stream/updates?companyId=a%20b", { token: null });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toBe("Bearer");
    expect((await json(response)).error).toBe("Unauthorized");
  });

  it.each([{ companyId: "globex" }, { companies: ["globex", "initech"] }, { roles: ["ops"] }])(
    "refuses %j another company's stream with 403",
    async (claims) => {
      const { ask, hub } = await start();
      const response = await ask(URL_ACME, { token: await token(claims) });
      expect(response.status).toBe(403);
      expect(await response.text()).toBe(
        '{"error":"Forbidden","message":"You can only stream events for your own company"}',
      );
      expect(hub.stats().totalConnections).toBe(0);
    },
  );

  it.each(["token", "access_token", "ticket", "companyId", "anything"])(
    "refuses a JWT in the parameter %s with 400 that does not repeat it",
    async (name) => {
      const { ask } = await start();
      const jwt = await token();
      for (const value of [jwt, `Bearer%20${jwt}`, `${jwt.split(".").slice(0, 2).join(".")}.`]) {
        const response = await ask(`${URL_ACME}&${name}=${value}`, { token: null });
        const text = await response.text();
        expect([response.status, text.includes(value)]).toEqual([400, false]);
        expect(text).toContain("URLs are logged");
      }
    },
  );

  it("takes a company and types that only look a little like a JWT", async () => {
    const { ask } = await start({ authenticator: createNoAuthenticator() });
    const response = await ask("/stream/updates?companyId=eyJ.a.b&types=a.b.c", { token: null });
    expect(response.status).toBe(200);
    await response.body!.cancel();
  });

  it.each(["HEAD", "POST", "PUT", "DELETE", "OPTIONS"])(
    "answers %s with 405 and Allow: GET",
    async (method) => {
      const { ask, hub } = await start();
      const response = await ask(URL_ACME, { method });
      expect([response.status, response.headers.get("allow")]).toEqual([405, "GET"]);
      expect(hub.stats().totalConnections).toBe(0);
    },
  );

  it("answers 500 and says nothing of the reason when something breaks", async () => {
    const openEventStream = () => {
      throw undefined;
    };
    const { ask, logged } = await start({ openEventStream });
    const response = await ask(`${URL_ACME}&note=private`);
    expect([response.status, await response.text()]).toEqual([500, '{"error":"Internal"}']);
    const line = logged().find(({ level }) => level === "error");
    expect(line?.fields).toMatchObject({ path: "/stream/updates", reason: "undefined" });
    expect(JSON.stringify(line)).not.toContain("private");
  });
});

describe("a refusal that will pass", () => {
  const REFUSING = {
    disabled: [{ settings: { STREAMING_ENABLED: false } }, 503],
    busy: [{ hub: { maxConnectionsPerCompany: 0 } }, 429],
    draining: [{}, 503],
  } as const;
  const refusing = async (reason: keyof typeof REFUSING) => {
    const app = await start(REFUSING[reason][0]);
    if (reason === "draining") await app.hub.drain(0);
    return app;
  };
  const REASONS = Object.keys(REFUSING) as (keyof typeof REFUSING)[];

  it.each(REASONS)("%s: is a stream with retry, one event and the end", async (reason) => {
    const { open } = await refusing(reason);
    for (const accept of ["text/event-stream", "*/*", "application/json, text/*;q=0.5", undefined]) {
      const stream = await open(URL_ACME, accept ? { headers: { accept } } : {});
      await stream.end();
      expect([stream.response.status, stream.response.headers.get("content-type")]).toEqual([
        200,
        "text/event-stream",
      ]);
      const text = new RegExp(
        `^retry: (\\d+)\\n\\nevent: ${reason}\\ndata: \\{"reason":"${reason}","message":"[^"]+"\\}\\n\\n$`,
      ).exec(stream.text());
      expect(Number(text?.[1])).toBeGreaterThanOrEqual(2_500);
    }
  });

  it.each(REASONS)("%s: is a status with Retry-After for who reads no event streams", async (reason) => {
    const { ask } = await refusing(reason);
    for (const accept of ["application/json", "text/event-stream;q=0, */*"]) {
      const response = await ask(URL_ACME, { headers: { accept } });
      expect(response.status).toBe(REFUSING[reason][1]);
      expect(response.headers.get("retry-after")).toMatch(/^[3-8]$/);
      expect(await json(response)).toEqual({ error: expect.any(String), message: expect.any(String) });
    }
  });

  it("comes after the refusals that will not pass", async () => {
    const { ask } = await refusing("disabled");
    expect((await ask(URL_ACME, { token: null })).status).toBe(401);
    expect((await ask("/stream/updates?companyId=globex")).status).toBe(403);
    expect((await ask(`${URL_ACME}&types=Bad`)).status).toBe(400);
  });

  it("is a stream also when only the live side refuses", async () => {
    const live: Live = { open: async () => "busy", follow: vi.fn(), poll: vi.fn(), stats: vi.fn() };
    const { open } = await start({ deps: { live } });
    const stream = await open(URL_ACME);
    await stream.end();
    expect(stream.text()).toContain("event: busy\n");
  });

  it("is what a browser hears when where it is served cannot be reached, with the cookie of its ticket", async () => {
    const open = () => Promise.reject(new MillraceError("unavailable", "Cannot reach 10.0.0.7"));
    const app = await start({ deps: { live: { open } as unknown as Live } });
    const { ticket } = await json(await app.ask("/stream/tickets", { method: "POST" }));
    const stream = await app.open(`${URL_ACME}&ticket=${ticket}`, { ...SSE, token: null });
    await stream.end();
    expect([stream.response.status, stream.text().includes("event: busy\n")]).toEqual([200, true]);
    expect(stream.response.headers.get("set-cookie")).toContain("HttpOnly");
    expect(stream.text()).not.toContain("10.0.0.7");
  });

  it("is what a browser hears when tokens cannot be checked", async () => {
    const authenticate = () =>
      Promise.reject(new MillraceError("unavailable", "Cannot fetch keys of 10.0.0.7"));
    const { open, ask, logged } = await start({ authenticator: { authenticate } });
    const stream = await open(URL_ACME, SSE);
    await stream.end();
    expect(stream.text()).toContain("event: busy\n");
    const response = await ask(URL_ACME, JSON_ONLY);
    expect([response.status, response.headers.has("retry-after")]).toEqual([503, true]);
    expect(stream.text() + (await response.text())).not.toContain("10.0.0.7");
    expect(logged().some(({ fields }) => String(fields.reason).includes("10.0.0.7"))).toBe(true);
  });
});

describe("CORS", () => {
  const ORIGIN = "https://app.example.com";
  const allowed = { settings: { CORS_ORIGINS: [ORIGIN, "https://other.example.com"] } };
  const cors = (response: Response) =>
    Object.fromEntries(
      [...response.headers]
        .filter(([name]) => /^(access-control|vary)/.test(name))
        // What else it varies by is the route's.
        .map(([name, value]) => [name, name === "vary" ? value.split(", ")[0]! : value]),
    );
  const GRANTED = {
    vary: "Origin",
    "access-control-allow-origin": ORIGIN,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "Retry-After",
  };

  it.each([
    ["the stream", URL_ACME, 200],
    ["the history", "/stream/history?companyId=acme", 200],
    ["a bad request", "/stream/updates", 400],
    ["another company", "/stream/updates?companyId=globex", 403],
    ["an unknown route", "/nothing", 404],
  ])("lets a named origin read %s, with credentials", async (_name, path, status) => {
    const { open } = await start(allowed);
    const { response } = await open(path, { headers: { origin: ORIGIN } });
    expect([response.status, cors(response)]).toEqual([status, GRANTED]);
  });

  it.each([undefined, "https://evil.example.com", "https://app.example.com.evil.com", "null", "*"])(
    "gives the origin %s nothing",
    async (origin) => {
      const { open } = await start(allowed);
      for (const path of [URL_ACME, "/stream/history?companyId=acme", "/nothing"]) {
        const { response } = await open(path, origin ? { headers: { origin } } : {});
        expect(cors(response)).toEqual({ vary: "Origin" });
      }
    },
  );

  it("sets no header where no origin was named", async () => {
    const { open } = await start();
    const { response } = await open(URL_ACME, { headers: { origin: ORIGIN } });
    expect(cors(response)).toEqual({});
  });

  it("answers the preflight for Authorization and Last-Event-ID, without a token", async () => {
    const { ask } = await start(allowed);
    const preflight = (origin: string) =>
      ask(URL_ACME, {
        method: "OPTIONS",
        token: null,
        headers: {
          origin,
          "access-control-request-method": "GET",
          "access-control-request-headers": "authorization,last-event-id",
        },
      });
    const response = await preflight(ORIGIN);
    expect(response.status).toBe(204);
    expect(cors(response)).toEqual({
      ...GRANTED,
      "access-control-allow-methods": "GET, POST, PUT",
      "access-control-allow-headers": "Authorization, Content-Type, Last-Event-ID",
      "access-control-max-age": "7200",
    });
    const refused = await preflight("https://evil.example.com");
    expect([refused.status, cors(refused)]).toEqual([405, { vary: "Origin" }]);
  });
});

describe("openEventStream", () => {
  it("is given the request and the runtime's bindings", async () => {
    const seen: unknown[] = [];
    const { app } = await start({
      openEventStream: (request, headers, onGone) => {
        seen.push(request.env);
        return openWebStream(request, headers, onGone);
      },
    });
    const env = { incoming: 1 };
    const response = await app.request(
      URL_ACME,
      { headers: { authorization: `Bearer ${await token()}` } },
      env,
    );
    await response.body!.cancel();
    expect(seen).toEqual([env]);
  });
});
