/** A browser that may set no header: a ticket lets it in, the cookie back in, a renewal keeps it there. With its own EventSource and WebSocket. */
import { SignJWT } from "jose";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { launchChromium, type Millrace, startMillrace } from "./browser.ts";

const SECRET = "a secret of the tests, of 32 characters or more";
const reason = missing("chromium");

/** What the page keeps, by what it heard. */
interface Heard {
  readonly ids: string[];
  readonly opens: number;
  readonly closed: boolean;
  readonly notices: { readonly name: string; readonly data: { connectionId: string; expiresAt: string } }[];
}

/** A token for acme that lives so many seconds. */
function mint(seconds: number): Promise<string> {
  return new SignJWT({ companyId: "acme" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject("someone")
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
    .sign(new TextEncoder().encode(SECRET));
}

describe("a browser with a ticket", { timeout: 60_000 }, () => {
  let browser: Browser;
  let millrace: Millrace;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    if (reason) return;
    const settings = { AUTH_MODE: "jwt", JWT_SECRET: SECRET, DRAIN_MS: "0" };
    [browser, millrace] = await Promise.all([launchChromium(), startMillrace(settings)]);
  });
  afterAll(async () => {
    await browser?.close();
    await millrace?.[Symbol.asyncDispose]();
  });
  beforeEach(async (test) => {
    if (reason) test.skip(reason);
    context = await browser.newContext();
    page = await context.newPage();
    await page.goto(`${millrace.url}/healthz`);
  });
  afterEach(() => context?.close());

  /** As an app's own page asks for it, with the token it has. */
  const ticketFor = (token: string) =>
    page.evaluate(async (bearer) => {
      const headers = { authorization: `Bearer ${bearer}` };
      const response = await fetch("/stream/tickets", { method: "POST", headers });
      return ((await response.json()) as { ticket: string }).ticket;
    }, token);

  const listen = (ticket: string) =>
    page.evaluate((one) => {
      const heard = { ids: [] as string[], opens: 0, closed: false, notices: [] as object[] };
      Object.assign(globalThis, { heard });
      const source = new EventSource(`/stream/updates?companyId=acme&ticket=${one}`);
      source.onopen = () => heard.opens++;
      source.onerror = () => {
        heard.closed = source.readyState === EventSource.CLOSED;
      };
      for (const type of ["metric_updated", "audit.txn", "promo.feed", "central.sync"]) {
        source.addEventListener(type, (event) => heard.ids.push((event as MessageEvent).lastEventId));
      }
      for (const name of ["reauthenticate", "renewed"]) {
        source.addEventListener(name, (event) => {
          heard.notices.push({ name, data: JSON.parse((event as MessageEvent).data) });
        });
      }
    }, ticket);
  const heard = () => page.evaluate(() => (globalThis as unknown as { heard: Heard }).heard);
  const until = (what: string, test: (heard: Heard) => boolean) =>
    waitFor(
      what,
      async () => {
        const now = await heard();
        return test(now) ? now : undefined;
      },
      { timeoutMs: 20_000, everyMs: 50 },
    );

  test("comes in with it, and back in with the cookie after the server was away, without a gap or a repeat", async () => {
    await listen(await ticketFor(await mint(600)));
    const before = await until("events", ({ ids }) => ids.length > 3);
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict", secure: false });
    await millrace.stop();
    await millrace.startAgain();
    const after = await until("events again", ({ ids }) => ids.length > before.ids.length + 3);
    expect(after.opens).toBe(2);
    expect(new Set(after.ids).size).toBe(after.ids.length);
    // What the browser has is what the log has, from its first event on.
    const stored = await page.evaluate(async (from) => {
      const answer = await fetch(`/stream/history?companyId=acme&limit=500&after=${from}`);
      return ((await answer.json()) as { events: { cursor: string }[] }).events.map(({ cursor }) => cursor);
    }, after.ids[0]!);
    const others = stored.filter((cursor) => after.ids.includes(cursor));
    expect(after.ids.slice(1)).toEqual(others.slice(0, after.ids.length - 1));
  });

  test("is refused with a ticket that was used, without its cookie", async () => {
    const ticket = await ticketFor(await mint(600));
    await listen(ticket);
    await until("the stream", ({ opens }) => opens === 1);
    await context.clearCookies();
    const answer = await fetch(`${millrace.url}/stream/updates?companyId=acme&ticket=${ticket}`);
    expect(answer.status).toBe(401);
    await answer.body?.cancel();
  });

  test("is asked for a fresh token, goes on with it, and is closed when the last one has ended", async () => {
    await listen(await ticketFor(await mint(2)));
    const asked = await until("the question", ({ notices }) => notices.length === 1);
    const [{ name, data }] = asked.notices as [Heard["notices"][number]];
    expect(name).toBe("reauthenticate");
    const fresh = await mint(6);
    const status = await page.evaluate(
      async ([bearer, connectionId]) => {
        const headers = { authorization: `Bearer ${bearer}`, "content-type": "application/json" };
        const body = JSON.stringify({ connectionId });
        return (await fetch("/stream/renew", { method: "POST", headers, body })).status;
      },
      [fresh, data.connectionId] as const,
    );
    expect(status).toBe(202);
    const renewed = await until("the renewal", ({ notices }) => notices[1]?.name === "renewed");
    expect(Date.parse(renewed.notices[1]!.data.expiresAt)).toBeGreaterThan(Date.parse(data.expiresAt));
    // One connection lives through the end of the first token, and the browser gives up after that of the second.
    const closed = await until("the end", (now) => now.closed);
    expect(closed.opens).toBe(1);
    expect(Date.now()).toBeGreaterThan(Date.parse(data.expiresAt));
  });

  test("opens a WebSocket with it, and no second one", async () => {
    const ticket = await ticketFor(await mint(600));
    const messages = await page.evaluate(
      (one) =>
        new Promise<string[]>((resolve, reject) => {
          const got: string[] = [];
          const socket = new WebSocket(`/ws/updates?companyId=acme&ticket=${one}`);
          socket.onerror = () => reject(new Error("refused"));
          socket.onmessage = ({ data }) => {
            got.push(data);
            if (got.length < 5) return;
            socket.onerror = null;
            socket.close();
            resolve(got);
          };
        }),
      ticket,
    );
    expect(JSON.parse(messages[0]!)).toEqual({ retry: 3000 });
    expect(messages.map((text) => JSON.parse(text)).filter(({ event }) => event).length).toBeGreaterThan(0);
    expect(await context.cookies()).toHaveLength(1);
  });
});
