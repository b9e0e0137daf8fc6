import { describe, expect, it } from "vitest";
import { createNoAuthenticator } from "../../functions/adapters/authenticator-none.ts";
import type { AccessRules } from "../../functions/ports/access-rules.ts";
import { json, startTestApp, type TestApp, token } from "./test-app.ts";

const now = () => Math.floor(Date.now() / 1000);
const OPS = { roles: ["ops"], sub: "operator" };
const JSON_BODY = { "content-type": "application/json" };
const FEATURES = "/admin/companies/acme/features";
const streamOf = (company: string) => `/stream/updates?companyId=${company}`;

const change = async (app: TestApp, method: string, path: string, body: unknown, given?: string | null) =>
  app.ask(path, {
    method,
    token: given === undefined ? await token(OPS) : given,
    headers: JSON_BODY,
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
const revoke = (app: TestApp, body: unknown) => change(app, "POST", "/admin/revocations", body);

describe("the routes of /admin", () => {
  it("need the role ops, in the header", async () => {
    await using app = await startTestApp();
    const ops = await token(OPS);
    const asks = (given: string | null, more: Record<string, string> = {}) => {
      const headers = { ...JSON_BODY, ...more };
      return [
        app.ask(FEATURES, { token: given, headers }),
        app.ask(FEATURES, { method: "PUT", token: given, headers, body: "{}" }),
        app.ask("/admin/revocations", { method: "POST", token: given, headers, body: '{"subject":"x"}' }),
      ];
    };
    const statuses = async (answers: Promise<Response>[]) =>
      (await Promise.all(answers)).map(({ status }) => status);
    expect(await statuses(asks(null))).toEqual([401, 401, 401]);
    expect(await statuses(asks(null, { cookie: `millrace=${ops}` }))).toEqual([401, 401, 401]);
    expect(await statuses(asks(await token({ companyId: "acme", roles: ["admin"] })))).toEqual([
      403, 403, 403,
    ]);
    expect(await statuses(asks(ops))).toEqual([200, 200, 200]);
    expect((await app.ask(FEATURES, { method: "DELETE", token: ops })).status).toBe(405);
  });

  it("refuse what they cannot take", async () => {
    await using app = await startTestApp();
    const bodies: Record<string, unknown[]> = {
      [FEATURES]: [
        ...["", "{", "[]", "null"],
        ...[{ streaming: "no" }, { streaming: null }, { maxConnections: -1 }, { maxConnections: 1.5 }],
        ...[{ maxConnections: "3" }, { streaming: true, more: 1 }, { padding: "x".repeat(5_000) }],
      ],
      "/admin/revocations": [
        ...["", "[]", {}, { subject: "" }, { subject: 1 }, { subject: "x".repeat(257) }],
        ...[{ companyId: "a b" }, { companyId: "acme", subject: "alice" }, { subject: "alice", more: 1 }],
      ],
    };
    for (const [path, those] of Object.entries(bodies)) {
      for (const body of those) {
        const response = await change(app, path === FEATURES ? "PUT" : "POST", path, body);
        expect([path, body, response.status]).toEqual([path, body, 400]);
        expect((await json(response)).message).toMatch(/^Cannot read the body: .+, expected .+$/);
      }
    }
    expect(await app.rules.read()).toEqual([]);
    expect((await change(app, "PUT", "/admin/companies/a%20b/features", {})).status).toBe(400);
  });
});

it("takes no body that another site's page could send unasked, where nobody has to say who asks", async () => {
  await using app = await startTestApp({ authenticator: createNoAuthenticator() });
  for (const type of [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/jsonx",
    "",
  ]) {
    const init = {
      method: "POST",
      token: null,
      headers: { "content-type": type },
      body: '{"companyId":"acme"}',
    };
    expect([type, (await app.ask("/admin/revocations", init)).status]).toEqual([type, 400]);
  }
  expect(await app.rules.read()).toEqual([]);
  const headers = { "content-type": "application/json; charset=utf-8" };
  const init = { method: "PUT", token: null, headers, body: '{"streaming":false}' };
  expect((await app.ask(FEATURES, init)).status).toBe(200);
});

describe("PUT /admin/companies/:id/features", () => {
  it("changes what it names and leaves the rest; GET says what holds", async () => {
    await using app = await startTestApp();
    const get = async () => json(await app.ask(FEATURES, { token: await token(OPS) }));
    expect(await get()).toEqual({ companyId: "acme", streaming: true, maxConnections: null });
    const steps = [
      [{ maxConnections: 3 }, { streaming: true, maxConnections: 3 }],
      [{ streaming: false }, { streaming: false, maxConnections: 3 }],
      [{}, { streaming: false, maxConnections: 3 }],
      [
        { maxConnections: null, streaming: true },
        { streaming: true, maxConnections: null },
      ],
    ] as const;
    for (const [body, then] of steps) {
      const response = await change(app, "PUT", FEATURES, body);
      expect([response.status, response.headers.get("cache-control")]).toEqual([200, "no-store"]);
      expect(await json(response)).toEqual({ companyId: "acme", ...then });
      expect(await get()).toEqual({ companyId: "acme", ...then });
    }
  });

  it("streaming false ends the company's open streams as a refusal does, refuses new ones, and no other company's", async () => {
    await using app = await startTestApp();
    const paths = ["/stream/updates", "/stream/dashboard", "/sse"].map((path) => `${path}?companyId=acme`);
    const streams = await Promise.all(paths.map((path) => app.open(path)));
    const globex = await token({ companyId: "globex" });
    const other = await app.open(streamOf("globex"), { token: globex });
    const ops = await app.open("/stream/dashboard", { token: await token(OPS) });
    await Promise.all([...streams, other].map((stream) => stream.until("retry: ")));
    await change(app, "PUT", FEATURES, { streaming: false });
    for (const stream of streams) {
      await stream.end();
      expect(stream.text()).toMatch(/retry: \d+\n\nevent: disabled\ndata: \{"reason":"disabled",/);
    }
    for (const path of paths) await (await app.open(path)).until("event: disabled");
    const accept = { accept: "application/json" };
    expect((await app.ask(streamOf("acme"), { headers: accept })).status).toBe(503);
    expect((await app.ask("/stream/history?companyId=acme")).status).toBe(503);
    await app.append("globex", 1);
    await other.until("event: metric_updated");
    await ops.until("metric_updated");

    await change(app, "PUT", FEATURES, { streaming: true });
    const again = await app.open(streamOf("acme"));
    await app.append("acme", 1);
    await again.until("event: metric_updated");
  });

  it("maxConnections bounds the company's streams on an instance, and no other company's", async () => {
    await using app = await startTestApp();
    await change(app, "PUT", FEATURES, { maxConnections: 2 });
    const [first, second, third] = [
      await app.open(streamOf("acme")),
      await app.open(streamOf("acme")),
      await app.open(streamOf("acme")),
    ];
    await third.until("event: busy");
    expect([first.text(), second.text()].join()).not.toContain("busy");
    const globex = await token({ companyId: "globex" });
    for (let n = 0; n < 3; n++)
      await (await app.open(streamOf("globex"), { token: globex })).until("retry: ");
    await first.close();
    await app.append("acme", 1);
    await (await app.open(streamOf("acme"))).until("id: ");
    await change(app, "PUT", FEATURES, { maxConnections: null });
    for (let n = 0; n < 3; n++) await (await app.open(streamOf("acme"))).until("id: ");
  });

  it("maxConnections bounds the company's snapshot streams too, and not the views over all companies", async () => {
    await using app = await startTestApp();
    await change(app, "PUT", FEATURES, { maxConnections: 1 });
    const dashboard = await app.open("/stream/dashboard?companyId=acme");
    await dashboard.until("retry: ");
    const [feed, globex, ops] = [
      await app.open("/sse?companyId=acme"),
      await app.open("/sse?companyId=globex", { token: await token({ companyId: "globex" }) }),
      await app.open("/stream/dashboard", { token: await token(OPS) }),
    ];
    await feed.until("event: busy");
    for (const stream of [globex, ops]) await stream.until("retry: ");
    expect([dashboard.text(), globex.text(), ops.text()].join()).not.toContain("busy");
  });
});

it("PUT /admin/companies/:id/features leaves what another one changes at the same time", async () => {
  await using app = await startTestApp();
  for (let round = 0; round < 10; round++) {
    await change(app, "PUT", FEATURES, { streaming: true, maxConnections: null });
    await Promise.all([
      change(app, "PUT", FEATURES, { streaming: false }),
      change(app, "PUT", FEATURES, { maxConnections: 5 }),
    ]);
    const now = await json(await app.ask(FEATURES, { token: await token(OPS) }));
    expect(now).toEqual({ companyId: "acme", streaming: false, maxConnections: 5 });
  }
});

describe("a body that is held back", () => {
  const held = () => {
    let send: ((text: string) => void) | undefined;
    let isCancelled = false;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("{"));
        send = (text) => {
          controller.enqueue(new TextEncoder().encode(text));
          controller.close();
        };
      },
      cancel() {
        isCancelled = true;
      },
    });
    return { body, send: (text: string) => send?.(text), isCancelled: () => isCancelled };
  };
  const put = (app: TestApp, given: string, body: string | ReadableStream) =>
    app.app.request(FEATURES, {
      method: "PUT",
      headers: { ...JSON_BODY, authorization: `Bearer ${given}` },
      body,
      duplex: "half",
    } as RequestInit) as Promise<Response>;

  it("is not acted on once its token was revoked", async () => {
    await using app = await startTestApp();
    const mallory = await token({ roles: ["ops"], sub: "mallory", iat: now() - 1 });
    const { body, send } = held();
    const answer = put(app, mallory, body);
    // It is under way when another one of hers has been answered.
    expect((await put(app, mallory, '{"streaming":true}')).status).toBe(200);
    await revoke(app, { subject: "mallory" });
    send('"streaming":false}');
    expect((await answer).status).toBe(401);
    expect((await app.rules.read()).map(({ kind }) => kind)).toEqual(["subject-revoked"]);
  });

  it("is waited for five seconds", async () => {
    await using app = await startTestApp();
    const ops = await token(OPS);
    const { body, isCancelled } = held();
    const startMs = performance.now();
    const answer = await put(app, ops, body);
    expect(performance.now() - startMs).toBeGreaterThan(4_900);
    expect([answer.status, isCancelled()]).toEqual([400, true]);
    expect((await json(answer)).message).toMatch(
      /^Cannot read the body: not all there after 5000 ms, expected/,
    );
  });

  it("is the client's fault when it is cut off, and nobody's to look into", async () => {
    await using app = await startTestApp();
    const broken = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new Error("gone"));
      },
    });
    expect((await put(app, await token(OPS), broken)).status).toBe(400);
    expect(app.logged().filter(({ level }) => level === "error")).toEqual([]);
  });
});

describe("POST /admin/revocations", () => {
  it("of a subject ends its streams and makes its tokens worthless, everywhere; a later token is good", async () => {
    await using app = await startTestApp();
    const iat = now() - 10;
    const of = (sub: string, at: number) => token({ companies: ["acme", "globex"], sub, iat: at });
    const [alice, bob] = [await of("alice", iat), await of("bob", iat)];
    const hers = await Promise.all([
      ...["acme", "globex"].map((company) => app.open(streamOf(company), { token: alice })),
      app.open("/stream/dashboard?companyId=acme", { token: alice }),
    ]);
    const his = await app.open(streamOf("acme"), { token: bob });
    const response = await revoke(app, { subject: "alice" });
    expect(response.status).toBe(200);
    const { subject, revokedAt } = await json(response);
    expect(subject).toBe("alice");
    expect(Math.abs(Date.parse(revokedAt as string) - Date.now())).toBeLessThan(5_000);
    for (const stream of hers) await stream.end();

    for (const path of [streamOf("acme"), "/stream/history?companyId=acme", "/sse?companyId=acme"]) {
      expect((await app.ask(path, { token: alice })).status).toBe(401);
      expect((await app.ask(path, { token: null, headers: { cookie: `millrace=${alice}` } })).status).toBe(
        401,
      );
    }
    expect((await app.ask("/stream/tickets", { method: "POST", token: alice })).status).toBe(401);
    // In its first seconds a token says the second it was issued in, not when in it.
    const later = await of("alice", Math.floor(Date.parse(revokedAt as string) / 1000) + 1);
    expect((await app.open(streamOf("acme"), { token: later })).response.status).toBe(200);
    await app.append("acme", 1);
    await his.until("event: metric_updated");
  });

  it("of a subject reaches a ticket that was given before", async () => {
    await using app = await startTestApp();
    const alice = await token({ companyId: "acme", sub: "alice", iat: now() - 10 });
    const answer = await json(await app.ask("/stream/tickets", { method: "POST", token: alice }));
    await revoke(app, { subject: "alice" });
    expect((await app.ask(`${streamOf("acme")}&ticket=${answer.ticket}`, { token: null })).status).toBe(401);
  });

  it("of a company ends its streams and closes it to tokens issued before, whatever else they name", async () => {
    await using app = await startTestApp();
    const both = await token({ companies: ["acme", "globex"], sub: "alice", iat: now() - 10 });
    const acme = await app.open(streamOf("acme"), { token: both });
    const globex = await app.open(streamOf("globex"), { token: both });
    expect(await json(await revoke(app, { companyId: "acme" }))).toMatchObject({ companyId: "acme" });
    await acme.end();
    const refused = await app.ask(streamOf("acme"), { token: both });
    expect(refused.status).toBe(403);
    expect((await json(refused)).message).toMatch(/access to it was revoked, expected a token issued since$/);
    expect((await app.ask("/stream/history?companyId=acme", { token: both })).status).toBe(403);
    await app.append("acme", 1);
    const stats = await json(await app.ask("/stream/stats", { token: both }));
    expect(JSON.stringify(stats)).toContain('"globex":1');
    expect(JSON.stringify(stats)).not.toContain("acme");
    const own = await json(
      await app.ask("/stream/stats", { token: await token({ companyId: "acme", iat: now() + 2 }) }),
    );
    expect(JSON.stringify(own)).toContain('"acme":1');
    await app.append("globex", 1);
    await globex.until("event: metric_updated");
    const later = await token({ companyId: "acme", iat: now() + 2 });
    expect((await app.open(streamOf("acme"), { token: later })).response.status).toBe(200);
  });

  it("says in the log when everybody's older tokens had to be revoked for want of room", async () => {
    const atMs = Date.now();
    const rules = { put: async () => atMs } as unknown as AccessRules;
    await using app = await startTestApp({ deps: { rules } });
    expect((await revoke(app, { subject: "alice" })).status).toBe(200);
    expect(app.logged()).toContainEqual(
      expect.objectContaining({ level: "warn", fields: { until: new Date(atMs).toISOString() } }),
    );
  });

  it("ends what is open under a token that says to be issued in a moment", async () => {
    await using app = await startTestApp();
    const ahead = await token({ companyId: "acme", sub: "alice", iat: now() + 4 });
    const stream = await app.open(streamOf("acme"), { token: ahead });
    await stream.until("retry: ");
    await revoke(app, { subject: "alice" });
    await stream.end();
  });

  it("reaches tokens that do not say when they were issued", async () => {
    await using app = await startTestApp();
    const undated = await token({ companyId: "acme", sub: "alice" });
    await revoke(app, { subject: "alice" });
    expect((await app.ask(streamOf("acme"), { token: undated })).status).toBe(401);
  });
});
