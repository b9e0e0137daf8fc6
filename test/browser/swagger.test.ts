/** Swagger UI in a real browser: it shows every operation of this server's document, and asks it, under the policy of its page. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildPages } from "../../web/build.ts";
import { AUTH_TOKEN } from "../routes/test-app.ts";
import { startTestServer, type TestServer } from "../routes/test-server.ts";
import { missing } from "../support/servers.ts";

const reason = missing("chromium");

describe.skipIf(reason)(`Swagger UI${reason ? ` (${reason})` : ""}`, { timeout: 60_000 }, () => {
  let browser: Browser;
  let server: TestServer;
  let page: Page;
  /** What the console says that is no mere note, and whatever is asked elsewhere. */
  const complaints: string[] = [];

  beforeAll(async () => {
    const { launchChromium } = await import("./browser.ts");
    [browser, server] = await Promise.all([
      launchChromium(),
      buildPages().then((pages) => startTestServer({ deps: { pages } })),
    ]);
    page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
    page.on("console", (line) => {
      if (["error", "warning"].includes(line.type())) complaints.push(line.text());
    });
    page.on("pageerror", (error) => complaints.push(error.message));
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(server.url) && !url.startsWith("data:")) complaints.push(url);
    });
    await page.goto(`${server.url}/swagger/index.html`);
    await page.waitForSelector("#operations-GPUs-listGpus");
  });
  afterAll(async () => {
    await browser?.close();
    await server?.[Symbol.asyncDispose]();
  });

  test("shows every operation of the document, and nothing it loads is refused or another's", async () => {
    const { paths } = (await (await fetch(`${server.url}/openapi.json`)).json()) as {
      paths: Record<string, object>;
    };
    const operations = Object.values(paths).flatMap((methods) => Object.keys(methods));
    expect(await page.locator(".opblock").count()).toBe(operations.length);
    expect(await page.locator(".info .title").textContent()).toContain("Millrace");
    expect(complaints).toEqual([]);
    if (process.env.SCREENSHOTS) await page.screenshot({ path: `${process.env.SCREENSHOTS}/swagger.png` });
  });

  test("asks a route and shows its answer, with the token that was given", async () => {
    await page.locator(".btn.authorize").first().click();
    const scheme = page.locator(".auth-container").filter({ hasText: "metricsToken" });
    await scheme.locator("input").fill(AUTH_TOKEN);
    await scheme.locator("button.authorize").click();
    await page.locator(".btn-done").first().click();
    const operation = page.locator("#operations-GPUs-listGpus");
    await operation.locator(".opblock-summary-control").click();
    await operation.locator(".try-out__btn").click();
    await operation.locator("button.execute").click();
    const answer = operation
      .locator(".live-responses-table .response-col_description .highlight-code")
      .first();
    await answer.waitFor();
    const text = (await answer.textContent()) ?? "";
    expect(JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1))).toEqual({
      ...{ total: 0, page: 1, limit: 100, items: [] },
    });
    if (process.env.SCREENSHOTS)
      await page.screenshot({ path: `${process.env.SCREENSHOTS}/swagger-tried.png` });
    expect(complaints).toEqual([]);
  });
});
