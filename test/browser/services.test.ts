import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SignJWT } from "jose";
import type { Browser, Page, Request } from "playwright-core";
import { afterAll, describe, expect, test } from "vitest";
import { connectProducer } from "../../bridge/broker/client.ts";
import { encodeCloudEvent } from "../../bridge/producers/message.ts";
import { waitFor } from "../support/wait.ts";
import type { Millrace } from "./browser.ts";
import { lowContrast, overflow } from "./looks.ts";
import { usePages } from "./page-tests.ts";

const JWT_SECRET = "a secret of thirty-two characters or more";

describe("page /services", { timeout: 60_000 }, () => {
  let browser: Browser;
  let millrace: Millrace;
  let page: Page;
  let sent = 0;
  const folder = mkdtempSync(join(tmpdir(), "millrace-services-"));

  // Behind the server, which has ended by then: hooks after the tests run from the last to the first.
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  usePages({
    settings: () => ({ AUTH_MODE: "jwt", JWT_SECRET, DATA_DIR: folder }),
    context: { viewport: { width: 1280, height: 800 }, acceptDownloads: true },
    onStart: (started, launched) => {
      [millrace, browser] = [started, launched];
    },
    onPage: (opened) => {
      page = opened;
    },
  });

  const tokenOf = (claims: object): Promise<string> =>
    new SignJWT({ ...claims })
      .setProtectedHeader({ alg: "HS256" })
      .setIssuedAt()
      .setExpirationTime("1h")
      .sign(new TextEncoder().encode(JWT_SECRET));
  /** Opens the page with a token of these claims. */
  async function open(query = "", claims: object = { roles: ["ops"] }): Promise<void> {
    const token = await tokenOf(claims);
    await page.addInitScript((one) => sessionStorage.setItem("millrace.token", one), token);
    await page.goto(`${millrace.url}/services${query}`);
  }
  const text = async (selector: string): Promise<string> =>
    (await page.locator(selector).textContent())?.trim() ?? "";
  const lines = () => page.locator("#log-list .line");
  const untilLive = () => untilText("#connection", /^Live$/);
  const untilText = (selector: string, wanted: RegExp, timeoutMs = 15_000) =>
    waitFor(
      `${selector} ${wanted}`,
      async () => {
        const found = await text(selector);
        if (!wanted.test(found)) throw new Error(found);
        return found;
      },
      { timeoutMs },
    );
  const card = (name: string) =>
    page.locator(".service-card", { has: page.getByText(name, { exact: true }) });

  /** As a service's own messages come: through the broker, the bridge and the log. */
  async function say(channel: "service:all" | "logs:all", bodies: readonly object[]): Promise<void> {
    const [type, companyId] =
      channel === "logs:all" ? ["log_line", "_logs"] : ["service_status", "_operations"];
    const producer = await connectProducer({ host: "127.0.0.1", port: millrace.brokerPort });
    for (const body of bodies) {
      const time = new Date().toISOString();
      const common = { id: `said-${++sent}`, source: "/test/services", time };
      await producer.send(
        encodeCloudEvent({ ...common, subject: channel, type, companyId, body: { ts: time, ...body } }),
      );
    }
    await producer.close();
  }
  const logLines = (bodies: readonly object[]) =>
    say(
      "logs:all",
      bodies.map((body) => ({ level: "info", service: "tester", message: "-", ...body })),
    );
  const numbered = (word: string, from: number, count: number) =>
    Array.from({ length: count }, (_, n) => ({ message: `${word} ${from + n}` }));

  /** All lines the page shows, in sight or not: those it gives to be saved. */
  async function download(): Promise<string[]> {
    const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#log-download")]);
    return (await readFile(await saved.path(), "utf8")).trimEnd().split("\n");
  }
  const wheel = async (by: number) => {
    await page.locator("#log-list").hover();
    await page.mouse.wheel(0, by);
  };

  test("cards: how each service is, as it moves", async () => {
    await open();
    await untilLive();
    await waitFor("four cards", async () => (await page.locator(".service-card").count()) >= 4);
    expect((await page.locator(".service-card h3").allTextContents()).slice(0, 4)).toEqual([
      "account-discovery",
      "account-enrichment",
      "balance-sync",
      "sms",
    ]);
    const processed = () => card("balance-sync").locator(".processed").textContent();
    const before = await processed();
    await waitFor("processed to move", async () => (await processed()) !== before);
    expect(await card("balance-sync").getByRole("progressbar").getAttribute("aria-valuetext")).toMatch(
      /^\d+ of \d+$/,
    );
    await untilText("#services-summary", /^(\d+ \w+)(, \d+ \w+)*$/);

    const lastRun = new Date().toISOString();
    await say("service:all", [
      { service: "nightly", state: "failed", queueSize: 1234567, processed: 0, interval: 3600, lastRun },
      { service: "quick", state: "running", interval: 0.3 },
      { service: "shouting", state: "PRE-heating", progress: 0.5 },
    ]);
    await card("nightly").waitFor();
    expect(await card("nightly").locator(".badge").textContent()).toBe("failed");
    expect(await card("nightly").locator(".queue").textContent()).toBe("1,234,567");
    const next = () => card("nightly").locator(".next").textContent();
    const first = await next();
    expect(first).toMatch(/^in (59 min \d\d s|1 h 0 min)$/);
    await waitFor("the timer to count down", async () => (await next()) !== first);
    await waitFor("silence", async () => (await card("quick").locator(".badge").textContent()) === "silent");
    await waitFor("how long", async () =>
      /^\d+ s$/.test((await card("quick").locator(".next").textContent()) ?? ""),
    );
    expect(await card("shouting").locator(".badge").textContent()).toBe("pre-heating");
    expect(await card("shouting").getByRole("progressbar").getAttribute("aria-valuetext")).toBe("50%");
  });

  test("another tab has the same at once, over the first one's connection", async () => {
    const name = "shared-a";
    const reading = new Set<Request>();
    const isStatus = (request: Request) => new URL(request.url()).pathname === "/api/services/status/stream";
    const end = (request: Request) => void reading.delete(request);
    const context = page
      .context()
      .on("request", (request) => void (isStatus(request) && reading.add(request)));
    context.on("requestfinished", end).on("requestfailed", end);
    await open();
    await untilLive();
    for (const state of ["running", "idle"]) {
      await say("service:all", [{ service: name, state }]);
      await card(name).locator(".badge", { hasText: state }).waitFor();
    }
    // What it opens has the token as well.
    const [tab] = await Promise.all([page.waitForEvent("popup"), page.evaluate('void open("/services")')]);
    const badge = tab.locator(".service-card", { hasText: name }).locator(".badge");
    await badge.getByText("idle").waitFor();
    await say("service:all", [{ service: name, state: "failed" }]);
    await badge.getByText("failed").waitFor();
    await waitFor("one connection", () => reading.size === 1);
    await tab.close();
  });

  test("text messages: sums, providers, and a chart from the second statistics on", async () => {
    await open();
    await page.locator("#sms").waitFor();
    const shown = async (name: string) => Number((await text(`#sms-${name}`)).replaceAll(",", ""));
    const [sentBefore, failed] = [await shown("sent"), await shown("failed")];
    expect(await shown("delivered")).toBe(sentBefore - failed);
    expect(await text("#sms-rate")).toMatch(/^[\d.]+%$/);
    expect(await page.locator("#sms-providers tr").count()).toBe(3);
    // Another sender: the sums are of both.
    const name = "<img src=x onerror=\"document.title='owned'\">";
    const sms = { sent: 2_000_000, delivered: 1_000_000, failed: 999_000 };
    const status = { service: "sms-too", state: "running", sms: { ...sms, providers: { [name]: sms } } };
    await say("service:all", [status]);
    await waitFor("the sum", async () => (await shown("sent")) >= sentBefore + 2_000_000);
    expect(await page.locator("#sms-providers th").first().textContent()).toBe(name);
    expect(await page.getByRole("img", { name: /^Text messages .*now delivered 1,000,\d+/ }).count()).toBe(1);
    expect(await page.locator("#sms-wait").isVisible()).toBe(false);
  });

  test("log: by service, by level, by text; in the URL as well", async () => {
    await open();
    await untilLive();
    await logLines([
      { level: "debug", message: "filter one" },
      { level: "warn", message: "filter two (x.y)" },
      { level: "error", message: "filter three (X.Y)", fields: { invoice: "I-77" } },
      { level: "error", service: "another", message: "filter four" },
    ]);
    await page.selectOption("#log-service", "tester");
    await untilText("#log-count", /^3 of /);
    expect(await lines().locator(".level").allTextContents()).toEqual(["debug", "warn", "error"]);
    await page.locator("#log-levels").getByText("warn").click();
    await untilText("#log-count", /^2 of /);
    await page.fill("#log-search", "(x.y)");
    await waitFor(
      "marks",
      async () => (await lines().locator("mark").allTextContents()).join() === "(x.y),(X.Y)",
    );
    await page.locator("#log-levels").getByText("error").click();
    await untilText("#log-count", /^1 of /);
    expect(await lines().textContent()).toContain('{"invoice":"I-77"}');
    const url = new URL(page.url());
    expect(Object.fromEntries(url.searchParams)).toEqual({ service: "tester", level: "error", q: "(x.y)" });

    await page.reload();
    await untilText("#log-count", /^1 of /);
    expect(await page.inputValue("#log-search")).toBe("(x.y)");
    expect(await page.inputValue("#log-service")).toBe("tester");
    await page.fill("#log-search", "nothing has this");
    await page.getByText("No line held matches the filter.").waitFor();
    await page.click("#log-clear");
    await untilText("#log-count", /^[\d,]+ lines since/);
    expect(new URL(page.url()).search).toBe("");
  });

  test("log: pause goes on receiving, scrolling up stops following, a button leads back", async () => {
    await open("?service=tester&q=still");
    await untilLive();
    await logLines(numbered("still", 1, 200));
    await untilText("#log-count", /^200 of /);
    await page.click("#log-pause");
    await logLines(numbered("still", 201, 50));
    await untilText("#log-pause", /^Resume \(([5-9]\d|\d{3,}) waiting\)$/);
    expect(await text("#log-count")).toMatch(/^200 of /);
    await page.click("#log-pause");
    await untilText("#log-count", /^250 of /);
    await waitFor("the newest", async () => (await lines().last().textContent())?.endsWith("still 250"));

    await wheel(-1_000);
    await page.locator("#log-newest").waitFor();
    const top = () => page.evaluate<number>("document.getElementById('log-list').scrollTop");
    const before = await waitFor("the list to be still", async () => {
      const at = await top();
      await page.evaluate(() => new Promise((done) => setTimeout(done, 100)));
      return at === (await top()) && at;
    });
    await logLines(numbered("still", 251, 30));
    await untilText("#log-newest", /^Jump to newest \(30 new\)$/);
    expect(await top()).toBe(before);
    await page.click("#log-newest");
    await waitFor("the newest", async () => (await lines().last().textContent())?.endsWith("still 280"));
    await page.locator("#log-newest").waitFor({ state: "hidden" });
    await logLines(numbered("still", 281, 1));
    await waitFor("to follow", async () => (await lines().last().textContent())?.endsWith("still 281"));
  });

  test("log: by keyboard, a line whole", async () => {
    await open("?q=keyboard");
    await untilLive();
    await logLines([
      { message: "keyboard first" },
      {
        message: "keyboard second\nof two rows",
        fields: { invoice: "I-1", deep: { a: [1] } },
        messageId: "m-1",
      },
    ]);
    await untilText("#log-count", /^2 of /);
    await page.focus("#log-search");
    for (let n = 0; n < 4; n++) {
      await page.keyboard.press("Tab");
      if ((await page.locator("#log-list:focus-visible").count()) === 1) break;
    }
    await page.keyboard.press("Enter");
    await untilText("#log-line-message", /^keyboard second\nof two rows$/);
    expect(await page.locator("#log-fields dt").allTextContents()).toEqual(["invoice", "deep", "messageId"]);
    await page.keyboard.press("ArrowUp");
    await untilText("#log-line-message", /^keyboard first$/);
    await untilText("#announce", /^info, tester: keyboard first$/);
    await page.keyboard.press("Escape");
    await page.locator("#log-line").waitFor({ state: "hidden" });
  });

  test("what services say stays text", async () => {
    const hostile = [
      "<img src=x onerror=\"document.title='owned'\">",
      "</div><script>document.title='owned'</script>",
      "\u202eright to left\u0000\u001b[31mred\r\n\r\ndata: forged",
    ];
    await open("?service=hostile");
    await untilLive();
    await logLines(
      hostile.map((message) => ({
        message,
        service: "hostile",
        [message]: message,
        fields: { [message]: 1 },
      })),
    );
    await say("service:all", [{ service: "hostile", state: "<b>bold</b>" }]);
    await untilText("#log-count", /^3 of /);
    const shown = await lines().locator(".message").allTextContents();
    for (const [at, message] of hostile.entries()) expect(shown[at]).toContain(message);
    await lines().first().click();
    await untilText("#log-line-message", /^<img src=x/);
    await card("hostile").waitFor();
    expect(await card("hostile").locator(".badge").textContent()).toBe("<b>bold</b>");
    expect(await page.locator(":is(.services, .log) :is(img, script, a, b:not([id]))").count()).toBe(0);
    expect(await page.title()).toBe("Services · Millrace");
  });

  test("server away and back: said, stale, and no line twice or missing", async () => {
    await open("?service=tester&q=away");
    await untilLive();
    await logLines(numbered("away", 1, 60));
    await untilText("#log-count", /^60 of /);
    await millrace.stop();
    await untilText("#connection", /^Reconnecting/);
    for (const part of ["#services", "#sms", "#log-list"]) {
      expect(await page.locator(part).getAttribute("data-stale")).toBe("true");
    }
    expect(await text("#services-asof")).toMatch(/^as of \d\d:\d\d:\d\d$/);
    expect(await text("#log-asof")).toMatch(/^as of \d\d:\d\d:\d\d$/);
    await millrace.startAgain();
    await logLines(numbered("away", 61, 60));
    await untilText("#connection", /^Live$/, 25_000);
    await untilText("#log-count", /^120 of /);
    await logLines(numbered("away", 121, 1));
    await untilText("#log-count", /^121 of /);
    const numbers = (await download()).map((line) => Number(/away (\d+)$/.exec(line)?.[1]));
    expect(numbers).toEqual(numbered("away", 1, 121).map((_, at) => at + 1));
    expect(await page.locator("#services").getAttribute("data-stale")).toBe("false");
    expect(await page.locator("#log-asof").isVisible()).toBe(false);
  });

  test("log lost and made anew: a gap stands in its place among the lines", async () => {
    await open("?service=tester&q=before");
    await untilLive();
    await logLines(numbered("before", 1, 3));
    await untilText("#log-count", /^3 of /);
    await page.click("#log-clear");
    await millrace.stop();
    rmSync(folder, { recursive: true });
    await millrace.startAgain();
    // The browser found its network again: not after the rest of a delay.
    await page.evaluate("dispatchEvent(new Event('online'))");
    await untilLive();
    await logLines(numbered("after", 1, 2));
    await page.selectOption("#log-service", "tester");
    await waitFor("the lines after the gap", async () =>
      (await lines().locator(".message").allTextContents()).some((message) => message === "after 2"),
    );
    const messages = await lines().locator(".message").allTextContents();
    const gap = messages.findIndex((message) => message.startsWith("Gap: the log was lost"));
    expect(gap).toBeGreaterThan(messages.indexOf("before 3"));
    expect(messages.slice(gap + 1)).toEqual(["after 1", "after 2"]);
    expect(await page.locator("#notices").textContent()).toContain("A gap: the log was lost");
  });

  test("without the role ops it says so", async () => {
    await open("", { companyId: "acme" });
    await untilText("#connection", /^Refused$/);
    // Two streams: the badge says the worst of them, so the other one may not have been answered yet.
    await untilText("#services-empty", /role ops/);
    await untilText("#log-empty", /role ops/);
    expect(await page.locator("#log-download").isDisabled()).toBe(true);
  });

  test("a flood holds nothing up: no task over 50 ms, and a few dozen rows", async () => {
    await open();
    await untilLive();
    await waitFor("lines", async () => (await lines().count()) > 0);
    await browser.startTracing(page, { categories: ["toplevel", "devtools.timeline"] });
    for (let n = 0; n < 10; n++) {
      await logLines(numbered("flood", n * 1_000, 1_000));
      if (n === 4) await page.fill("#log-search", "flood");
      if (n === 7) await wheel(-5_000);
    }
    await untilText("#log-count", /^10,000 of /, 30_000);
    const trace = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
    expect(await lines().count()).toBeLessThan(80);
    // By the processor's time: the machine may be busy with others.
    const mains = new Map(
      trace.traceEvents
        .filter(({ name, args }) => name === "thread_name" && args?.name === "CrRendererMain")
        .map(({ pid, tid }) => [`${pid} ${tid}`, true]),
    );
    const tasks = trace.traceEvents.filter(
      ({ pid, tid, ph, tdur }) => ph === "X" && tdur !== undefined && mains.has(`${pid} ${tid}`),
    );
    expect(tasks.length).toBeGreaterThan(100);
    expect(Math.max(...tasks.map(({ tdur = 0 }) => tdur / 1_000))).toBeLessThan(50);
  });

  test("fits 360 pixels, can be read, light and dark, and says what everything is", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await open();
    await untilLive();
    await waitFor("lines", async () => (await lines().count()) > 3);
    await page.locator("#sms").waitFor();
    await logLines([
      {
        level: "error",
        message: "a".repeat(3_000),
        service: "s".repeat(64),
        fields: { ["f".repeat(300)]: 1 },
      },
    ]);
    await say("service:all", [
      { service: "n".repeat(64), state: "w".repeat(32), queueSize: 1e15, processed: 1e15 },
    ]);
    await card("n".repeat(64)).waitFor();
    await lines().last().click();
    await page.locator("#log-line").waitFor();
    expect(await overflow(page)).toBe(0);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      expect(await lowContrast(page)).toEqual([]);
    }
    const snapshot = await page.locator("main").ariaSnapshot();
    for (const name of [
      'heading "Services" [level=1]',
      'heading "Status" [level=2]',
      'heading "balance-sync" [level=3]',
      'progressbar "Progress"',
      'region "Text messages"',
      'table "By provider"',
      'region "Log"',
      'combobox "Service"',
      'radio "debug" [checked]',
      'searchbox "Search in the lines"',
      'log "Log"',
      'button "Pause"',
    ]) {
      expect(snapshot).toContain(name);
    }
  });
});

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  /** Microseconds of the processor. */
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}
