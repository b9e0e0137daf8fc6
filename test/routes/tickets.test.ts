import { describe, expect, it } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import { json, startTestApp, type TestApp, token } from "./test-app.ts";

const PATH = "/stream/updates?companyId=acme";
const LATER = { companyId: "acme", sub: "alice" };

async function getTicket(app: TestApp, given?: string): Promise<string> {
  const response = await app.ask("/stream/tickets", { method: "POST", ...(given ? { token: given } : {}) });
  expect(response.status).toBe(200);
  return (await json(response)).ticket as string;
}
const withTicket = (ticket: string) => `${PATH}&ticket=${ticket}`;
/** As a browser sends it back. */
const cookieOf = (response: Response) => response.headers.get("set-cookie")?.split(";")[0] ?? "";

describe("POST /stream/tickets", () => {
  it("gives a ticket that no cache keeps, to who brings a good token in the header", async () => {
    await using app = await startTestApp();
    const response = await app.ask("/stream/tickets", { method: "POST" });
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await json(response)).toEqual({ ticket: expect.stringMatching(/^[\w-]{48}$/), expiresIn: 30 });
    for (const init of [{ token: null }, { token: "a.b.c" }, { token: await token(LATER, 1) }]) {
      const refused = await app.ask("/stream/tickets", { method: "POST", ...init });
      expect([refused.status, refused.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
    }
    expect((await app.ask("/stream/tickets")).status).toBe(405);
  });

  it("gives none for a cookie: another site's page could have sent it", async () => {
    await using app = await startTestApp();
    const stream = await app.open(withTicket(await getTicket(app)), { token: null });
    const cookie = cookieOf(stream.response);
    const init = { method: "POST", token: null, headers: { cookie } };
    expect((await app.ask("/stream/tickets", init)).status).toBe(401);
  });

  it("gives none for a token that no cookie can hold, and says so", async () => {
    await using app = await startTestApp();
    const long = await token({ companyId: "acme", padding: "x".repeat(4_000) });
    const response = await app.ask("/stream/tickets", { method: "POST", token: long });
    expect(response.status).toBe(400);
    expect((await json(response)).message).toMatch(
      /^Cannot make a ticket for a token of \d+ characters: .*4096 bytes, expected a shorter one$/,
    );
  });

  it("gives a subject no more than thirty a minute, and others theirs", async () => {
    await using app = await startTestApp();
    const alice = await token({ companyId: "acme", sub: "alice" });
    for (let n = 0; n < 30; n++) await getTicket(app, alice);
    // Whichever token of hers.
    const again = await token({ companyId: "acme", sub: "alice", jti: "2" });
    const response = await app.ask("/stream/tickets", { method: "POST", token: again });
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(Number(response.headers.get("retry-after"))).toBeLessThanOrEqual(60);
    await getTicket(app, await token({ companyId: "acme", sub: "bob" }));
    await getTicket(app);
  });
});

describe("a ticket in the URL of a stream", () => {
  it("lets in once, and leaves a cookie that lets the browser's own reconnect in", async () => {
    await using app = await startTestApp();
    await app.append("acme", 1);
    const ticket = await getTicket(app);
    const stream = await app.open(withTicket(ticket), { token: null });
    expect(stream.response.status).toBe(200);
    await stream.until("id: ");
    const set = stream.response.headers.get("set-cookie")!;
    expect(set).toMatch(/^millrace=[\w.-]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/);
    const maxAge = Number(/Max-Age=(\d+)/.exec(set)![1]);
    expect(maxAge).toBeGreaterThan(280);
    expect(maxAge).toBeLessThanOrEqual(305);
    await stream.close();

    // The ticket alone.
    const alone = await app.ask(withTicket(ticket), { token: null });
    expect(alone.status).toBe(401);
    // What EventSource does by itself: the same URL, the cookie, the cursor.
    const again = await app.open(withTicket(ticket), {
      token: null,
      headers: { cookie: cookieOf(stream.response) },
    });
    expect(again.response.status).toBe(200);
    await again.until("id: ");
    expect(again.response.headers.has("set-cookie")).toBe(false);
    // The cookie is good for what is only read, and for its companies alone.
    const headers = { cookie: cookieOf(stream.response) };
    expect((await app.ask("/stream/history?companyId=acme", { token: null, headers })).status).toBe(200);
    expect((await app.ask("/stream/history?companyId=globex", { token: null, headers })).status).toBe(403);
  });

  it("gives no more than its token: other companies stay closed", async () => {
    await using app = await startTestApp();
    const ticket = await getTicket(app);
    const path = `/stream/updates?companyId=globex&ticket=${ticket}`;
    expect((await app.ask(path, { token: null })).status).toBe(403);
    // It is used all the same.
    expect((await app.ask(withTicket(ticket), { token: null })).status).toBe(401);
  });

  it("is not looked at where the header names somebody, or where no stream is asked for", async () => {
    await using app = await startTestApp();
    const ticket = await getTicket(app, await token(LATER));
    expect((await app.ask(withTicket(ticket), { token: "a.b.c" })).status).toBe(401);
    const globex = await token({ companyId: "globex" });
    expect((await app.ask(withTicket(ticket), { token: globex })).status).toBe(403);
    const history = await app.ask(`/stream/history?companyId=acme&ticket=${ticket}`, { token: null });
    expect(history.status).toBe(401);
    const stream = await app.open(withTicket(ticket), { token: null });
    expect(stream.response.status).toBe(200);
  });

  it("wins over a cookie: whoever signs in anew is who asked for the ticket", async () => {
    await using app = await startTestApp();
    const old = await app.open(withTicket(await getTicket(app)), { token: null });
    const ticket = await getTicket(app, await token({ companyId: "globex" }));
    const headers = { cookie: cookieOf(old.response) };
    const path = `/stream/updates?companyId=globex&ticket=${ticket}`;
    expect((await app.open(path, { token: null, headers })).response.status).toBe(200);
  });

  it("of two requests at the same time lets one in", async () => {
    await using app = await startTestApp();
    for (let round = 0; round < 10; round++) {
      const ticket = await getTicket(app, await token({ companyId: "acme", sub: `s-${round}` }));
      const streams = await Promise.all([1, 2, 3].map(() => app.open(withTicket(ticket), { token: null })));
      expect(streams.map(({ response }) => response.status).sort()).toEqual([200, 401, 401]);
    }
  });

  it.each(["", "x", "A".repeat(48), "%00", "../../etc", `${"A".repeat(5_000)}`])(
    "is refused when it is none: %s",
    async (ticket) => {
      await using app = await startTestApp();
      expect((await app.ask(withTicket(ticket), { token: null })).status).toBe(401);
    },
  );

  it("is refused twice over, and when it is a token: URLs are logged", async () => {
    await using app = await startTestApp();
    const ticket = await getTicket(app);
    expect((await app.ask(`${withTicket(ticket)}&ticket=${ticket}`, { token: null })).status).toBe(400);
    const response = await app.ask(withTicket(await token()), { token: null });
    expect(response.status).toBe(400);
    expect((await json(response)).message).toMatch(/URL parameter "ticket": URLs are logged/);
  });

  it("stays good when nobody can be let in at the moment", async () => {
    let isAway = true;
    const { createJwtAuthenticator } = await import("../../functions/adapters/authenticator-jwt.ts");
    const { MillraceError } = await import("../../functions/core/errors.ts");
    const real = createJwtAuthenticator({ secret: "a secret of the tests, of 32 characters or more" });
    await using app = await startTestApp({
      authenticator: {
        async authenticate(given) {
          if (isAway) throw new MillraceError("unavailable", "Cannot fetch the keys of JWKS_URL");
          return real.authenticate(given);
        },
      },
    });
    isAway = false;
    const ticket = await getTicket(app);
    isAway = true;
    const refused = await app.open(withTicket(ticket), { token: null });
    await refused.until("event: busy");
    isAway = false;
    expect((await app.open(withTicket(ticket), { token: null })).response.status).toBe(200);
  });

  it("is to be had, and leaves no cookie, where nobody is asked for a token", async () => {
    await using app = await startTestApp({ authenticator: createNoAuthenticator() });
    const response = await app.ask("/stream/tickets", { method: "POST", token: null });
    const { ticket } = (await json(response)) as { ticket: string };
    for (let time = 0; time < 2; time++) {
      const stream = await app.open(withTicket(ticket), { token: null });
      expect([stream.response.status, stream.response.headers.has("set-cookie")]).toEqual([200, false]);
    }
  });

  it("leaves its cookie with a refusal that will pass too", async () => {
    await using app = await startTestApp({ settings: { STREAMING_ENABLED: false } });
    const ticket = await getTicket(app);
    const refused = await app.open(withTicket(ticket), { token: null });
    await refused.until("event: disabled");
    const again = await app.open(withTicket(ticket), {
      token: null,
      headers: { cookie: cookieOf(refused.response) },
    });
    await again.until("event: disabled");
  });

  it("is never logged, and neither is the token", async () => {
    await using app = await startTestApp();
    const given = await token();
    const ticket = await getTicket(app, given);
    await app.open(withTicket(ticket), { token: null });
    await app.ask(withTicket(ticket), { token: null });
    const lines = JSON.stringify(app.logged());
    expect(lines).not.toContain(ticket);
    expect(lines).not.toContain(given);
  });
});
