import { describe, expect, it } from "vitest";
import { waitFor } from "../support/wait.ts";
import { json, startTestApp, type TestApp, token } from "./test-app.ts";

const PATH = "/stream/updates?companyId=acme";
const ALICE = { companyId: "acme", sub: "alice" };
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
/** The tolerance of clocks is added to an end. */
const TOLERANCE_MS = 5_000;

/** The data of the events of a name on a stream, so far. */
const said = (text: string, name: string) =>
  Array.from(text.matchAll(new RegExp(`event: ${name}\ndata: (.*)\n`, "g")), ([, data]) =>
    JSON.parse(data!),
  ) as { connectionId: string; expiresAt: string }[];

/** A stream under a token that ends within the minute, asked for a fresh one. */
async function openAsked(app: TestApp, path = PATH, seconds = 30) {
  const exp = inSeconds(seconds);
  const stream = await app.open(path, { token: await token(ALICE, exp) });
  await stream.until("event: reauthenticate");
  return { stream, exp, ...said(stream.text(), "reauthenticate")[0]! };
}

const renew = (app: TestApp, given: string | null, body: unknown, headers: Record<string, string> = {}) =>
  app.ask("/stream/renew", {
    method: "POST",
    token: given,
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

describe("a stream whose token ends within a minute", () => {
  it.each([PATH, "/stream/dashboard?companyId=acme", "/sse?companyId=acme"])(
    "is asked for a fresh one: %s",
    async (path) => {
      await using app = await startTestApp();
      await app.append("acme", 1);
      const { connectionId, exp, expiresAt } = await openAsked(app, path);
      expect(connectionId).toMatch(/^[0-9a-f-]{36}$/);
      expect(Date.parse(expiresAt)).toBe(exp * 1000 + TOLERANCE_MS);
    },
  );

  it("is asked once, and not before its last minute", async () => {
    await using app = await startTestApp();
    const { stream } = await openAsked(app);
    const other = await app.open(PATH, { token: await token(ALICE, "5m") });
    await app.append("acme", 1);
    await stream.until("event: metric_updated");
    await other.until("event: metric_updated");
    expect(said(stream.text(), "reauthenticate").length).toBe(1);
    expect(other.text()).not.toContain("reauthenticate");
    // What is not an event of the log moves no cursor.
    expect(stream.text()).not.toMatch(/event: reauthenticate\nid:/);
  });

  it("ends with the token", async () => {
    await using app = await startTestApp();
    const exp = inSeconds(-3);
    const stream = await app.open(PATH, { token: await token(ALICE, exp) });
    await stream.end();
    expect(Date.now()).toBeGreaterThanOrEqual(exp * 1000 + TOLERANCE_MS);
    expect(Date.now()).toBeLessThan(exp * 1000 + TOLERANCE_MS + 1_500);
  });
});

describe("POST /stream/renew", () => {
  it("keeps the stream open under a fresh token, and says so in it", async () => {
    await using app = await startTestApp();
    // Two seconds, with the tolerance.
    const { stream, connectionId } = await openAsked(app, PATH, -3);
    const exp = inSeconds(300);
    const response = await renew(app, await token(ALICE, exp), { connectionId, companyId: "acme" });
    expect(response.status).toBe(202);
    expect(response.headers.get("cache-control")).toBe("no-store");
    const expiresAt = new Date(exp * 1000 + TOLERANCE_MS).toISOString();
    expect(await json(response)).toEqual({ connectionId, expiresAt });
    await stream.until("event: renewed");
    expect(said(stream.text(), "renewed")).toEqual([{ connectionId, expiresAt }]);
    // It outlives the first token: another one of that end is gone.
    const witness = await app.open(PATH, { token: await token(ALICE, inSeconds(-3)) });
    await witness.end();
    await app.append("acme", 1);
    await stream.until("event: metric_updated");
    expect(said(stream.text(), "reauthenticate").length).toBe(1);
  });

  it("asks again in time, and not without end, for a fresh token that ends soon too", async () => {
    await using app = await startTestApp();
    const { stream, connectionId } = await openAsked(app, PATH, -1);
    await renew(app, await token(ALICE, inSeconds(-1)), { connectionId });
    await stream.until("event: renewed");
    await waitFor("the second request", () => said(stream.text(), "reauthenticate").length === 2);
    await renew(app, await token(ALICE, inSeconds(300)), { connectionId });
    await waitFor("the second renewal", () => said(stream.text(), "renewed").length === 2);
    expect(said(stream.text(), "reauthenticate").length).toBe(2);
  });

  it("keeps a snapshot stream open too", async () => {
    await using app = await startTestApp();
    const { stream, connectionId } = await openAsked(app, "/stream/dashboard?companyId=acme");
    await renew(app, await token(ALICE), { connectionId });
    await stream.until("event: renewed");
  });

  it.each<[string, Record<string, unknown>]>([
    ["another subject", { companyId: "acme", sub: "mallory" }],
    ["nobody in particular", { companyId: "acme" }],
    ["the same subject for another company", { companyId: "globex", sub: "alice" }],
  ])("of %s changes nothing, and is logged", async (_name, claims) => {
    await using app = await startTestApp();
    const { stream, connectionId } = await openAsked(app, PATH, -3);
    expect((await renew(app, await token(claims), { connectionId })).status).toBe(202);
    await waitFor("the line", () => app.logged().some(({ fields }) => fields.connection === connectionId));
    await stream.end();
    expect(stream.text()).not.toContain("event: renewed");
  });

  it("refuses what it cannot take", async () => {
    await using app = await startTestApp();
    const good = await token(ALICE);
    const connectionId = crypto.randomUUID();
    for (const [body, ...tokens] of [[{ connectionId }, null, "a.b.c", await token(ALICE, 1)]] as const) {
      for (const given of tokens) expect((await renew(app, given, body)).status).toBe(401);
    }
    for (const body of [
      ...["", "{", "[]", "null", '"x"', `{"connectionId":"${connectionId}"`],
      ...[
        {},
        { connectionId: "1" },
        { connectionId: 1 },
        { connectionId, more: 1 },
        { connectionId, companyId: "a b" },
      ],
      { connectionId, padding: "x".repeat(5_000) },
    ]) {
      const response = await renew(app, good, body);
      expect([body, response.status]).toEqual([body, 400]);
      expect((await json(response)).message).toMatch(/^Cannot read the body: .+, expected .+$/);
    }
    expect((await renew(app, good, { connectionId, companyId: "globex" })).status).toBe(403);
    // A connection that is not there: nobody can know.
    expect((await renew(app, good, { connectionId })).status).toBe(202);
  });

  it("is asked no more than six hundred times a minute by one subject", async () => {
    await using app = await startTestApp();
    const [alice, bob] = [await token(ALICE), await token({ ...ALICE, sub: "bob" })];
    const body = { connectionId: crypto.randomUUID() };
    const statuses = new Set<number>();
    for (let n = 0; n < 600; n++) statuses.add((await renew(app, alice, "{}")).status);
    expect([...statuses]).toEqual([400]);
    const refused = await renew(app, alice, body);
    expect([refused.status, refused.headers.has("retry-after")]).toEqual([429, true]);
    expect((await renew(app, bob, body)).status).toBe(202);
  });

  it("takes no ticket, and uses none up", async () => {
    await using app = await startTestApp();
    const answer = await app.ask("/stream/tickets", { method: "POST", token: await token(ALICE) });
    const { ticket } = await json(answer);
    const init = { method: "POST", token: null, body: JSON.stringify({ connectionId: crypto.randomUUID() }) };
    expect((await app.ask(`/stream/renew?ticket=${ticket}`, init)).status).toBe(401);
    expect((await app.open(`${PATH}&ticket=${ticket}`, { token: null })).response.status).toBe(200);
  });

  it("does not believe a cookie, and renews the one that came", async () => {
    await using app = await startTestApp();
    const body = { connectionId: crypto.randomUUID() };
    const [old, fresh] = [await token(ALICE, "1m"), await token(ALICE, "10m")];
    const cookie = { cookie: `millrace=${old}` };
    expect((await renew(app, null, body, cookie)).status).toBe(401);
    const renewed = await renew(app, fresh, body, cookie);
    expect(renewed.headers.get("set-cookie")).toContain(`millrace=${fresh}; Path=/; Max-Age=6`);
    expect((await renew(app, fresh, body)).headers.has("set-cookie")).toBe(false);
  });
});
