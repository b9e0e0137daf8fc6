import { afterEach, describe, expect, it, vi } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import { MillraceError } from "../../functions/core/errors.ts";
import type { Live, LiveRequest } from "../../functions/ports/live.ts";
import { CLOSE_CODES, type OpenWebSocket } from "../../functions/ports/web-socket.ts";
import { json, startTestApp, type TestApp, token } from "./test-app.ts";

const SSE = { accept: "text/event-stream" };
const UPGRADE = { upgrade: "websocket", connection: "Upgrade" };
/** Each route with what its client asks with. */
const ROUTES = [
  ["/sse", SSE],
  ["/api/metrics", {}],
  ["/stream/dashboard", SSE],
  ["/ws/dashboard", UPGRADE],
] as const;
const STREAMS = [
  ["/sse", "data: "],
  ["/stream/dashboard", "event: dashboard\ndata: "],
] as const;

let test: TestApp | undefined;
const start = async (...options: Parameters<typeof startTestApp>) => {
  test = await startTestApp(...options);
  return test;
};
afterEach(async () => {
  await test?.[Symbol.asyncDispose]();
  test = undefined;
});

/** Accepts every upgrade, and keeps what is sent. */
function acceptingWebSockets() {
  const sent: string[] = [];
  const closed: unknown[][] = [];
  const gone: (() => void)[] = [];
  const openWebSocket: OpenWebSocket = (_request, _headers, onGone) => {
    gone.push(onGone);
    return {
      sink: {
        send: ({ text }) => sent.push(text) > 0,
        onDrain() {},
        close: (...args) => void closed.push(args),
      },
      response: new Response(null, { status: 299 }),
    };
  };
  return { sent, closed, gone, openWebSocket };
}

describe("who may see the counters", () => {
  it.each(ROUTES)("%s: of one's own company, and nothing else", async (path, headers) => {
    const { ask, counters } = await start();
    const status = async (query: string, claims?: Record<string, unknown> | null) => {
      const asked = claims === null ? null : await token(claims);
      const response = await ask(`${path}${query}`, { headers, token: asked });
      return response.status;
    };
    const acme = { companyId: "acme" };
    const both = { companies: ["acme", "globex"] };
    const ops = { roles: ["ops"] };
    expect(await status("?companyId=acme", null)).toBe(401);
    expect(await status("", null)).toBe(401);
    expect(await status("?companyId=globex", acme)).toBe(403);
    expect(await status("?companyId=ACME", acme)).toBe(403);
    expect(await status("?companyId=initech", both)).toBe(403);
    // Without a company it is all of them, whatever the token names.
    expect(await status("", acme)).toBe(403);
    expect(await status("", both)).toBe(403);
    expect(await status("", { ...acme, roles: ["OPS", "op", "ops "] })).toBe(403);
    // Numbers of all companies, but no single company's that the token does not name.
    expect(await status("?companyId=acme", ops)).toBe(403);
    expect(await status("?companyId=globex", { ...acme, ...ops })).toBe(403);
    for (const query of [
      "?companyId=",
      "?companyId=a%20b",
      "?companyId=acme&companyId=acme",
      "?companyId=*",
    ]) {
      expect([query, await status(query, { ...acme, ...ops })]).toEqual([query, 400]);
    }
    expect(await status(`?companyId=acme&token=${await token()}`)).toBe(400);
    expect(counters.stats()).toEqual({ watchers: 0, companies: 0 });
  });

  it.each(ROUTES.slice(0, 3))(
    "%s: shows a company nothing of another, and ops all",
    async (path, headers) => {
      const { ask, open, append } = await start();
      await append("globex", 3, { type: "promo.feed", data: '{"secret":"of globex"}' });
      await append("globex", 2, { type: "globex.only", from: 10 });
      await append("acme", 2, { type: "audit.txn", data: '{"own":1}' });
      const read = async (query: string, claims: Record<string, unknown>) => {
        const init = { headers, token: await token(claims) };
        if (path === "/api/metrics") return (await ask(`${path}${query}`, init)).text();
        const stream = await open(`${path}${query}`, init);
        await stream.until("\n\ndata: ".slice(path === "/sse" ? 0 : 2));
        await stream.until("}\n\n");
        return stream.text();
      };
      const own = await read("?companyId=acme", { companyId: "acme" });
      expect(own).toMatch(/"total":2/);
      expect(own).not.toMatch(/globex|secret|"total":3/);
      const all = await read("", { roles: ["ops"] });
      expect(all).toMatch(/"total":3/);
      expect(all).toMatch(/"total":2/);
      if (path !== "/stream/dashboard") expect(all).toContain('{"companyId":"globex","secret":"of globex"}');
    },
  );

  it("/ws/dashboard: shows a company nothing of another, and ops all", async () => {
    const { sent, openWebSocket } = acceptingWebSockets();
    const { ask, append } = await start({ openWebSocket });
    await append("globex", 2, { type: "globex.only" });
    await append("acme", 1, { type: "audit.txn" });
    expect((await ask("/ws/dashboard?companyId=acme", { headers: UPGRADE })).status).toBe(299);
    await vi.waitUntil(() => sent.length === 1);
    expect(sent[0]).toContain('"companyId":"acme"');
    expect(sent[0]).toContain('"audit.txn":{"total":1,');
    expect(sent[0]).not.toContain("globex");
    await ask("/ws/dashboard", { headers: UPGRADE, token: await token({ roles: ["ops"] }) });
    await vi.waitUntil(() => sent.length === 2);
    expect(sent[1]).toContain('"companyId":null');
    expect(sent[1]).toContain('"globex.only":{"total":2,');
  });

  it("lets everyone see everything where nobody has to say who asks", async () => {
    const { ask } = await start({ authenticator: createNoAuthenticator() });
    for (const query of ["", "?companyId=acme"]) {
      expect((await ask(`/api/metrics${query}`, { token: null })).status).toBe(200);
    }
  });
});

describe("GET /api/metrics", () => {
  it("is JSON that nobody keeps", async () => {
    const { ask, append } = await start();
    await append("acme", 1, { type: "audit.txn", data: '{"amount":12345678901234567890.10}' });
    const response = await ask("/api/metrics?companyId=acme");
    expect(Object.fromEntries(response.headers)).toEqual({
      "content-type": "application/json",
      "cache-control": "no-store",
    });
    const text = await response.text();
    expect(text).toContain('"recent":[{"companyId":"acme","amount":12345678901234567890.10}]');
    expect(JSON.parse(text)).toMatchObject({
      AUDIT_TXN: { total: 1, rate: expect.any(Number) },
      PROMO_FEED: { total: 0, rate: 0, recent: [] },
      CENTRAL_SYNC: { total: 0, rate: 0, recent: [] },
    });
  });

  it("answers while streaming is switched off", async () => {
    const { ask } = await start({ settings: { STREAMING_ENABLED: false } });
    expect((await ask("/api/metrics?companyId=acme")).status).toBe(200);
  });

  it("is 503 with Retry-After when the store is away, and says nothing of it", async () => {
    const poll = () => Promise.reject(new MillraceError("unavailable", "Cannot reach 10.0.0.7"));
    const { ask } = await start({ deps: { live: { poll } as unknown as Live } });
    const response = await ask("/api/metrics?companyId=acme");
    expect([response.status, response.headers.has("retry-after")]).toEqual([503, true]);
    expect(await response.text()).not.toContain("10.0.0.7");
  });
});

describe.each(STREAMS)("GET %s", (path, prefix) => {
  const url = `${path}?companyId=acme`;

  it("begins with retry, then has snapshots without an id", async () => {
    const { open, append } = await start();
    const stream = await open(url, { headers: SSE });
    expect(Object.fromEntries(stream.response.headers)).toEqual({
      "content-type": "text/event-stream",
      "cache-control": "private, no-cache, no-store, no-transform",
      "x-accel-buffering": "no",
    });
    await append("acme", 1, { type: "audit.txn" });
    await stream.until('"total":1');
    await stream.until("}\n\n");
    const frames = stream.text().split("\n\n");
    expect(frames[0]).toBe("retry: 3000");
    for (const frame of frames.slice(1, -1)) {
      expect(frame.startsWith(prefix)).toBe(true);
      expect(JSON.parse(frame.slice(prefix.length))).toBeTypeOf("object");
    }
  });

  it("lets go when the client is gone, also before it watched", async () => {
    const { app, open, counters } = await start({ counters: { lingerMs: 0 } });
    const stream = await open(url);
    expect(counters.stats()).toEqual({ watchers: 1, companies: 1 });
    await stream.close();
    expect(counters.stats()).toEqual({ watchers: 0, companies: 0 });
    const gone = new AbortController();
    gone.abort();
    const headers = { authorization: `Bearer ${await token()}` };
    await app.fetch(new Request(`http://localhost${url}`, { signal: gone.signal, headers }));
    expect(counters.stats()).toEqual({ watchers: 0, companies: 0 });
  });

  it("hands on who asks, and until when: the token's exp, tolerance included", async () => {
    const opened: LiveRequest[] = [];
    const open: Live["open"] = async (_request, wanted) => {
      opened.push(wanted);
      return new Response(null);
    };
    const { ask } = await start({ deps: { live: { open } as unknown as Live } });
    const exp = Math.floor(Date.now() / 1000) + 600;
    await ask(url, { token: await token({ companyId: "acme" }, exp) });
    expect(opened).toMatchObject([
      { scope: "acme", transport: "sse", principal: { expiresAtMs: (exp + 5) * 1_000 } },
    ]);
  });

  it("tells who is sent away when to come back", async () => {
    const { open, counters } = await start();
    const stream = await open(url);
    await stream.until("}\n\n");
    await counters.drain(0);
    await stream.end();
    expect(stream.text()).toMatch(/retry: 3000\n\n[\s\S]*retry: \d+\n\n$/);
  });

  it.each(["HEAD", "POST", "OPTIONS"])("answers %s with 405", async (method) => {
    const { ask, counters } = await start();
    expect((await ask(url, { method })).status).toBe(405);
    expect(counters.stats().watchers).toBe(0);
  });

  it.each([
    ["disabled", { settings: { STREAMING_ENABLED: false } }, 503],
    ["busy", { counters: { maxConnectionsPerCompany: 0 } }, 429],
    ["draining", {}, 503],
  ] as const)("refuses with %s in a stream, or by status", async (reason, options, status) => {
    const { open, ask, counters } = await start(options);
    if (reason === "draining") await counters.drain(0);
    const stream = await open(url, { headers: SSE });
    await stream.end();
    expect(stream.text()).toMatch(new RegExp(`^retry: \\d+\n\nevent: ${reason}\ndata: `));
    const response = await ask(url, { headers: { accept: "application/json" } });
    expect([response.status, response.headers.has("retry-after")]).toEqual([status, true]);
  });

  it("says busy when tokens cannot be checked", async () => {
    const authenticate = () => Promise.reject(new MillraceError("unavailable", "Cannot fetch keys"));
    const { open } = await start({ authenticator: { authenticate } });
    const stream = await open(url, { headers: SSE });
    await stream.end();
    expect(stream.text()).toContain("event: busy\n");
  });

  it("can be read by a page of a named origin, with credentials", async () => {
    const origin = "https://app.example.com";
    const { open } = await start({ settings: { CORS_ORIGINS: [origin] } });
    const { response } = await open(url, { headers: { ...SSE, origin } });
    expect(response.headers.get("access-control-allow-origin")).toBe(origin);
  });
});

describe("GET /ws/dashboard", () => {
  const url = "/ws/dashboard?companyId=acme";

  it("is 426 for who does not ask for a WebSocket, and 405 for another method", async () => {
    const { ask } = await start();
    const plain = await ask(url);
    expect([plain.status, plain.headers.get("upgrade")]).toEqual([426, "websocket"]);
    expect((await json(plain)).error).toBe("Upgrade Required");
    expect((await ask(url, { headers: { upgrade: "h2c" } })).status).toBe(426);
    expect((await ask(url, { method: "POST", headers: UPGRADE })).status).toBe(405);
  });

  it.each([
    [undefined, 299],
    ["http://localhost", 299],
    ["https://app.example.com", 299],
    ["https://app.example.com.evil.com", 403],
    ["https://evil.example.com", 403],
    ["http://localhost:8080", 403],
    ["null", 403],
    ["", 403],
    ["*", 403],
    ["localhost", 403],
  ])("lets a page of origin %s in with %s", async (origin, status) => {
    const { openWebSocket } = acceptingWebSockets();
    const settings = { CORS_ORIGINS: ["https://app.example.com"] };
    const { ask, counters } = await start({ openWebSocket, settings });
    const headers = { ...UPGRADE, host: "localhost", ...(origin === undefined ? {} : { origin }) };
    expect((await ask(url, { headers })).status).toBe(status);
    expect(counters.stats().watchers).toBe(status === 299 ? 1 : 0);
  });

  it("checks the origin also where nobody has to say who asks", async () => {
    const { ask } = await start({ authenticator: createNoAuthenticator() });
    const headers = { ...UPGRADE, host: "127.0.0.1:8787", origin: "https://evil.example.com" };
    const response = await ask("/ws/dashboard", { headers, token: null });
    expect(response.status).toBe(403);
    expect((await json(response)).message).toContain("CORS_ORIGINS");
  });

  it.each([
    ["disabled", { settings: { STREAMING_ENABLED: false } }, 503],
    ["busy", { counters: { maxConnectionsPerCompany: 0 } }, 429],
    ["draining", {}, 503],
  ] as const)("refuses with %s by status, with Retry-After", async (reason, options, status) => {
    const { ask, counters } = await start(options);
    if (reason === "draining") await counters.drain(0);
    const response = await ask(url, { headers: UPGRADE });
    expect([response.status, response.headers.has("retry-after")]).toEqual([status, true]);
  });

  it("leaves when the peer is gone, also before it watched", async () => {
    const { gone, openWebSocket } = acceptingWebSockets();
    const { ask, counters } = await start({ openWebSocket });
    await ask(url, { headers: UPGRADE });
    expect(counters.stats().watchers).toBe(1);
    gone[0]!();
    expect(counters.stats().watchers).toBe(0);
  });

  it("says by the close code why it ends", async () => {
    const { closed, openWebSocket } = acceptingWebSockets();
    const { ask, counters } = await start({ openWebSocket });
    await ask(url, { headers: UPGRADE });
    await counters.drain(0);
    expect(closed).toEqual([[CLOSE_CODES.goingAway, expect.stringContaining("connect again")]]);
    for (const code of Object.values(CLOSE_CODES)) {
      // What an endpoint may send (RFC 6455 section 7.4, and the registry it names).
      expect(code === 1001 || code === 1013 || (code >= 4000 && code < 5000)).toBe(true);
    }
  });
});
