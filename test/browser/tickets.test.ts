/** The page at `/tickets`: two people talk, through cuts, lost answers and a server that is killed. */
import { SignJWT } from "jose";
import type { Browser, BrowserContext, Page, Request } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { launchChromium, type Millrace, startMillrace } from "./browser.ts";
import { lowContrast, overflow, watchComplaints } from "./looks.ts";

const SECRET = "a secret of the tests, of 32 characters or more";
const reason = missing("chromium");
const WIDE = { width: 1280, height: 800 };
/** Of a log that is no more. */
const GONE = "aaaaaaaaaaaa.1700000000000-0";
const NARROW = { width: 360, height: 740 };
const TICKETS = `{ tickets(first: 5) { items { id subject status assignee requester messages(last: 100) { id author text } } } }`;

interface Ticket {
  readonly id: string;
  readonly subject: string;
  readonly status: string;
  readonly assignee: string | null;
  readonly requester: string | null;
  readonly messages: readonly {
    readonly id: string;
    readonly author: string | null;
    readonly text: string;
  }[];
}

describe("page /tickets", { timeout: 40_000 }, () => {
  let browser: Browser;
  let millrace: Millrace;
  let asking: Millrace;
  let contexts: BrowserContext[] = [];
  let complaints: string[][] = [];
  let companies = 0;
  /** A test's own: nobody else makes tickets there. */
  let company = "";

  beforeAll(async () => {
    if (reason) return;
    const jwt = { AUTH_MODE: "jwt", JWT_SECRET: SECRET };
    [browser, millrace, asking] = await Promise.all([launchChromium(), startMillrace(), startMillrace(jwt)]);
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([millrace, asking].map((one) => one?.[Symbol.asyncDispose]()));
  });
  beforeEach((context) => {
    if (reason) context.skip(reason);
    company = `company-${++companies}`;
  });
  afterEach(async () => {
    await Promise.all(contexts.map((context) => context.close()));
    expect(complaints.flat()).toEqual([]);
    [contexts, complaints] = [[], []];
  });

  /** A browser of somebody's own. */
  async function tab(options: Parameters<Browser["newContext"]>[0] = {}): Promise<Page> {
    const context = await browser.newContext({ viewport: WIDE, ...options });
    contexts.push(context);
    const page = await context.newPage();
    complaints.push(watchComplaints(page));
    return page;
  }
  async function visit(page: Page, ticket?: string, of = company): Promise<Page> {
    const query = new URLSearchParams({ companyId: of, ...(ticket === undefined ? {} : { ticket }) });
    await page.goto(`${millrace.url}/tickets?${query}`);
    await untilBadge(page, "Live");
    return page;
  }
  const untilBadge = (page: Page, word: string) =>
    waitFor(`the badge ${word}`, async () => (await page.textContent("#connection"))?.startsWith(word), {
      timeoutMs: 25_000,
    });
  const until = (what: string, test: () => Promise<boolean>) =>
    waitFor(what, test, { timeoutMs: 25_000, everyMs: 30 });

  async function ask<Answer>(query: string, variables: object = {}): Promise<Answer> {
    const answer = await fetch(`${millrace.url}/api/graphql?companyId=${company}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await answer.json()) as { data: Answer; errors?: unknown };
    expect(errors).toBeUndefined();
    return data;
  }
  const stored = async (): Promise<readonly Ticket[]> =>
    (await ask<{ tickets: { items: Ticket[] } }>(TICKETS)).tickets.items;
  const create = (id: string, subject: string) =>
    ask(
      "mutation ($id: ID!, $subject: String!) { createTicket(id: $id, input: { subject: $subject }) { id } }",
      {
        ...{ id, subject },
      },
    );
  const post = (ticketId: string, text: string) =>
    ask(
      "mutation ($ticketId: ID!, $text: String!) { postTicketMessage(ticketId: $ticketId, text: $text) { id } }",
      {
        ...{ ticketId, text },
      },
    );

  const bubbles = (page: Page) => page.locator("#entries .bubble").allTextContents();
  const row = (page: Page, subject: string) => page.locator("#rows a", { hasText: subject });
  const changes = (page: Page) => page.locator("#entries .change .words").allTextContents();
  async function say(page: Page, text: string): Promise<void> {
    await page.fill("#text", text);
    await page.press("#text", "Enter");
  }
  async function make(page: Page, subject: string, text: string): Promise<void> {
    await page.click("#new");
    await page.fill("#new-subject", subject);
    await page.fill("#new-text", text);
    await page.click("#new-form button[type=submit]");
    await until(
      "the first message to be sent",
      async () => (await page.locator(".message .state span").allTextContents()).join() === "Sent",
    );
  }

  test("shows the demo's tickets and their conversations, and what is said next", async () => {
    const page = await visit(await tab(), undefined, "acme");
    await page.waitForSelector("#rows a");
    const said = () => page.locator("#rows .last").allTextContents();
    const before = await said();
    await until("something new to be said", async () => (await said()).join() !== before.join());
    expect(await page.locator("#rows .who").allTextContents()).toEqual(
      expect.arrayContaining([expect.stringMatching(/^(mia\.keller|tom\.okafor|ines\.duarte|unassigned)$/)]),
    );
  });

  test("two people talk: a ticket, a message, an answer, a status; each sees the other's, once", async () => {
    const [one, other] = await Promise.all([tab(), tab()]);
    await Promise.all([visit(one), visit(other)]);
    await other.getByText("There are no tickets yet. Make the first one.").waitFor();
    await make(one, "The printer is on fire", "Please hurry.\nIt is warm.");
    await row(other, "The printer is on fire").waitFor();
    // Wide screens show the newest at once.
    await until("the message", async () => (await bubbles(other)).join() === "Please hurry.\nIt is warm.");
    expect(await other.locator("#entries .by b").allTextContents()).toEqual(["Anonymous"]);
    expect(await one.locator("#entries .by b").allTextContents()).toEqual(["You"]);

    await say(other, "On my way");
    await other.selectOption("#status", "PENDING");
    await other.fill("#assignee", "roy");
    await other.press("#assignee", "Enter");
    await until("the answer", async () => (await bubbles(one)).length === 2);
    expect(await bubbles(one)).toEqual(["Please hurry.\nIt is warm.", "On my way"]);
    await until("the changes", async () => (await changes(one)).length === 3);
    expect(await changes(one)).toEqual(["Created by Anonymous", "Status → Pending", "Assigned to roy"]);
    expect(await one.inputValue("#assignee")).toBe("roy");
    expect(await row(one, "The printer").locator(".status").textContent()).toBe("Pending");
    await until("the reader's own to be in the log", async () => (await changes(other)).length === 3);
    expect(await bubbles(other)).toEqual(await bubbles(one));
    const [ticket] = await stored();
    expect(ticket).toMatchObject({ status: "PENDING", assignee: "roy" });
    expect(ticket!.messages.map(({ text }) => text)).toEqual(await bubbles(one));
  });

  test("a send whose answer was lost is sent again, and is there once", async () => {
    await create("t-1", "Lost answers");
    const [one, other] = await Promise.all([tab(), tab()]);
    await Promise.all([visit(one, "t-1"), visit(other, "t-1")]);
    let tries = 0;
    await one.route(/\/api\/graphql\?/, async (route) => {
      // The server has it; who sent it is never told.
      if (++tries === 1) await route.fetch();
      return tries < 3 ? route.abort() : route.fallback();
    });
    // Nor by the stream.
    await one.route(/\/api\/graphql\/stream/, (route) => route.abort());
    const reconnect = () =>
      one.locator("html").evaluate((html) => {
        html.ownerDocument.defaultView.dispatchEvent(new Event("online"));
      });
    await reconnect();
    await untilBadge(one, "Reconnecting");
    await say(one, "Said once");
    await until("the message", async () => (await bubbles(other)).length === 1);
    await until("it to be sent", async () => (await one.textContent(".message .state span")) === "Sent");
    expect(tries).toBe(3);
    await one.unroute(/\/api\/graphql\/stream/);
    await reconnect();
    await untilBadge(one, "Live");
    await post("t-1", "Something else");
    await until("what follows", async () => (await bubbles(one)).length === 2);
    expect(await bubbles(one)).toEqual(["Said once", "Something else"]);
    await until("the same", async () => (await bubbles(other)).length === 2);
    expect(await bubbles(other)).toEqual(["Said once", "Something else"]);
    expect((await stored())[0]!.messages).toHaveLength(2);
  });

  test("what the server refuses is said, with a way to try again and to give up", async () => {
    await create("t-1", "Refusals");
    const page = await visit(await tab(), "t-1");
    let refuse = true;
    await page.route(/\/api\/graphql\?/, (route) => {
      const errors = [{ message: "Cannot read text", extensions: { code: "invalid-input" } }];
      return refuse ? route.fulfill({ json: { errors } }) : route.fallback();
    });
    await say(page, "first");
    await until(
      "the refusal",
      async () => (await page.textContent(".state span")) === "Not sent: Cannot read text",
    );
    const undone = page.getByText("Cannot change the ticket: Cannot read text.", { exact: true }).first();
    await page.selectOption("#status", "CLOSED");
    await undone.waitFor();
    expect(await page.inputValue("#status")).toBe("OPEN");
    expect(await page.textContent(".message .state span")).toBe("Not sent: Cannot read text");
    refuse = false;
    await page.getByRole("button", { name: "Retry" }).click();
    await until("it to be sent", async () => (await stored())[0]!.messages.length === 1);
    refuse = true;
    await say(page, "second");
    await page.getByRole("button", { name: "Discard" }).click();
    expect(await bubbles(page)).toEqual(["first"]);
  });

  test("the server killed while both write: said, stale, then everything is there on both sides, once", async () => {
    await create("t-1", "Killed");
    const [one, other] = await Promise.all([tab(), tab()]);
    await Promise.all([visit(one, "t-1"), visit(other, "t-1")]);
    await say(one, "before");
    await until("the message", async () => (await bubbles(other)).length === 1);
    await millrace.stop();
    await Promise.all([untilBadge(one, "Reconnecting"), untilBadge(other, "Reconnecting")]);
    expect(await one.getAttribute("#log", "data-stale")).toBe("true");
    expect(await one.getAttribute("#list", "data-stale")).toBe("true");
    expect(await one.textContent("#as-of")).toMatch(/^As of \d\d:\d\d:\d\d\.$/);
    await say(one, "while away, one");
    await say(other, "while away, other");
    await one.selectOption("#status", "CLOSED");
    await until("the problem", async () =>
      ((await one.locator(".state span").last().textContent()) ?? "").includes(
        "cannot be reached, trying again",
      ),
    );
    await millrace.startAgain();
    await Promise.all([untilBadge(one, "Live"), untilBadge(other, "Live")]);
    const all = ["before", "while away, one", "while away, other"];
    for (const page of [one, other]) {
      await until("all messages", async () => (await bubbles(page)).length === 3);
      await until("the change", async () => (await changes(page)).includes("Status → Closed"));
      expect((await bubbles(page)).toSorted()).toEqual(all);
      expect(await page.getAttribute("#log", "data-stale")).toBe("false");
      expect(await page.textContent("#as-of")).toBe("");
    }
    const [ticket] = await stored();
    expect(ticket!.messages.map(({ text }) => text).toSorted()).toEqual(all);
    expect(ticket!.status).toBe("CLOSED");
    expect(await one.locator("#notices .notice").count()).toBe(0);
  });

  test("a message that comes while its conversation is asked for is not missed", async () => {
    await create("t-1", "Races");
    await create("t-2", "Newer");
    const page = await visit(await tab(), "t-2");
    await row(page, "Races").waitFor();
    await page.route(/\/api\/graphql\?/, async (route) => {
      // The answer of before, which is late.
      const response = await route.fetch();
      await post("t-1", "in between");
      await until(
        "the list to know",
        async () => (await page.locator("#rows .last", { hasText: "in between" }).count()) > 0,
      );
      await route.fulfill({ response });
    });
    await row(page, "Races").click();
    await until("the message", async () => (await bubbles(page)).length > 0);
    await until("the answer", async () => (await page.textContent("#log-note")) === "");
    expect(await bubbles(page)).toEqual(["in between"]);
  });

  test("tabs of one browser share one stream; one that takes over misses nothing", async () => {
    await create("t-1", "Tabs");
    const one = await tab();
    const streams = new Set<Request>();
    const isStream = (request: Request) => request.url().includes("/api/graphql/stream");
    one.context().on("request", (request) => isStream(request) && streams.add(request));
    one.context().on("requestfinished", (request) => streams.delete(request));
    one.context().on("requestfailed", (request) => streams.delete(request));
    await visit(one, "t-1");
    const other = await one.context().newPage();
    await visit(other, "t-1");
    await post("t-1", "to both");
    for (const page of [one, other]) {
      await until("the message", async () => (await bubbles(page)).join() === "to both");
    }
    await until("one stream", async () => streams.size === 1);
    await Promise.all([one.close(), post("t-1", "meanwhile")]);
    await post("t-1", "after it");
    await until("what follows", async () => (await bubbles(other)).length === 3);
    expect(await bubbles(other)).toEqual(["to both", "meanwhile", "after it"]);
  });

  test("a stream that is refused for now, or for good: said, and what there is is shown", async () => {
    await create("t-1", "Refused");
    await post("t-1", "there all the same");
    const page = await tab();
    let end = { code: "busy", retryAfter: 60 } as object;
    await page.route(/\/api\/graphql\/stream/, (route) =>
      route.fulfill({
        contentType: "text/event-stream",
        body: `:\n\nevent: next\ndata: ${JSON.stringify({ errors: [{ message: "Come back later", extensions: end }] })}\n\nevent: complete\ndata:\n\n`,
      }),
    );
    for (const [next, badge] of [
      [{ code: "busy", retryAfter: 60 }, "Reconnecting"],
      [{ code: "disabled", retryAfter: 60 }, "Reconnecting"],
      [{ code: "revoked" }, "Closed"],
    ] as const) {
      end = next;
      await page.goto(`${millrace.url}/tickets?companyId=${company}&ticket=t-1`);
      await untilBadge(page, badge);
      await page.locator("#notices").getByText("Come back later.", { exact: true }).waitFor();
      await until("the messages", async () => (await bubbles(page)).join() === "there all the same");
      expect(await page.getAttribute("#log", "data-stale")).toBe("true");
    }
    // What is written goes its own way.
    await say(page, "sent without a stream");
    await until(
      "it to be sent",
      async () => (await page.textContent("[data-mine=true] .state span")) === "Sent",
    );
  });

  test("what was written and not sent outlives a reload", async () => {
    await create("t-1", "Reload");
    const page = await visit(await tab(), "t-1");
    await page.route(/\/api\/graphql\?/, (route) => route.abort());
    await say(page, "kept");
    await until("it to wait", async () =>
      ((await page.textContent(".state span")) ?? "").includes("trying again"),
    );
    await page.unroute(/\/api\/graphql\?/);
    await page.reload();
    await until("the message", async () => (await bubbles(page)).join() === "kept");
    await until("it to be stored", async () => (await stored())[0]!.messages.length === 1);
    expect(await page.locator("#entries .by b").allTextContents()).toEqual(["You"]);
  });

  test("a gap is said, and what there is is asked for anew", async () => {
    await create("t-1", "Gaps");
    await post("t-1", "before the gap");
    const page = await tab();
    await page.route(/\/api\/graphql\/stream/, (route) =>
      route.continue({
        headers: { ...route.request().headers(), "last-event-id": GONE },
      }),
    );
    await visit(page, "t-1");
    await page.getByText("A gap: the log was lost and made again.", { exact: true }).first().waitFor();
    await until("the conversation", async () => (await bubbles(page)).join() === "before the gap");
    await post("t-1", "after it");
    await until("what follows", async () => (await bubbles(page)).length === 2);
  });

  test("a long conversation: older messages as the reader comes to them, newer ones counted until then", async () => {
    await create("t-1", "Long");
    for (let n = 0; n < 130; n += 10) {
      if (n === 20) await ask('mutation { updateTicket(id: "t-1", input: { status: PENDING }) { id } }');
      const posts = Array.from({ length: 10 }, (_, at) => {
        const text = JSON.stringify(`message ${n + at + 1}`);
        return `m${at}: postTicketMessage(ticketId: "t-1", text: ${text}) { id }`;
      });
      await ask(`mutation { ${posts.join(" ")} }`);
    }
    const page = await visit(await tab(), "t-1");
    await until("the newest thirty", async () => (await bubbles(page)).length === 30);
    expect((await bubbles(page))[0]).toBe("message 101");
    // It was made before all of these.
    expect(await changes(page)).toEqual([]);
    const inView = (text: string) =>
      page.locator(".bubble", { hasText: new RegExp(`^${text}$`) }).evaluate((bubble) => {
        const [box, log] = [bubble, bubble.ownerDocument.querySelector("#log")!].map((one) =>
          one.getBoundingClientRect(),
        );
        return box!.top >= log!.top && box!.bottom <= log!.bottom;
      });
    expect(await inView("message 130")).toBe(true);
    await page.locator("#log").evaluate((log) => log.scrollTo(0, 100));
    await until("older ones", async () => (await bubbles(page)).length === 60);
    // What the reader was at stays in place.
    expect(await inView("message 103")).toBe(true);
    await post("t-1", "message 131");
    await post("t-1", "message 132");
    await until("the count", async () => (await page.textContent("#newer")) === "2 new");
    expect(await inView("message 103")).toBe(true);
    await page.click("#newer");
    await until("the end", () => inView("message 132"));
    await post("t-1", "message 133");
    await until("the next", async () => (await bubbles(page)).at(-1) === "message 133");
    await until("it to be in view", () => inView("message 133"));
    expect(await page.isHidden("#newer")).toBe(true);
    // On to the first one, beyond what one answer may have.
    await until("all of them", async () => {
      if (await page.isVisible("#older")) await page.locator("#log").evaluate((log) => log.scrollTo(0, 0));
      return page.isHidden("#older");
    });
    expect(await bubbles(page)).toEqual(Array.from({ length: 133 }, (_, n) => `message ${n + 1}`));
    expect(await changes(page)).toEqual(["Created by Anonymous", "Status → Pending"]);
    const lines = await page.locator("#entries :is(.bubble, .change .words)").allTextContents();
    expect(lines.slice(20, 23)).toEqual(["message 20", "Status → Pending", "message 21"]);
  });

  test("unread ones are marked, newest touched first; filter and search; a link leads to one", async () => {
    for (const [id, subject] of [
      ["t-1", "Apples"],
      ["t-2", "Pears"],
      ["t-3", "Plums"],
    ] as const) {
      await create(id, subject);
    }
    const page = await visit(await tab(), "t-2");
    const subjects = () => page.locator("#rows .subject").allTextContents();
    await until("the tickets", async () => (await subjects()).length === 3);
    expect(await subjects()).toEqual(["Plums", "Pears", "Apples"]);
    await post("t-1", "An apple a day");
    await until("the touched one on top", async () => (await subjects())[0] === "Apples");
    expect(await row(page, "Apples").getAttribute("data-unread")).toBe("true");
    expect(await page.textContent("#list-count")).toBe("3 tickets · 1 unread");
    expect(await page.title()).toBe("(1) Tickets · Millrace");
    await page.fill("#search", "a DAY");
    await until("what fits", async () => (await subjects()).join() === "Apples");
    await page.fill("#search", "nothing of this");
    await page.getByText("No ticket fits.").waitFor();
    await page.fill("#search", "");
    await page.selectOption("#status", "CLOSED");
    await page.getByText("Closed", { exact: true }).first().click();
    await until("the closed ones", async () => (await subjects()).join() === "Pears");
    await page.getByText("All", { exact: true }).click();
    await row(page, "Apples").click();
    await until("it to be read", async () => (await page.title()) === "Tickets · Millrace");
    expect(new URL(page.url()).searchParams.get("ticket")).toBe("t-1");
    await visit(page, "no-such-ticket");
    await page.getByText("There is no such ticket").waitFor();
  });

  test("by keyboard alone: to a ticket, a message of two lines, back to the list", async () => {
    await create("t-1", "First");
    await create("t-2", "Second");
    const page = await visit(await tab());
    await until("the tickets", async () => (await page.locator("#rows a").count()) === 2);
    await page.focus("#search");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    expect(await page.textContent("#subject")).toBe("First");
    await page.keyboard.type("one");
    await page.keyboard.press("Shift+Enter");
    await page.keyboard.type("two");
    await page.keyboard.press("Enter");
    await until("the message", async () =>
      (await stored()).some(({ messages }) => messages[0]?.text === "one\ntwo"),
    );
    await page.keyboard.press("Escape");
    expect(
      await page.locator("html").evaluate((html) => html.ownerDocument.activeElement?.textContent),
    ).toContain("First");
    await page.fill("#text", "x".repeat(8_001));
    expect(await page.textContent("#left")).toBe("1 character too many");
    await page.press("#text", "Enter");
    expect(await page.isDisabled("#send")).toBe(true);
    await page.fill("#text", "x".repeat(7_900));
    expect(await page.textContent("#left")).toBe("100 characters left");
    expect(await bubbles(page)).toEqual(["one\ntwo"]);
  });

  test("hostile text stays text", async () => {
    const hostile = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;
    await create("t-1", hostile);
    await post("t-1", hostile);
    await ask(
      'mutation ($assignee: String) { updateTicket(id: "t-1", input: { assignee: $assignee }) { id } }',
      {
        assignee: hostile,
      },
    );
    const page = await visit(await tab(), "t-1");
    await until("the message", async () => (await bubbles(page)).join() === hostile);
    await ask('mutation { updateTicket(id: "t-1", input: { subject: "javascript:alert(1)" }) { id } }');
    await until("the change", async () => (await page.textContent("#subject")) === "javascript:alert(1)");
    await ask(
      'mutation ($subject: String) { updateTicket(id: "t-1", input: { subject: $subject }) { id } }',
      {
        subject: hostile,
      },
    );
    await until("the change", async () => (await changes(page)).at(-1) === `Subject → ${hostile}`);
    expect(await page.locator(".desk :is(img, script)").count()).toBe(0);
    expect(await page.title()).toBe("Tickets · Millrace");
  });

  test("360 pixels: list and conversation are two views, with a way back; nothing is wider", async () => {
    const text = `${"a-very-long-word".repeat(20)} ${"and some more words ".repeat(20)}`;
    await create("t-1", "Long ".repeat(39));
    await post("t-1", text);
    const page = await visit(await tab({ viewport: NARROW }));
    await row(page, "Long").waitFor();
    expect(await page.isHidden("#talk")).toBe(true);
    expect(await overflow(page)).toBe(0);
    await row(page, "Long").click();
    await until("the message", async () => (await bubbles(page)).length === 1);
    expect(await page.isHidden("#rows")).toBe(true);
    expect(await page.isVisible("#text")).toBe(true);
    expect(await overflow(page)).toBe(0);
    await page.goBack();
    await until("the list", () => page.isVisible("#rows"));
    await row(page, "Long").click();
    await page.getByRole("button", { name: "Back to the list" }).click();
    await until("the list", () => page.isVisible("#rows"));
    await until("the address", async () => !page.url().includes("ticket="));
    await page.click("#new");
    expect(await overflow(page)).toBe(0);
  });

  test.each(["light", "dark"] as const)(
    "%s: enough contrast, every control has a name",
    async (colorScheme) => {
      await create("t-1", "Contrast");
      await post("t-1", "of somebody else");
      await ask('mutation { updateTicket(id: "t-1", input: { status: PENDING, priority: URGENT }) { id } }');
      await create("t-2", "High");
      await ask('mutation { updateTicket(id: "t-2", input: { priority: HIGH, status: CLOSED }) { id } }');
      const page = await visit(await tab({ colorScheme }), "t-1");
      await until("the message", async () => (await bubbles(page)).length === 1);
      await say(page, "of mine");
      await until(
        "it to be sent",
        async () => (await page.textContent("[data-mine=true] .state span")) === "Sent",
      );
      expect(await lowContrast(page)).toEqual([]);
      const snapshot = await page.locator("main").ariaSnapshot();
      for (const name of [
        ...[
          'heading "Tickets" [level=1]',
          'searchbox "Search tickets"',
          'radio "Pending"',
          'heading "Contrast" [level=2]',
        ],
        ...['combobox "Status"', 'combobox "Priority"', 'combobox "Assignee"', 'log "Conversation"'],
        ...['textbox "Message"', 'button "Send"', 'button "New ticket"'],
      ]) {
        expect(snapshot).toContain(name);
      }
    },
  );

  test("where the server asks who it is: signed in by the panel, writing under one's name", async () => {
    const mint = (sub: string) =>
      new SignJWT({ companyId: "acme" })
        .setProtectedHeader({ alg: "HS256" })
        .setSubject(sub)
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(new TextEncoder().encode(SECRET));
    const signIn = async (sub: string, ticket: string) => {
      const page = await tab();
      await page.goto(`${asking.url}/tickets?companyId=acme${ticket}`);
      await page.waitForSelector("#sign-in:not([hidden])");
      await page.fill("#sign-in-token", await mint(sub));
      await page.press("#sign-in-token", "Enter");
      await untilBadge(page, "Live");
      return page;
    };
    const mia = await signIn("mia", "");
    await make(mia, "Of Mia", "Hello");
    const roy = await signIn("roy", `&ticket=${new URL(mia.url()).searchParams.get("ticket")}`);
    await until("the message", async () => (await bubbles(roy)).join() === "Hello");
    await say(roy, "Hello Mia");
    await until("the answer", async () => (await bubbles(mia)).length === 2);
    expect(await mia.locator("#entries .by b").allTextContents()).toEqual(["You", "roy"]);
    expect(await roy.locator("#entries .by b").allTextContents()).toEqual(["mia", "You"]);
    await mia.fill("#assignee", "mia");
    await mia.press("#assignee", "Enter");
    await mia.selectOption("#status", "CLOSED");
    const closed = ["Created by mia", "Taken by mia", "Status → Closed by mia"];
    await until("the change", async () => (await changes(roy)).join() === closed.join());
    await until("the reader's own", async () => (await changes(mia)).includes("Status → Closed by you"));
    await roy.reload();
    await until("the same after a reload", async () => (await changes(roy)).join() === closed.join());
    expect(await bubbles(roy)).toEqual(["Hello", "Hello Mia"]);

    // What Mia could not send is not sent by who signs in after her in the same tab.
    await mia.route(/\/api\/graphql\?/, (route) => route.abort());
    await say(mia, "of Mia alone");
    await mia.waitForSelector("[data-state=sending]");
    await mia.click("#sign-out");
    await mia.waitForSelector("#sign-in:not([hidden])");
    await mia.unroute(/\/api\/graphql\?/);
    const sees = async (sub: string, count: number) => {
      await mia.fill("#sign-in-token", await mint(sub));
      await mia.press("#sign-in-token", "Enter");
      await untilBadge(mia, "Live");
      await until(`${count} messages of ${sub}`, async () => (await bubbles(mia)).length === count);
    };
    await sees("roy", 2);
    await mia.click("#sign-out");
    await mia.waitForSelector("#sign-in:not([hidden])");
    await sees("mia", 3);
    await until("it to be sent", async () => (await bubbles(roy)).length === 3);
    expect(await roy.locator("#entries .by b").allTextContents()).toEqual(["mia", "You", "mia"]);
  });
});
