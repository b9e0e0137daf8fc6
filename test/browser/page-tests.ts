/** What the tests of a page have in common: Chromium and one Millrace for the file, a page anew for each test, and no complaint of the browser. */
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect } from "vitest";
import { missing } from "../support/servers.ts";
import { launchChromium, type Millrace, startMillrace } from "./browser.ts";
import { watchComplaints } from "./looks.ts";

export interface PageTests {
  /** Of the server, beside those of `startMillrace`. */
  readonly settings?: () => Readonly<Record<string, string>> | Promise<Readonly<Record<string, string>>>;
  /** Of each page. */
  readonly context?: BrowserContextOptions;
  /** Once, before the first test. */
  onStart(millrace: Millrace, browser: Browser): void | Promise<void>;
  /** Before each test. It is closed after it. */
  onPage(page: Page): void;
}

/** To be called in the `describe` of a page. A test fails where the browser complained; without Chromium all are skipped, with the reason. */
export function usePages({ settings = () => ({}), context, onStart, onPage }: PageTests): void {
  const reason = missing("chromium");
  let browser: Browser | undefined;
  let millrace: Millrace | undefined;
  let page: Page | undefined;
  let complaints: readonly string[] = [];

  beforeAll(async () => {
    if (reason) return;
    [browser, millrace] = await Promise.all([launchChromium(), startMillrace(await settings())]);
    await onStart(millrace, browser);
  });
  afterAll(async () => {
    await browser?.close();
    await millrace?.[Symbol.asyncDispose]();
  });
  beforeEach(async (test) => {
    if (reason || !browser) return test.skip(reason ?? "Chromium did not start");
    page = await browser.newPage(context);
    complaints = watchComplaints(page);
    onPage(page);
  });
  afterEach(async () => {
    await page?.close();
    expect(complaints).toEqual([]);
  });
}
