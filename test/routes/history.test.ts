import { afterEach, describe, expect, it } from "vitest";
import { GENESIS } from "../../functions/core/cursor.ts";
import { json, startTestApp, type TestApp, token } from "./test-app.ts";

const PATH = "/stream/history?companyId=acme";

interface Page {
  readonly events: readonly Record<string, unknown>[];
  readonly next: string;
  readonly more: boolean;
  readonly gap?: unknown;
}

let test: TestApp | undefined;
const start = async (...options: Parameters<typeof startTestApp>) => {
  test = await startTestApp(...options);
  const { ask } = test;
  const read = async (query = "") => (await json(await ask(`${PATH}${query}`))) as unknown as Page;
  return { ...test, read };
};
afterEach(async () => {
  await test?.[Symbol.asyncDispose]();
  test = undefined;
});

describe("GET /stream/history", () => {
  it("gives an event as the CloudEvent it is, with its cursor, its data untouched", async () => {
    const { ask, append } = await start();
    const [cursor] = await append("acme", 1, { data: '{"big":12345678901234567890,"one":1.0}' });
    const response = await ask(PATH);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(response.headers.get("cache-control")).toMatch(/^private\b/);
    const text = await response.text();
    expect(text).toContain('"data":{"companyId":"acme","big":12345678901234567890,"one":1.0}}');
    expect(JSON.parse(text)).toEqual({
      events: [
        {
          cursor,
          specversion: "1.0",
          type: "metric_updated",
          source: "/test",
          id: "0",
          time: expect.stringMatching(/^\d{4}-.*Z$/),
          companyid: "acme",
          datacontenttype: "application/json",
          data: expect.objectContaining({ companyId: "acme" }),
        },
      ],
      next: cursor,
      more: false,
    });
  });

  it("pages through everything, once and in order", async () => {
    const { read, append } = await start();
    const cursors = await append("acme", 12);
    await append("globex", 3);
    const seen: unknown[] = [];
    let after = "";
    for (let more = true; more; ) {
      const page = await read(`&after=${after}&limit=5`);
      expect(page.events.length).toBeLessThanOrEqual(5);
      seen.push(...page.events.map(({ cursor }) => cursor));
      ({ next: after, more } = page);
    }
    expect(seen).toEqual(cursors);
    expect(await read(`&after=${after}`)).toEqual({ events: [], next: after, more: false });
  });

  it("gives 100 events unless told otherwise", async () => {
    const { read, append } = await start();
    await append("acme", 101);
    expect(await read()).toMatchObject({ events: { length: 100 }, more: true });
    expect(await read("&limit=500")).toMatchObject({ events: { length: 101 }, more: false });
  });

  it("lets a browser keep a page that is full for good, and ask again for any other", async () => {
    const { ask, append } = await start();
    const [first] = await append("acme", 4);
    const headers = async (query: string) => {
      const response = await ask(`${PATH}${query}`);
      return ["cache-control", "vary"].map((name) => response.headers.get(name));
    };
    const vary = "Authorization, Cookie";
    expect(await headers(`&after=${first}&limit=2`)).toEqual(["private, max-age=3600", vary]);
    expect(await headers(`&after=${first}&limit=3`)).toEqual(["private, no-cache", vary]);
    // It begins elsewhere once events have expired; and this one is told so.
    expect(await headers("&limit=2")).toEqual(["private, no-cache", vary]);
    expect(await headers("&after=otherlog.1-1&limit=2")).toEqual(["private, no-cache", vary]);
  });

  it("answers 304 while nothing has changed, to a weak tag too, and to nobody without a token", async () => {
    const { ask, append } = await start({ settings: { CORS_ORIGINS: ["https://a.example"] } });
    const [first] = await append("acme", 2);
    const tags = new Set<string>();
    const queries = ["", "&limit=1", `&after=${first}`, "&after=otherlog.1-1"];
    for (const query of queries) {
      const response = await ask(`${PATH}${query}`);
      const etag = response.headers.get("etag")!;
      expect(etag).toMatch(/^"[!#-~]+"$/);
      tags.add(etag);
      for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
        const again = await ask(`${PATH}${query}`, { headers: { "if-none-match": tag } });
        expect([again.status, await again.text()]).toEqual([304, ""]);
        for (const name of ["etag", "cache-control", "vary"])
          expect(again.headers.get(name)).toBe(response.headers.get(name));
        expect(again.headers.get("vary")).toBe("Origin, Authorization, Cookie");
      }
      const strange = await ask(`${PATH}${query}`, { headers: { "if-none-match": '"other"' }, token: null });
      expect(strange.status).toBe(401);
    }
    expect(tags.size).toBe(queries.length);
    const before = (await ask(PATH)).headers.get("etag")!;
    await append("acme", 1, { from: 2 });
    const after = await ask(PATH, { headers: { "if-none-match": before } });
    expect([after.status, ((await json(after)).events as unknown[]).length]).toEqual([200, 3]);
  });

  it("of a company without events is empty, and goes on from its beginning", async () => {
    const { read, append } = await start();
    expect(await read()).toEqual({ events: [], next: GENESIS, more: false });
    await append("acme", 1);
    expect((await read(`&after=${GENESIS}`)).events).toHaveLength(1);
  });

  it("says where the log ends, for who reads from now on", async () => {
    const { read, ask, append } = await start();
    expect(await read("&after=latest")).toEqual({ events: [], next: GENESIS, more: false });
    const tip = (await append("acme", 12)).at(-1)!;
    await append("globex", 1);
    const response = await ask(`${PATH}&after=latest&limit=5`);
    expect(await response.clone().json()).toEqual({ events: [], next: tip, more: false });
    expect(response.headers.get("cache-control")).toBe("private, no-cache");
    const ifNoneMatch = { headers: { "if-none-match": response.headers.get("etag")! } };
    expect((await ask(`${PATH}&after=latest`, ifNoneMatch)).status).toBe(304);
    const [next] = await append("acme", 1, { from: 12 });
    expect((await ask(`${PATH}&after=latest`, ifNoneMatch)).status).toBe(200);
    expect(await read(`&after=${tip}`)).toMatchObject({ events: [{ cursor: next }], next });
  });

  it("says what has expired, and goes on with the oldest kept", async () => {
    const { read, append } = await start({ maxEvents: 3 });
    const [first] = await append("acme", 1);
    for (let from = 1; from < 8; from++) await append("acme", 1, { from });
    const page = await read(`&after=${first}`);
    const oldest = page.events[0]?.cursor;
    expect(page.gap).toEqual({ reason: "expired", requested: first, resumedAt: oldest });
    expect(page.events.at(-1)).toMatchObject({ id: "7" });
    expect(page.events.length).toBeLessThan(7);
    const unasked = await read();
    expect([unasked.events[0]?.cursor, "gap" in unasked]).toEqual([oldest, false]);
  });

  it("says that the log was made anew", async () => {
    const { read, append } = await start();
    const [oldest, tip] = await append("acme", 2);
    const foreign = "otherlog.1-1";
    expect(await read(`&after=${foreign}`)).toMatchObject({
      gap: { reason: "reset", requested: foreign, resumedAt: oldest },
      events: { length: 2 },
      next: tip,
    });
    const empty = await test!.ask("/stream/history?companyId=initech&after=otherlog.1-1", {
      token: await token({ companyId: "initech" }),
    });
    expect(await json(empty)).toEqual({
      events: [],
      next: GENESIS,
      more: false,
      gap: { reason: "reset", requested: foreign, resumedAt: GENESIS },
    });
  });

  it.each([
    ["no company", "/stream/history", 400],
    ["a bad company", "/stream/history?companyId=a%20b", 400],
    ["a bad cursor", `${PATH}&after=nonsense`, 400],
    ["a word like latest", `${PATH}&after=Latest`, 400],
    ["two cursors", `${PATH}&after=&after=`, 400],
    ["a limit of 0", `${PATH}&limit=0`, 400],
    ["a limit of 501", `${PATH}&limit=501`, 400],
    ["a limit of 1e2", `${PATH}&limit=1e2`, 400],
    ["an empty limit", `${PATH}&limit=`, 400],
    ["another company", "/stream/history?companyId=globex", 403],
  ])("refuses %s", async (_name, path, status) => {
    const { ask } = await start();
    const response = await ask(path);
    expect(response.status).toBe(status);
    expect(await json(response)).toEqual({ error: expect.any(String), message: expect.any(String) });
  });

  it("refuses who does not say who asks, a token in the URL and other methods", async () => {
    const { ask } = await start();
    expect((await ask(PATH, { token: null })).status).toBe(401);
    expect((await ask(`${PATH}&jwt=${await token()}`)).status).toBe(400);
    const post = await ask(PATH, { method: "POST" });
    expect([post.status, post.headers.get("allow")]).toEqual([405, "GET, HEAD"]);
  });

  it("is refused while streaming is switched off", async () => {
    const { ask } = await start({ settings: { STREAMING_ENABLED: false } });
    const response = await ask(PATH);
    expect([response.status, response.headers.has("retry-after")]).toEqual([503, true]);
  });

  it("answers 503 without saying where the log is when it cannot be read", async () => {
    const { ask, log, logged } = await start();
    Object.assign(log, { read: (await brokenLog()).read });
    const response = await ask(PATH);
    expect([response.status, response.headers.has("retry-after")]).toEqual([503, true]);
    expect(await response.text()).not.toContain("DATA_DIR");
    expect(logged().some(({ fields }) => String(fields.reason).includes("DATA_DIR"))).toBe(true);
    Object.assign(log, { tip: (await brokenLog()).tip });
    expect((await ask(`${PATH}&after=latest`)).status).toBe(503);
  });
});

/** A real log whose store is closed. */
async function brokenLog() {
  const other = await startTestApp();
  await other[Symbol.asyncDispose]();
  return other.log;
}
