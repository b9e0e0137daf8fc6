/** The examples as a reader runs them, in real tabs. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Millrace, startMillrace } from "../browser/browser.ts";
import { freePort, type RunningProcess, start } from "../support/process.ts";
import { missing } from "../support/servers.ts";
import { waitFor } from "../support/wait.ts";
import { connections, launchChromium } from "./tabs.ts";

const reason = missing("chromium");

describe("examples", () => {
  let browser: Browser;
  let millrace: Millrace;
  const servers: RunningProcess[] = [];

  beforeAll(async () => {
    if (reason) return;
    [browser, millrace] = await Promise.all([launchChromium(), startMillrace()]);
  });
  afterAll(async () => {
    await browser?.close();
    for (const server of servers) await server.stop();
    await millrace?.[Symbol.asyncDispose]();
  });
  beforeEach((test) => {
    if (reason) test.skip(reason);
  });

  async function open(example: string): Promise<Page> {
    const port = await freePort();
    const env = { PORT: String(port), MILLRACE_URL: millrace.url };
    const server = start(process.execPath, ["examples/serve.mjs", example], { env });
    servers.push(server);
    await waitFor("the example", () => server.output().includes(`http://localhost:${port}`));
    const page = await browser.newPage();
    page.on("pageerror", (error) => {
      throw error;
    });
    await page.goto(`http://localhost:${port}/`);
    return page;
  }
  const text = async (page: Page, selector: string) => (await page.locator(selector).textContent()) ?? "";
  const connected = (count: number) =>
    waitFor(`${count} connections`, async () => (await connections(millrace.url)) === count);

  test("plain: events, and the state", async () => {
    const page = await open("plain");
    await waitFor("live", async () => (await text(page, "#state")).trim() === "live over sse");
    await waitFor("events", async () => (await page.locator("li").count()) >= 3);
    await page.close();
    await connected(0);
  });

  test("react: one connection in StrictMode, another for another company, none when hidden", async () => {
    const page = await open("react");
    await waitFor("live", async () => (await text(page, "#state")).trim() === "live over sse");
    await waitFor("an event", async () => (await text(page, "#last")).startsWith("acme: "));
    await connected(1);
    await waitFor("no more than 20", async () => (await page.locator("li").count()) === 20);
    expect(await connections(millrace.url)).toBe(1);
    await page.selectOption("select", "globex");
    expect(await page.locator("li").count()).toBe(0);
    await waitFor("an event", async () => (await text(page, "#last")).startsWith("globex: "));
    await connected(1);
    await page.click("button");
    await connected(0);
    await page.click("button");
    await waitFor("live", async () => (await text(page, "#state")).trim() === "live over sse");
    await page.close();
  });
});
